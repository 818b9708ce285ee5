"""Fetching against a server on this machine: resumed, checked, and unpacked without trust."""

import hashlib
import http.server
import io
import tarfile
import threading
import zipfile

import pytest

from osr_core.data import fetch as fetching
from osr_core.data.fetch import Download, downloads, fetch, unpack
from osr_core.errors import ConfigError, DataError

CONTENT = bytes(range(256)) * 40


def md5(content):
    """As hexadecimal digits."""
    return hashlib.md5(content).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives the server's files, from where the client asks on where `resumes` is set."""

    def do_GET(self):
        server, name = self.server, self.path.strip("/")
        wanted = self.headers.get("Range")
        server.asked.append((name, wanted))
        if name not in server.files:
            self.send_error(404)
            return
        content, start = server.files[name], 0
        if wanted and server.resumes:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : server.breaks_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """A server whose `files`, `resumes` and `breaks_at` a test may set."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.resumes, server.breaks_at = {}, [], True, None
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def offer(server, monkeypatch):
    """Publishes a file as the dataset "set"."""

    def publish(content, name="set.mat", folder=None, **changes):
        server.files[name] = content
        entry = {"urls": (f"{server.url}/{name}",), "md5": md5(content), "folder": folder}
        download = Download(**{**entry, **changes})
        monkeypatch.setattr(fetching, "downloads", lambda: {"set": [download]})

    return publish


def tar(*members):
    """A .tar.gz of (name, content) pairs and ready-made TarInfos."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as pack:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                pack.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            pack.addfile(info, io.BytesIO(member[1]))
    return file.getvalue()


def special(name, kind, target="/etc/passwd"):
    """A link or device in a .tar.gz."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(*members, mode=0o100644):
    """A .zip of (name, content) pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            pack.writestr(info, content)
    return file.getvalue()


# -- downloads -------------------------------------------------------------------------------------


def test_published_files_have_torchvisions_addresses_and_checksums():
    """MNIST's four files have two mirrors, SVHN's "extra" images are left out."""
    known = downloads()
    assert [len(known[name]) for name in ("mnist", "svhn", "cifar10")] == [4, 2, 1]
    assert known["cifar10"][0].md5 == "c58f30108f718f92721af3b95e74349a"
    assert known["cifar100"][0].folder == "cifar-100-python"
    assert [download.name for download in known["svhn"]] == ["train_32x32.mat", "test_32x32.mat"]
    assert len(known["mnist"][0].urls) == 2


def test_a_file_is_fetched_once(offer, server, tmp_path):
    """The second time nothing is asked for."""
    offer(CONTENT)
    for _ in range(2):
        (path,) = fetch("set", tmp_path / "new")
        assert path.read_bytes() == CONTENT
    assert server.asked == [("set.mat", None)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.mat"]


@pytest.mark.parametrize("resumes", [True, False])
def test_an_interrupted_download_goes_on(offer, server, tmp_path, resumes):
    """From where it ended; a server that cannot resume sends everything again."""
    offer(CONTENT)
    server.resumes, server.breaks_at = resumes, 1000
    with pytest.raises(DataError, match=r"connection ended after 1000 of 10240 bytes\nRun it ag"):
        fetch("set", tmp_path)
    assert not (tmp_path / "set.mat").exists()
    server.breaks_at = None
    (path,) = fetch("set", tmp_path)
    assert path.read_bytes() == CONTENT
    assert server.asked[1] == ("set.mat", "bytes=1000-")


def test_a_download_that_lacks_only_its_name_is_finished(offer, tmp_path):
    """A crash between the last byte and the renaming."""
    offer(CONTENT)
    (tmp_path / "set.mat.part").write_bytes(CONTENT)
    (path,) = fetch("set", tmp_path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"", b"something else"])
def test_a_wrong_checksum_is_refused(offer, tmp_path, left):
    """Another file under the same address, or another file's beginning; the next attempt is new."""
    offer(CONTENT) if left else offer(CONTENT, md5="0" * 32)
    if left:
        (tmp_path / "set.mat.part").write_bytes(left)
    with pytest.raises(DataError, match=r"came as set.mat has the MD5 .* it was deleted"):
        fetch("set", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_put_there_by_hand_is_checked_too(offer, tmp_path):
    """Before anything of it is unpacked; it is the user's, so it stays."""
    offer(tar(("set/1.txt", b"one")), "set.archive", "set")
    (tmp_path / "set.archive").write_bytes(tar(("set/1.txt", b"other")))
    with pytest.raises(DataError, match=r"set.archive' has the MD5 .* Remove it"):
        fetch("set", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["set.archive"]


def test_the_next_mirror_is_tried(offer, server, tmp_path):
    """MNIST's original address often refuses."""
    offer(CONTENT, urls=(f"{server.url}/gone/set.mat", f"{server.url}/set.mat"))
    (path,) = fetch("set", tmp_path)
    assert path.read_bytes() == CONTENT


def test_without_a_connection_every_address_is_told(offer, server, tmp_path):
    """With what to do instead."""
    urls = (f"{server.url}/gone/set.mat", "http://127.0.0.1:1/set.mat")
    offer(CONTENT, urls=urls)
    with pytest.raises(DataError, match=r"set\.mat could not be fetched") as error:
        fetch("set", tmp_path)
    for part in (*urls, "404", "refused", str(tmp_path)):
        assert part in str(error.value)


def test_names_are_looked_up_with_help(tmp_path):
    """Digits need no fetching, ImageNet must be asked for by hand."""
    with pytest.raises(ConfigError, match=r"dataset to fetch 'cifar' .* Did you mean 'cifar10'"):
        fetch("cifar", tmp_path)


# -- archives --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [tar, zipped])
def test_an_archive_is_unpacked_and_removed(offer, tmp_path, pack):
    """What is left is the folder."""
    offer(pack(("set/a/1.txt", b"one"), ("set/2.txt", b"two")), "set.archive", "set")
    (path,) = fetch("set", tmp_path)
    assert (path / "a" / "1.txt").read_bytes() == b"one"
    assert (path / "2.txt").read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [tmp_path / "set"]
    assert fetch("set", tmp_path) == [path]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "set/../../evil.txt",
        "/tmp/evil.txt",
        "other/evil.txt",
        "set\\..\\..\\evil.txt",
    ],
)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_member_outside_the_folder_is_refused(offer, tmp_path, pack, name):
    """Nothing is written there, and nothing of the rest is kept."""
    root = tmp_path / "deep" / "root"
    offer(pack(("set/1.txt", b"one"), (name, b"evil")), "set.archive", "set")
    with pytest.raises(DataError, match=r"set.archive' is not to be trusted: .*evil.txt' lies out"):
        fetch("set", root)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "root", "set.archive"]


@pytest.mark.parametrize(
    "content",
    [
        tar(special("set/link", tarfile.SYMTYPE), ("set/link/1.txt", b"one")),
        tar(("set/1.txt", b"one"), special("set/hard", tarfile.LNKTYPE, "set/1.txt")),
        tar(special("set/device", tarfile.CHRTYPE)),
        tar(special("set/pipe", tarfile.FIFOTYPE)),
        zipped(("set/link", b"/etc/passwd"), mode=0o120777),
    ],
    ids=["symbolic link", "hard link", "device", "pipe", "link in a zip"],
)
def test_links_and_devices_are_refused(tmp_path, content):
    """A link lets a later member be written through it."""
    (tmp_path / "set.archive").write_bytes(content)
    with pytest.raises(DataError, match=r"is not to be trusted: 'set/.*' is a link or a device"):
        unpack(tmp_path / "set.archive", tmp_path, "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set.archive"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no archive at all", "cannot be unpacked"),
        (tar(("set/1.txt", CONTENT))[:-30], "cannot be unpacked"),
        (zipped(("set/1.txt", CONTENT))[:-30], "cannot be unpacked"),
        (tar(("set/1.txt", b"one"), ("set/1.txt", b"two")), "cannot be unpacked"),
        (tar(), "holds no folder set"),
    ],
    ids=["other", "cut tar", "cut zip", "twice", "empty"],
)
def test_a_damaged_archive_leaves_nothing(tmp_path, content, message):
    """Else half a set would be taken for a whole one."""
    (tmp_path / "set.archive").write_bytes(content)
    with pytest.raises(DataError, match=rf"set.archive' {message}"):
        unpack(tmp_path / "set.archive", tmp_path, "set")
    assert [path.name for path in tmp_path.iterdir()] == ["set.archive"]
