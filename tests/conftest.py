"""What all tests share: what is made once, where the big files lie, a quiet Ray and MLflow."""

import fcntl
import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from osr_core.methods.plugins import GROUP, origin
from sweeps.environment import prepare_environment

# The same examples each time: a red run is about the change. Others: --hypothesis-profile=default
settings.register_profile("same", derandomize=True)
settings.load_profile("same")

prepare_environment()
# A shell that starts the tests in the background lets them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Two threads of a tiny network wait for each other, and add up in another order."""
    torch.set_num_threads(1)


def pytest_configure() -> None:
    """Refuse to begin beside methods of other packages, which many tests would count and draw."""
    if others := sorted({origin(entry) for entry in entry_points(group=GROUP)}):
        raise pytest.UsageError(
            f"{', '.join(others)} brings methods of its own, and the tests are about the methods "
            "of this project alone. Uninstall it in this environment, then run the tests again."
        )


# Begun last, one of these would keep a process of `make test` busy when the others are done.
LONGEST_FIRST = (
    "contract/test_methods.py",
    "sweeps/test_path.py",
    "sweeps/launch/test_changed.py",
    "sweeps/search/test_searches.py",
    "test_plugin_kinds.py",
    "sweeps/launch/test_without_ray.py",
    "sweeps/launch/test_growth.py",
    "sweeps/tracking/test_browser.py",
    "contract/test_sources.py",
    "contract/test_legs.py",
    "core/test_data_parallel.py",
    "test_gpu_pieces.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files that take longest before all others, which stay as they are."""
    place = {Path(__file__).parent / file: number for number, file in enumerate(LONGEST_FIRST)}
    assert all(file.exists() for file in place)
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.hookimpl(tryfirst=True)  # before the fixtures of the test
def pytest_runtest_setup() -> None:
    """Fresh weights are the same each time, whichever tests ran before."""
    torch.manual_seed(0)


Make = Callable[[Path], object]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Make], Path]:
    """A function of a name and of what fills the folder of that name, which it gives.

    Several processes may run the tests: the first to ask fills it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # all processes of this run have it

    def folder(name: str, make: Make) -> Path:
        place = base / name
        with (base / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                place.mkdir()
                try:
                    make(place)
                except BaseException:
                    shutil.rmtree(place)
                    raise
        return place

    return folder


@pytest.fixture(scope="session")
def with_database(made_once: Callable[[str, Make], Path]) -> Callable[[Path], Path]:
    """A function that puts an empty MLflow database into a new home, and gives the home.

    It is a copy: making its tables takes MLflow seconds.
    """
    from sweeps.tracking.database import make_database  # MLflow takes seconds to import, too

    def make(folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of SQLAlchemy about MLflow
            make_database(f"sqlite:///{folder}/mlflow.db")

    made = made_once("mlflow", make)

    def placed(home: Path) -> Path:
        shutil.copytree(made, home / "mlflow")
        return home

    return placed


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
