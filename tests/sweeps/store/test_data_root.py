"""A data root in a bucket is a folder on each machine: whole, taken once, the right version."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest

from osr_core.data import READERS
from osr_core.errors import DataError, OsrError
from sweeps.store.address import Address
from sweeps.store.bucket import BucketFiles
from sweeps.store.data_root import DataAwayError, folder_of
from tests.bucket import Fault, Proxy, uri
from tests.sweeps.birds import NAME, contents, taken

pytestmark = pytest.mark.usefixtures("new_machine")


def test_the_folder_is_the_buckets_and_each_file_is_taken_once(
    address: str, local: Path, proxy: Proxy
):
    """Who comes later, in any process, asks for nothing but the list; a new file comes alone."""
    said: list[str] = []
    root = folder_of(address, said.append)
    assert contents(root) == contents(local)
    assert len(taken(proxy)) == 6
    assert said == [text for text in said if text.startswith("taking 6 files, ")]
    assert folder_of(address, said.append) == root
    assert len(taken(proxy)) == 6
    BucketFiles(Address.parse(address)).write("more.txt", b"more")
    grown = folder_of(address, said.append)
    assert contents(grown) == {**contents(local), "more.txt": b"more"}
    assert (len(taken(proxy)), len(said)) == (7, 2)
    assert contents(root) == contents(local), "what a stage reads is not changed below it"


def test_a_file_that_was_replaced_is_taken_anew(address: str):
    """Though its name and size are the same."""
    BucketFiles(Address.parse(address)).write("a.txt", b"one")
    before = folder_of(address)
    BucketFiles(Address.parse(address)).write("a.txt", b"two")
    after = folder_of(address)
    assert (contents(before)["a.txt"], contents(after)["a.txt"]) == (b"one", b"two")


def test_readers_find_the_very_same_images(address: str, local: Path):
    """A fingerprint holds for all files of a data set."""
    root = folder_of(address)
    for name in (NAME, "folder:garden@16"):
        for subset in ("train", "test"):
            found = READERS[name]
            assert found.fingerprint(root, subset) == found.fingerprint(local, subset)  # type: ignore[arg-type]


def test_what_is_broken_off_is_no_data_root_and_is_gone_on_with(
    address: str, local: Path, proxy: Proxy
):
    """Files that have come whole stay; one that has not is taken again, whole."""
    proxy.faults = [Fault("GET .*birds-train", "hang up")]
    with pytest.raises(DataAwayError, match=r"cannot be read.*Check the bucket.*the data root"):
        folder_of(address)
    assert not [path for path in cached("") if path.suffix == "" and path.name != "files"]
    assert {path.read_bytes() for path in cached("files")} <= set(contents(local).values())
    came, proxy.faults = len(cached("files")), []
    proxy.seen.clear()
    assert contents(folder_of(address)) == contents(local)
    assert len(taken(proxy)) == len(contents(local)) - came


def test_a_file_that_ends_too_early_is_not_kept(address: str, monkeypatch: pytest.MonkeyPatch):
    """Also where the library that reads it has noticed nothing."""
    get = obstore.get

    class Short:
        def __init__(self, *given: object, **options: object) -> None:
            self.content = bytes(get(*given, **options).bytes())  # type: ignore[arg-type]

        def stream(self) -> list[bytes]:
            return [self.content[:-1]]

    monkeypatch.setattr(obstore, "get", Short)
    with pytest.raises(DataAwayError, match=r"\d+ of \d+ bytes have come"):
        folder_of(address)
    assert cached("files") == []


def test_a_file_that_changes_between_list_and_download_is_not_mixed_in(address: str, proxy: Proxy):
    """It would be kept under the name of the former one."""
    files = BucketFiles(Address.parse(address))
    files.write("a.txt", b"one")
    held = Fault("GET .*a.txt", "hold")
    proxy.faults = [held]
    failed: list[OsrError] = []

    def look() -> None:
        try:
            folder_of(address)
        except OsrError as error:
            failed.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    assert held.met.wait(60)
    files.write("a.txt", b"two")
    held.released.set()
    looking.join()
    assert isinstance(failed[0], DataAwayError)
    proxy.faults = []
    assert contents(folder_of(address))["a.txt"] == b"two"


def test_of_those_who_come_at_once_one_takes_the_files(address: str, local: Path, proxy: Proxy):
    """The others wait for it; the lock is between open files, so threads stand for processes."""
    proxy.faults = [Fault("GET .*birds", "slow")]
    with ThreadPoolExecutor(3) as several:
        roots = list(several.map(folder_of, [address] * 3))
    assert [contents(root) == contents(local) for root in roots] == [True] * 3
    assert len(taken(proxy)) == 6


def test_an_empty_file_of_a_folders_name_is_passed_over(
    address: str, local: Path, monkeypatch: pytest.MonkeyPatch
):
    """Consoles of clouds leave one where a folder is made."""
    below = BucketFiles._below

    def marked(files: BucketFiles, folder: str) -> list[object]:
        found = list(below(files, folder))
        return [type(found[0])("garden/train", 0, 0.0), type(found[0])("", 0, 0.0), *found]

    monkeypatch.setattr(BucketFiles, "_below", marked)
    assert contents(folder_of(address)) == contents(local)


@pytest.mark.parametrize("name", ["nothing", "another", "rights", "room"])
def test_what_cannot_be_had_is_a_sentence(
    name: str, address: str, s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It says which of the things that may be wrong is."""
    words = {
        "nothing": "/nothing holds no files: is that folder of the data root the right one",
        "another": "s3://elsewhere cannot be read: .*bucket.* does not exist",
        "rights": r"cannot be read: .*(denied|signature).*AWS_SECRET_ACCESS_KEY",
        "room": "cannot be kept in .*: Not a directory. Point OSR_CACHE at a folder with room",
    }
    if name == "nothing":
        address = uri(s3_port, "nothing")
    if name == "another":
        address = f"s3://elsewhere?region=us-east-1&endpoint=http://127.0.0.1:{s3_port}"
    if name == "rights":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    if name == "room":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("OSR_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=f"(?i){words[name]}") as refused:
        folder_of(address)
    assert refused.value.exit_code == 2
    assert len(str(refused.value).splitlines()) == 1


def cached(folder: str) -> list[Path]:
    """What lies in a folder of what was taken."""
    place = Path(os.environ["OSR_CACHE"]) / "data" / folder
    return list(place.iterdir()) if place.exists() else []
