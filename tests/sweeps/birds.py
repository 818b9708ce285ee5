"""Small images of one's own under a class split, and a sweep of one trial on them."""

from pathlib import Path

from sweeps.planning.known_data import SUBSETS
from tests.bucket import Proxy
from tests.data.data_files import noise, write_parquet

NAME = "parquet:birds@16"
SPEC = f"""\
name: birds
datasets: ["{NAME}"]
protocol: mine.json
splits: [0]
backbone: {{width: 0.125}}
training: {{epochs: 1, batch_size: 4, warmup_epochs: 0}}
methods: {{softmax: {{}}}}
"""
SPLITS = '{"splits": {"parquet:birds@16": [{"known": [0, 2], "unknown": [1]}]}}'


def write_birds(root: Path, seed: int = 0) -> None:
    """Eight images of each of three classes, for training and testing; another seed, others."""
    for number, subset in enumerate(SUBSETS):
        images = noise(24, 16, 16, 3, seed=2 * seed + number)
        write_parquet(root / f"birds-{subset}.parquet", images, [0, 1, 2] * 8)


def spec_in(folder: Path) -> Path:
    """The sweep's spec, with its split file beside it."""
    (folder / "mine.json").write_text(SPLITS)
    (folder / "spec.yaml").write_text(SPEC)
    return folder / "spec.yaml"


def contents(root: Path | None) -> dict[str, bytes]:
    """Every file below a folder."""
    assert root is not None
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def taken(proxy: Proxy) -> list[str]:
    """The files that were asked for."""
    return [what for what in proxy.seen if what.startswith("GET") and "?" not in what]
