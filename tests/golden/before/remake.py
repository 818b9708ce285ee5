"""Makes home.zip anew, after a change that moves the ids or the numbers of its sweep.

python tests/golden/before/remake.py
"""

import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from analysis.exports.write import export
from osr_core.results.commit import Commit
from sweeps.home import Home
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import load_spec
from sweeps.store.store import Store
from sweeps.tracking.database import make_database
from sweeps.tracking.synchronise import synchronise

FOLDER = Path(__file__).parent
SPEC = FOLDER / "spec.yaml"
KEPT = ("FORMAT", "commit.json", ".parquet")  # how names end: no weights, which no export reads


def main() -> None:
    """Run the sweep, take out what tells of this machine, export and pack."""
    with tempfile.TemporaryDirectory() as folder:
        run = [sys.executable, "-m", "sweeps", "run", str(SPEC), "--home", folder]
        subprocess.run(run, check=True)
        home = Home(Path(folder))
        for marker in home.root.glob("store/stages/*/*/commit.json"):
            commit = Commit.decode(marker.read_bytes())
            plain = replace(commit, host="here:1", code="before", machine={}, epochs_at=[])
            marker.write_bytes(plain.encode())
        (home.root / "mlflow" / "mlflow.db").unlink()
        make_database(home.tracking_uri)
        plan = plan_with_data(load_spec(str(SPEC)), None)
        synchronise(plan, Store(home.store), home, "before")
        export(home.tracking_uri, plan.spec.name, home.root / "exports")
        pack(home.root)


def pack(root: Path) -> None:
    """Into home.zip what KEPT says of the store, and the exported files."""
    paths = [*root.glob("store/FORMAT"), *root.glob("store/stages/*/*/*"), *root.glob("exports/*")]
    with zipfile.ZipFile(FOLDER / "home.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(paths):
            if path.name.endswith(KEPT):
                packed.write(path, path.relative_to(root))


if __name__ == "__main__":
    main()
