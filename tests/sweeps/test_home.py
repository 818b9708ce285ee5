"""What users name or set reaches no path, log or page where it does not belong."""

from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.home import Home


@pytest.mark.parametrize("name", ["../digits", "/tmp/digits", "", "..", "a/b", "x" * 65, "Ä"])
def test_a_name_that_would_leave_the_folder_is_refused(name: str):
    """`osr export ../../x` must not write there."""
    with pytest.raises(ConfigError, match="is not a sweep's name"):
        Home(Path("home")).export(name)
    assert Home(Path("home")).export("cac-table2") == Path("home/exports/cac-table2")


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:secret@mlflow:5000",
        "postgresql+psycopg://osr:secret@db/mlflow",
        "postgresql+psycopg://osr@db/mlflow?password=secret",
        "postgresql+psycopg://osr@db/mlflow?sslPassword=secret",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dosr%3BPWD%3Dsecret",
        "https://mlflow:5000?access_token=secret",
    ],
)
def test_a_password_in_the_tracking_uri_is_refused_and_not_repeated(uri: str):
    """The URI is printed after every run."""
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as refused:
        Home(Path("home"), uri)
    assert "secret" not in str(refused.value)
    for plain in ("http://me@mlflow:5000", "postgresql+psycopg://osr@db/mlflow?passfile=/etc/pg"):
        assert Home(Path("home"), plain).tracking_uri == plain


def test_what_may_be_a_password_is_not_repeated():
    """Python cannot take this address apart, which ended in a traceback."""
    with pytest.raises(ConfigError, match="holds a password") as refused:
        Home(Path("home"), "http://osr:pass@[::1")
    assert "pass@" not in str(refused.value)


def test_a_key_in_the_stores_uri_is_refused_and_not_repeated():
    """`osr doctor` and every error about the store would print it."""
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as refused:
        Home(Path("home"), None, "s3://key:secret@results/osr")
    assert "secret@" not in str(refused.value)
    plain = "s3://results/osr?region=eu-central-1"
    assert Home(Path("home"), None, plain).store == plain
