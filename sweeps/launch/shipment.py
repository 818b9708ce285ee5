"""What is sent to a cluster so that a sweep runs there: code and spec, no data and no secret."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from osr_core.errors import ConfigError
from sweeps.launch.code_version import SHIPPED, GitError, code_version, tracked, untracked
from sweeps.planning.spec import SweepSpec, find_spec

PACKAGES = ("osr_core", "sweeps", "analysis")
ROOT = Path(__file__).parents[2]  # of the packages
SPEC = "spec.yaml"  # as the cluster sees it
MOST_BYTES = 100 * 2**20  # Ray's Jobs API takes no more, uncompressed
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Shipment:
    """Files by the name that they have there, beside which nothing is sent."""

    sweep: str
    files: dict[str, bytes]
    version: str  # of the code, as results name it

    @property
    def digest(self) -> str:
        """The same for the same spec and code, whatever commit they are of."""
        found = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            found.update(f"{name}\0{len(content)}\0".encode() + content)
        return found.hexdigest()

    @property
    def megabytes(self) -> float:
        """Of all files together."""
        return sum(map(len, self.files.values())) / MEGABYTE

    def write(self, folder: Path) -> None:
        """Lay the files into an empty folder, with the version that this code has here."""
        version = {f"sweeps/launch/{SHIPPED}": self.version.encode()}
        for name, content in (self.files | version).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def shipment(given: str, spec: SweepSpec, root: Path = ROOT) -> Shipment:
    """What the sweep of a spec takes, given as its user named it.

    Raises:
        ConfigError: it is more than a cluster takes, some of it is not tracked, or a split file
            lies where it cannot follow.
    """
    path = find_spec(given)
    sources = {SPEC: path, **dict(_split_files(path, spec)), **dict(_code(root))}
    sizes = {name: source.stat().st_size for name, source in sources.items()}
    if sum(sizes.values()) > MOST_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
        named = ", ".join(f"{name} ({sizes[name] / MEGABYTE:.0f} MB)" for name in largest)
        raise ConfigError(
            f"the code has {sum(sizes.values()) / MEGABYTE:.0f} MB, and a cluster takes "
            f"{MOST_BYTES / MEGABYTE:.0f} MB. The largest files: {named}. Take them out of git, or "
            "out of the packages."
        )
    contents = {name: source.read_bytes() for name, source in sources.items()}
    return Shipment(spec.name, contents, code_version(root / "sweeps" / "launch"))


def _code(root: Path) -> Iterator[tuple[str, Path]]:
    """The packages' files: those that git tracks, as they are now; else all that are installed."""
    for package in PACKAGES:
        folder = root / package
        try:
            files = tracked(folder)
            others = [] if files is None else untracked(folder)
        except GitError as error:
            raise ConfigError(
                f"cannot find out which files in {root} git tracks, and only tracked files are "
                f"sent: {error}."
            ) from error
        if files is None:
            files = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
        elif new := [path.relative_to(root).as_posix() for path in others]:
            raise ConfigError(
                f"git does not track {', '.join(new[:5])}, and only what it tracks is sent. Tell "
                "it (git add), or take the files away."
            )
        for path in files:
            if path.is_file():  # one that was deleted is tracked until the next commit
                yield path.relative_to(root).as_posix(), path


def _split_files(path: Path, spec: SweepSpec) -> Iterator[tuple[str, Path]]:
    """The files of classes that a spec names, which lie beside it."""
    for protocol in spec.protocols:
        if not protocol.endswith(".json"):
            continue
        name = PurePosixPath(protocol)
        if name.is_absolute() or ".." in name.parts or protocol.startswith("~"):
            raise ConfigError(
                f"the split file '{protocol}' cannot be sent: put it into the spec's folder, and "
                "name it from there."
            )
        yield str(name), path.absolute().parent / name
