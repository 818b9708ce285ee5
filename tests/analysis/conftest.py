"""An MLflow database for each test that asks for one."""

import pytest
from mlflow import MlflowClient
from tracked import Store


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """MLflow's tables, which take it seconds to make."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path, empty_database):
    """A database of one test's own."""
    (tmp_path / "artifacts").mkdir()
    return Store(tmp_path, empty_database)
