"""What all tests share: where the big files lie, and a quiet Ray and MLflow."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sweeps.environment import prepare_environment

prepare_environment()
# A shell that starts the tests in the background lets them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads of a tiny network wait for each other, and add up in another order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder with the real data files; tests that want them skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    root = Path(os.environ.get("OSR_TEST_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real data files: {root} is not a folder (set OSR_TEST_DATA)")
    return root


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Run as a user who may not write everywhere, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Decoded images go to a folder of these tests, not to the user's."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OSR_CACHE", str(folder))
        yield folder
