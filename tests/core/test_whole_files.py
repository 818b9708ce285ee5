"""A file that is being written may lose its writer at any moment."""

import subprocess
import sys
import time
from pathlib import Path

from tests.faults.harness import wait_until


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    """SIGKILL at any moment of a write, thirty times."""
    path = tmp_path / "state"
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from osr_core.results.whole_files import write_atomically\n"
        "print('ready', flush=True)\n"
        "while True:\n    for letter in (b'a', b'b'):\n"
        "        write_atomically(Path(sys.argv[1]), letter * 3_000_000)\n"
    )
    for turn in range(30):
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            wait_until(path.exists, "the first write")
            time.sleep(0.02 + 0.01 * turn)
            writer.kill()
        assert path.read_bytes() in (b"a" * 3_000_000, b"b" * 3_000_000)
    assert len(list(tmp_path.glob(".state.*.tmp"))) >= 5, "hardly a kill has struck a write"
