"""What a user sees of a real sweep: the report, and its runs in the pages that `osr ui` serves."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.browser import Page, browser, needs_chromium
from tests.faults.harness import check_nothing_is_left, family, free_port, wait_until
from tests.sweeps.command import call_osr

MLFLOWS_OWN = ("mlflow/users/current", "ResizeObserver loop")  # asked and said on every page of it
START_S = 120


@pytest.fixture(scope="module")
def pages(tiny: tuple[Path, str]) -> Iterator[str]:
    """Where `osr ui` serves the tiny sweep's runs."""
    port = free_port()
    server = serve(tiny[0], port)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def serve(home: Path, port: int) -> subprocess.Popen[bytes]:
    """`osr ui`, once it answers."""
    command = [sys.executable, "-m", "sweeps", "ui", "--home", str(home), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), "osr ui", START_S)
    except AssertionError:
        server.terminate()
        raise
    return server


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def test_a_port_that_is_taken_is_said(tiny: tuple[Path, str]):
    """With what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = call_osr("ui", "--port", str(port), home=tiny[0])
    assert refused.returncode == 2
    assert f"nobody can listen on 127.0.0.1:{port} now (Address already in use)" in refused.stderr
    assert "Choose another --port" in refused.stderr


def test_osr_ui_says_where_it_is_once_it_answers(tiny: tuple[Path, str]):
    """And nothing of what MLflow prints."""
    port = free_port()
    command = [sys.executable, "-m", "sweeps", "ui", "--home", str(tiny[0]), "--port", str(port)]
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **kept) as server:
        assert server.stdout is not None
        starting, where = server.stdout.readline(), server.stdout.readline()
        assert answers(f"http://127.0.0.1:{port}/health")
        server.send_signal(signal.SIGINT)
        rest, errors = server.communicate(timeout=START_S)
    assert starting == "MLflow is starting, which takes some seconds\n"
    assert where == f"MLflow: http://127.0.0.1:{port} (Ctrl-C ends it)\n"
    assert (rest, errors, server.returncode) == ("", "", 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_server_outlives_osr_ui(tiny: tuple[Path, str], number: int):
    """However it ends."""
    server = serve(tiny[0], free_port())
    processes = family(server.pid)
    assert len(processes) > 2
    server.send_signal(number)
    server.wait(START_S)
    check_nothing_is_left(processes)


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """An empty tab."""
    with browser(tmp_path) as opened:
        opened.size(1440, 900)
        yield opened


@needs_chromium
def test_the_report_has_the_tables_numbers_and_sorts_them(tiny: tuple[Path, str], page: Page):
    """What `osr table` prints, with pictures, and without a word from any other host."""
    home, _ = tiny
    path = Path(call_osr("report", home=home).stdout.strip())
    page.open(path.resolve().as_uri())
    page.wait_for_text("In short")
    page.unfold()
    printed = re.findall(r"\d+\.\d ± \d+\.\d", call_osr("table", "tiny", home=home).stdout)
    assert len(printed) == 15
    for number in printed:
        page.wait_for_text(number)
    page.click("section table button", "AUROC")
    means = [float(cell.split()[0]) for cell in page.column("AUROC")]
    assert means == sorted(means, reverse=True)
    assert page.all_pictures_are_shown()
    assert (page.complaints, page.foreign_hosts()) == ([], set())


@needs_chromium
def test_the_best_run_of_a_split_is_three_clicks_from_the_report(
    tiny: tuple[Path, str], page: Page, pages: str
):
    """All trials, those of split 1, the uppermost: its numbers, its text, its pictures."""
    home, _ = tiny
    runs = pq.read_table(home / "exports" / "tiny" / "runs.parquet").to_pylist()
    best = max((run for run in runs if run["split"] == 1), key=lambda run: run["auroc"])
    path = call_osr("report", "--mlflow-url", pages, home=home).stdout.strip()
    page.open(Path(path).resolve().as_uri())
    page.click("a", "All of them in MLflow")
    page.click("a", "1")
    page.wait_for_text("5 matching runs")
    first = page.wait_for("document.querySelector('[role=row] [col-id] a')?.textContent.trim()")
    assert first == f"{best['title']} digits/1 seed 0"
    page.click("a", first)
    page.wait_for_text(f"{100 * best['auroc']:.1f} %")
    page.wait_for_text("split 1 of protocol cac")
    page.wait_for_text(str(best["auroc"]))
    run_id = page.value("location.hash").rpartition("/")[2].partition("?")[0]
    page.click("[role=tab]", "Artifacts")
    for name in ("roc.png", "histogram.png", "confusion.png"):
        page.click("[role=treeitem], li, span, div", name)
        with Image.open(*home.glob(f"mlflow/artifacts/tiny/{run_id}/*/{name}")) as drawn:
            width, height = drawn.size
        sizes = f"one.naturalWidth === {width} && one.naturalHeight === {height}"
        page.wait_for(f"[...document.images].some((one) => {sizes})")
    complaints = [said for said in page.complaints if not any(own in said for own in MLFLOWS_OWN)]
    assert (complaints, page.foreign_hosts()) == ([], set())
