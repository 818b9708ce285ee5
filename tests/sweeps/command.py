"""The `osr` command as a user types it, in a process of its own."""

import subprocess
import sys
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden"
TINY = GOLDEN / "tiny.yaml"


def run_osr(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [sys.executable, "-m", "sweeps", *map(str, arguments), "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
