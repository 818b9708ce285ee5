"""The README's examples, which must not rot."""

import re
import subprocess
from pathlib import Path

import yaml

from sweeps.commands.app import app
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import parse_spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_ten_line_sweep_can_be_planned() -> None:
    """A user copies it; three values of anchor_weight on five splits, and nothing to download."""
    (example,) = re.findall(r"```yaml\n(.*?)```", README, flags=re.DOTALL)
    spec = parse_spec(yaml.safe_load(example), "README.md")
    plan = plan_with_data(spec, None)
    assert plan.counts()["trials"] == 5 * (1 + 3 + 1)
    assert "osr logs my-sweep" in README
    assert spec.name == "my-sweep"


def test_every_command_that_it_names_exists() -> None:
    """`osr plan`, `osr run` and so on."""
    commands = {command.name or command.callback.__name__ for command in app.registered_commands}
    commands |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"\bosr ([a-z]+)", README)) <= commands


def test_every_page_that_it_links_is_there() -> None:
    """Dead links cost a newcomer's trust."""
    for page in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / page).exists(), page


def test_the_demo_ends_with_the_report() -> None:
    """A user who has seen the table wants the pictures next; `osr report` prints where they are."""
    dry = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    *_, run, said, report, path = dry.stdout.splitlines()
    assert run.endswith("osr run digits")
    assert "Report:" in said
    assert report.endswith("osr report")
    assert "source .venv/bin/activate" in path


def test_the_picture_of_a_terminal_is_the_stored_one() -> None:
    """Here and where it is explained."""
    picture = (ROOT / "tests" / "golden" / "terminal" / "run-80.txt").read_text().strip("\n")
    for page in (README, (ROOT / "docs" / "running.md").read_text()):
        assert f"```\n{picture}\n```" in page
