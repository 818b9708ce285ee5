"""OSR_STORE is checked before anything is started: what, the value, what is allowed."""

from pathlib import Path

import pytest

from osr_core.errors import ConfigError
from sweeps.commands.options import at
from sweeps.store.address import Address
from sweeps.store.bucket import files_at
from sweeps.store.files import StoreError
from sweeps.store.store import Store
from tests.sweeps.command import run_osr


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("s3://results", Address("s3", "results", "", {})),
        ("s3://results/", Address("s3", "results", "", {})),
        ("gs://my.results-2/osr/Run_1/", Address("gs", "my.results-2", "osr/Run_1", {})),
        (
            "s3://results/osr?region=eu-central-1&endpoint=http://127.0.0.1:9000",
            Address(
                "s3",
                "results",
                "osr",
                {"region": "eu-central-1", "endpoint": "http://127.0.0.1:9000"},
            ),
        ),
        (
            "s3://results/osr?endpoint=https://[::1]:9000/s3/",
            Address("s3", "results", "osr", {"endpoint": "https://[::1]:9000/s3/"}),
        ),
    ],
)
def test_a_uri_names_a_folder_in_a_bucket(
    uri: str, address: Address, monkeypatch: pytest.MonkeyPatch
):
    """And nobody is asked before it is used."""
    assert Address.parse(uri) == address
    assert files_at(uri).root == uri.partition("?")[0].rstrip("/")
    monkeypatch.setenv("OSR_STORE", uri)
    assert at(Path("home")).store == uri


@pytest.mark.parametrize(
    "uri",
    [
        *("foo://results/osr", "https://results.s3.amazonaws.com/osr", "/srv/osr", "osr", "://"),
        *("s3://", "s3:///osr", "s3://?region=eu-central-1", "s3://Results/osr", "s3:results"),
        *("s3://results//osr", "s3://results/../osr", "s3://results/osr#1", "s3://results/a b"),
        "s3://results:443/osr",
    ],
)
def test_what_cannot_be_a_buckets_uri_is_refused_with_what_can(
    uri: str, monkeypatch: pytest.MonkeyPatch
):
    """A typing error must not become a store somewhere else."""
    monkeypatch.setenv("OSR_STORE", uri)
    with pytest.raises(ConfigError, match="s3://bucket/folder or gs://bucket/folder") as refused:
        at(Path("home"))
    assert f"not '{uri}'" in str(refused.value)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("regin=eu-central-1", "'regin' does not exist. Did you mean 'region'?.*endpoint, region"),
        ("endpoint_override=x:1", "'endpoint_override' does not exist.*endpoint, region"),
        ("region=", "option region must be such as eu-central-1, not ''"),
        ("region", "option region must be such as eu-central-1, not ''"),
        ("region=eu central", "must be such as eu-central-1, not 'eu central'"),
        ("endpoint=127.0.0.1:9000", "must be such as https://.*, not '127.0.0.1:9000'"),
        ("endpoint=http://127.0.0.1:99999", "not 'http://127.0.0.1:99999'"),
        ("endpoint=http://a b", "not 'http://a b'"),
        ("endpoint=http://[", r"not 'http://\['"),
    ],
)
def test_an_option_that_does_not_exist_is_refused_with_those_that_do(
    query: str, words: str, monkeypatch: pytest.MonkeyPatch
):
    """One that is passed over in silence would be looked for in the server."""
    monkeypatch.setenv("OSR_STORE", f"s3://results/osr?{query}")
    with pytest.raises(ConfigError, match=words):
        at(Path("home"))


def test_a_secret_is_not_repeated(monkeypatch: pytest.MonkeyPatch):
    """Wherever it stands in the URI."""
    for uri in ("s3://key:hidden@results/osr", "s3://results/osr?secret_access_key=hidden"):
        monkeypatch.setenv("OSR_STORE", uri)
        with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY") as refused:
            at(Path("home"))
        assert "hidden" not in str(refused.value)


def test_keys_that_cannot_be_read_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anybody is asked."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StoreError, match=r"none\.json.*GOOGLE_APPLICATION_CREDENTIALS"):
        Store("gs://results/osr")


def test_a_home_is_a_folder():
    """A path cannot hold a URI."""
    with pytest.raises(ConfigError, match="OSR_STORE"):
        at(Path("s3://bucket/osr"))


def test_the_command_says_it_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As of every wrong request."""
    monkeypatch.setenv("OSR_STORE", "foo://x")
    refused = run_osr("status", home=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: OSR_STORE must be a bucket's URI")
    assert len(refused.stderr.splitlines()) == 1
