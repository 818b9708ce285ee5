"""Folders are those that users mean by "~" and by a name in their own folder."""

import os
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from osr_core.errors import ConfigError
from sweeps.commands.options import DEFAULT_HOME, DataOption, HomeOption, OutputOption, at
from sweeps.environment import prepare_environment

app = typer.Typer()


@app.command()
def show(
    home: HomeOption = DEFAULT_HOME, data_root: DataOption = None, output: OutputOption = None
) -> None:
    """Print what a command is given."""
    typer.echo(f"{at(home).root} {data_root} {output}")


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One with a folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_tilde_in_a_variable_is_the_users_folder(tmp_path: Path):
    """A shell leaves it there as it is, and a service's file of variables always does."""
    variables = {"OSR_HOME": "~/results", "OSR_DATA": "~/data"}
    printed = CliRunner().invoke(app, [], env=variables).stdout
    assert printed.split() == [f"{tmp_path}/results", f"{tmp_path}/data", "None"]


def test_a_tilde_behind_an_equals_sign_is_the_users_folder(tmp_path: Path):
    """Bash leaves that one, too."""
    given = ["--home=~/results", "--data-root=~/data", "--output=~/page.html"]
    printed = CliRunner().invoke(app, given).stdout
    assert printed.split() == [f"{tmp_path}/{name}" for name in ("results", "data", "page.html")]


@pytest.mark.parametrize("option", ["--home", "--data-root", "--output"])
def test_an_empty_path_is_refused(option: str):
    """`--home "$RESULTS"` without the variable would fill the working folder."""
    refused = CliRunner().invoke(app, [f"{option}="])
    assert refused.exit_code == 2
    words = refused.output.replace("│", " ").split()
    assert "the path is empty. Is a variable not set?" in " ".join(words)


def test_an_empty_variable_is_none():
    """As an absent one, for all programs."""
    printed = CliRunner().invoke(app, [], env={"OSR_HOME": "", "OSR_DATA": ""}).stdout
    assert printed.split() == ["osr-home", "None", "None"]


def test_a_tilde_of_nobody_is_refused():
    """A folder called "~nobody" is in nobody's mind."""
    refused = CliRunner().invoke(app, ["--home=~nobody-of-this-name/results"])
    assert isinstance(refused.exception, ConfigError)


@pytest.mark.parametrize("name", ["circle", "a" * 300])
def test_a_path_that_nobody_can_make_is_no_home(tmp_path: Path, name: str):
    """Every command ended in a traceback."""
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ConfigError, match=r"the home '.*' cannot be one: (Too many|File name)"):
        at(tmp_path / name)


@pytest.mark.parametrize("named", ["~/cache", "cache"])
def test_the_cache_is_one_folder_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
):
    """Workers have another working folder than the command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSR_CACHE", named)
    prepare_environment()
    assert os.environ["OSR_CACHE"] == f"{tmp_path}/cache"


@pytest.mark.parametrize("file", ["mlflow.db", "~/mlflow.db", "./mlflow.db", "{}/mlflow.db"])
def test_a_database_in_a_file_is_one_for_all_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
):
    """Ray starts in another folder, where another database of the name would be made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSR_TRACKING_URI", f"sqlite:///{file.format(tmp_path)}")
    assert at(Path("home")).tracking_uri == f"sqlite:///{tmp_path}/mlflow.db"
