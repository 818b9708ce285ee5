"""`osr report`, and what the page says besides the exports: of methods, images and memory."""

import ast
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

import osr_core
from osr_core.errors import ConfigError, OsrError
from sweeps.addresses import check_server
from sweeps.commands.options import DEFAULT_HOME, DataOption, HomeOption, OutputOption, at
from sweeps.commands.results import check_exported, image_loader, leave
from sweeps.home import Home

if TYPE_CHECKING:
    from analysis.report.methods import MethodNotes

PACKAGE = Path(osr_core.__file__).parent
FILE = re.compile(r"\b[\w/]+\.py\b")  # in a method's description


def report(
    sweeps: Annotated[list[str] | None, typer.Argument(help="Sweeps; all, if left out.")] = None,
    output: OutputOption = None,
    mlflow_url: Annotated[
        str, typer.Option(help="Where MLflow's pages are, for links.")
    ] = "http://127.0.0.1:5000",
    home: HomeOption = DEFAULT_HOME,
    data_root: DataOption = None,
) -> None:
    """Make one HTML page of exported sweeps: who leads, whether it means anything, what it cost."""
    from analysis.report.page import report as make_report
    from analysis.report.surroundings import Surroundings
    from sweeps.planning.spec import packaged_specs

    check_server("--mlflow-url", mlflow_url)
    user_home = at(home)
    exports = user_home.root / "exports"
    check_exported(exports, sweeps or ())
    around = Surroundings(
        mlflow_url=mlflow_url,
        notes_of=notes_of,
        images=image_loader(data_root),
        packaged=packaged_specs(),
        stages_of=lambda sweep: stages_of(user_home, sweep),
        peaks_of=lambda fits: peaks_of(user_home, fits),
    )
    page = make_report(exports, sweeps or (), around)
    leave(output or user_home.root / "report.html", page.encode())


def notes_of(name: str) -> "MethodNotes | None":
    """What the files of a method say of it; None of a method that is not installed here."""
    from analysis.report.methods import Description, MethodNotes
    from osr_core.methods import method_named
    from sweeps.planning.json_schema import settings_listing

    try:
        method = method_named(name)
    except ConfigError:
        return None
    meanings = {row["setting"]: row["meaning"] for row in settings_listing(method.Config)}
    own, *parts = described(sys.modules[method.__module__]).items()
    return MethodNotes(
        method.source, meanings, Description(own[1]), {n: Description(text) for n, text in parts}
    )


def described(module: ModuleType) -> dict[str, str]:
    """What a method's file says at its head, and then each file of methods and networks that is
    named there.
    """
    first = Path(module.__file__ or "")
    told, left = {first: module.__doc__ or ""}, [first]
    while left:
        path = left.pop(0)
        for name in FILE.findall(told[path]):
            folders = (path.parent, PACKAGE / "methods", PACKAGE / "backbones")
            found = next((at / name for at in folders if (at / name).is_file()), None)
            if found is not None and found not in told:
                told[found] = ast.get_docstring(ast.parse(found.read_bytes())) or ""
                left.append(found)
    return {
        str(path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else path.name): text
        for path, text in told.items()
    }


def stages_of(home: Home, sweep: str) -> Mapping[str, Collection[str]]:
    """All stages that each trial of a sweep needs, itself included, where a store in a folder knows
    the sweep.
    """
    from sweeps.store.store import Store

    store = None if home.bucket else Store.existing(home.store)
    record = store.sweep(sweep) if store else None
    behind: dict[str, set[str]] = {}
    for stage in record["stages"] if record else ():  # inputs come first
        upstream = (behind.get(up, {up}) for up in stage["inputs"])
        behind[stage["stage_id"]] = {stage["stage_id"]}.union(*upstream)
    return behind


def peaks_of(home: Home, fits: Sequence[str]) -> Mapping[str, float]:
    """The most memory of some fits in megabytes, of the GPU where one was used.

    Those that a store in a folder knows; a bucket is not asked for so little.
    """
    from sweeps.store.store import Store

    store = None if home.bucket else Store.existing(home.store)
    found: dict[str, float] = {}
    if store is None:
        return found
    for fit in fits:
        try:
            machine = store.read_commit(fit).machine
        except OsrError:  # cleaned away since, or damaged: `osr run` and `osr gc` say so
            continue
        peak = machine.get("peak_gpu_memory_megabytes") or machine.get("peak_memory_megabytes")
        if peak:
            found[fit] = float(peak)
    return found
