"""Fetches the published archives: resumed, checked, and unpacked without trusting them.

Addresses and MD5 checksums of MNIST, SVHN and CIFAR are torchvision's own. torchvision's download
is not used: it starts again after every interruption and unpacks what an archive says, where it
says.
"""

import hashlib
import http.client
import logging
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from osr_core.data.files import reading
from osr_core.errors import ConfigError, DataError, unknown_name

TIMEOUT_S = 60
PIECE = 1 << 20
TINY_IMAGENET = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
TINY_IMAGENET_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"  # as in avalanche's TinyImagenet

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Download:
    """One published file."""

    urls: tuple[str, ...]  # mirrors, tried in order
    md5: str
    folder: str | None = None  # what an archive unpacks to; None: the file is kept as it is

    @property
    def name(self) -> str:
        """The file's name."""
        return self.urls[0].rsplit("/", 1)[1]


def downloads() -> Mapping[str, list[Download]]:
    """What can be fetched, by dataset."""
    from osr_core.vision import torchvision  # takes seconds to import

    sets = torchvision.datasets
    mnist = [
        Download(tuple(mirror + name for mirror in sets.MNIST.mirrors), md5)
        for name, md5 in sets.MNIST.resources
    ]
    svhn = [
        Download((url,), md5)
        for subset, (url, _, md5) in sets.SVHN.split_list.items()
        if subset in ("train", "test")
    ]
    cifar = {
        name: [Download((cls.url,), cls.tgz_md5, cls.base_folder)]
        for name, cls in (("cifar10", sets.CIFAR10), ("cifar100", sets.CIFAR100))
    }
    tiny = [Download((TINY_IMAGENET,), TINY_IMAGENET_MD5, "tiny-imagenet-200")]
    return {"mnist": mnist, "svhn": svhn, **cifar, "tinyimagenet": tiny}


def fetch(name: str, root: Path) -> list[Path]:
    """Put the files of a dataset into `root`; what is there already stays. Gives their places.

    Raises:
        ConfigError: a dataset that is not published as files to fetch.
        DataError: no connection, a wrong checksum, an unsafe archive, or no room.
    """
    known = downloads()
    if name not in known:
        raise ConfigError(unknown_name("dataset to fetch", name, known))
    try:
        root.mkdir(parents=True, exist_ok=True)
        return [_fetched(download, root) for download in known[name]]
    except OSError as error:
        raise DataError(f"'{root}' cannot be written: {error.strerror or error}.") from error


def _fetched(download: Download, root: Path) -> Path:
    place = root / (download.folder or download.name)
    if place.exists():
        return place
    file = root / download.name
    if not file.exists():
        _download(download, file)
    elif (found := _md5(file)) != download.md5:
        raise DataError(
            f"'{file}' has the MD5 {found}, not the published {download.md5}. Remove it and run "
            "this again."
        )
    if download.folder is not None:
        unpack(file, root, download.folder)
        file.unlink()
    return place


def _download(download: Download, file: Path) -> None:
    """Fetch `file` from the first mirror that gives it, going on where an attempt ended."""
    part = file.with_name(file.name + ".part")
    reasons = []
    for url in download.urls:
        try:
            _receive(url, part)
            break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reasons.append(f"\n  {url}: {error}")
    else:
        raise DataError(
            f"{download.name} could not be fetched:{''.join(reasons)}\nRun it again to go on, or "
            f"fetch it elsewhere and put it into '{file.parent}'."
        )
    found = _md5(part)
    if found != download.md5:
        part.unlink()
        raise DataError(
            f"what came as {download.name} has the MD5 {found}, not the published {download.md5}; "
            "it was deleted. Run it again, or fetch it elsewhere."
        )
    part.rename(file)


def _receive(url: str, part: Path) -> None:
    """Append to `part` what it lacks; a server that does not resume sends all of it again."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing is lacking; the checksum decides
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        promised = response.length
        log.info("fetch=%s start=%d bytes=%s", url, start if resumed else 0, promised)
        with part.open("ab" if resumed else "wb") as file:
            shutil.copyfileobj(response, file, PIECE)
            received = file.tell() - (start if resumed else 0)
    if promised is not None and received < promised:
        raise OSError(f"the connection ended after {received} of {promised} bytes")


def _md5(path: Path) -> str:
    content = hashlib.md5(usedforsecurity=False)
    with reading(path) as file:
        while piece := file.read(PIECE):
            content.update(piece)
    return content.hexdigest()


# -- archives --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Member:
    """A file or folder in an archive."""

    name: str
    is_folder: bool
    is_file: bool  # neither: a link, a device
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, root: Path, folder: str) -> None:
    """Unpack a .zip or .tar.gz whose files all lie in `folder` into `root`; all of it or nothing.

    Raises:
        DataError: a damaged archive; a member that lies elsewhere, or is a link or a device.
    """
    with tempfile.TemporaryDirectory(prefix=f".{folder}.", dir=root) as place:
        try:
            with _members(archive) as members:
                for member in members:
                    _write(member, Path(place), folder, archive)
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"'{archive}' cannot be unpacked: {error}.") from error
        if not (Path(place) / folder).is_dir():
            raise DataError(f"'{archive}' holds no folder {folder}.")
        (Path(place) / folder).rename(root / folder)


def _write(member: Member, place: Path, folder: str, archive: Path) -> None:
    path = PurePosixPath(member.name)
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in member.name
        or path.parts[:1] != (folder,)
    ):
        raise DataError(
            f"'{archive}' is not to be trusted: '{member.name}' lies outside its folder {folder}. "
            "Nothing of it was kept."
        )
    target = place / path
    if member.is_folder:
        target.mkdir(parents=True, exist_ok=True)
        return
    if not member.is_file:
        raise DataError(
            f"'{archive}' is not to be trusted: '{member.name}' is a link or a device. "
            "Nothing of it was kept."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, PIECE)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as pack:
            yield (_zip_member(pack, info) for info in pack.infolist())
        return
    with tarfile.open(archive) as pack:
        yield (_tar_member(pack, info) for info in pack)


def _zip_member(pack: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    kind = info.external_attr >> 28  # the type of file where Unix made the archive
    plain = kind in (0, 0o10)
    return Member(info.filename, info.is_dir(), plain, lambda: pack.open(info))


def _tar_member(pack: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    def content() -> IO[bytes]:
        file = pack.extractfile(info)
        assert file is not None  # it is a regular file
        return file

    return Member(info.name, info.isdir(), info.isreg(), content)
