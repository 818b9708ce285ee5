"""What folders and buckets have in common: files that are whole or not there, made once."""

import tempfile
from pathlib import Path

import obstore.store
import pytest

from sweeps.store.address import Address
from sweeps.store.bucket import MANY, BucketFiles, files_at
from sweeps.store.files import File, FileError, Files


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    """An empty place."""
    if request.param == "folder":
        return files_at(tmp_path / "store")
    own, port = request.getfixturevalue("own"), request.getfixturevalue("s3_port")
    return files_at(own(port))


def test_a_file_is_read_as_it_was_written_last(files: Files):
    """And one that was not written is None."""
    assert files.read("work/a") is None
    for content in (b"one", b"", b"two" * 1000):
        files.write("work/a", content)
        assert files.read("work/a") == content
    assert files.there("work/a")
    assert not files.there("work/b")


def test_a_file_is_made_once(files: Files):
    """Who comes later hears of it and changes nothing."""
    assert files.create("leases/a/1.json", b"first")
    assert not files.create("leases/a/1.json", b"second")
    assert files.read("leases/a/1.json") == b"first"


def test_a_folder_lists_what_is_in_it_and_below(files: Files):
    """And not what is in one whose name begins alike."""
    assert files.below("leases/a") == []
    for name in ("leases/a/1.json", "leases/a/deep/2.json", "leases/ab/3.json"):
        files.write(name, b"four")
    found = {file.name: file.bytes for file in files.below("leases/a")}
    assert found == {"leases/a/1.json": 4, "leases/a/deep/2.json": 4}
    assert files.names("leases", "3.json") == ["leases/ab/3.json"]
    assert all(isinstance(file, File) and file.written_at > 1e9 for file in files.below("leases"))


@pytest.mark.parametrize("count", [3, MANY + 3], ids=["few", "many"])
def test_sizes_are_of_those_that_are_there(files: Files, count: int):
    """However they are looked up."""
    names = [f"stages/{number:02}/commit.json" for number in range(count)]
    for name in names[1:]:
        files.write(name, b"four")
    assert files.sizes(names) == dict.fromkeys(names[1:], 4)
    assert files.sizes([]) == {}


def test_what_is_deleted_need_not_be_there(files: Files):
    """Somebody else may have been faster."""
    for name in ("work/a", "work/b", "work/deep/c", "work/deep/d"):
        files.write(name, b"")
    files.delete("work/none", "work/a", "none/at/all", "work/b")
    assert sorted(files.names("work", "")) == ["work/deep/c", "work/deep/d"]
    files.delete_all("work/deep")
    files.delete_all("work/deep")
    assert files.below("work") == []
    files.write("work/a", b"")
    files.delete_all("work/a")
    assert not files.there("work/a")


def test_a_folder_moves_with_all_that_is_in_it(files: Files):
    """And where it is gone already, nothing happens."""
    for name in ("stages/3f/commit.json", "stages/3f/a.bin"):
        files.write(name, name.encode())
    for _ in range(2):
        files.move("stages/3f", "damaged/3f-1")
    assert files.below("stages/3f") == []
    assert files.read("damaged/3f-1/commit.json") == b"stages/3f/commit.json"
    assert files.read("damaged/3f-1/a.bin") == b"stages/3f/a.bin"


def test_a_server_that_deletes_one_by_one_and_misses_one_goes_on(tmp_path: Path):
    """As that of gs://, here a folder that does the same."""
    (tmp_path / "store").mkdir()
    files = BucketFiles(Address.parse("gs://results"))
    files.__dict__["_bucket"] = obstore.store.LocalStore(tmp_path / "store")
    files.write("work/b", b"")
    files.delete("work/a", "work/b", "work/c")
    assert files.below("work") == []


@pytest.mark.usefixtures("unprivileged")
def test_a_folder_that_may_not_be_listed_is_said():
    """It is not the same as an empty one, whose stages would be made again."""
    with tempfile.TemporaryDirectory() as folder:
        files = files_at(folder)
        files.write("work/a", b"")
        work = Path(folder) / "work"
        work.chmod(0)
        try:
            with pytest.raises(FileError, match="work cannot be listed"):
                files.below("work")
        finally:
            work.chmod(0o700)
