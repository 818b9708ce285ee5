"""Plan and run a spec, from Python."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sweeps.commands.options import data_option
from sweeps.commands.results import draw_pictures
from sweeps.launch.data_folder import data_folder, readers_of
from sweeps.library.sweep import Sweep, home_at
from sweeps.planning.data import plan_with_data
from sweeps.planning.spec import SweepSpec, parse_spec
from sweeps.planning.spec import load_spec as read_spec

if TYPE_CHECKING:
    from sweeps.planning.plan import Plan

Spec = SweepSpec | Mapping[str, Any] | str | Path
"""A spec, its values as in YAML, a file, or the name of a packaged one."""


class IncompleteSweepWarning(UserWarning):
    """A sweep has ended without some of its trials."""


def load_spec(spec: Spec) -> SweepSpec:
    """A spec, checked in full.

    Raises:
        ConfigError: every problem, each with its place.
    """
    if isinstance(spec, SweepSpec):
        return spec
    if isinstance(spec, Mapping):
        return parse_spec(spec, str(spec.get("name", "spec")))
    return read_spec(str(spec))


def plan(spec: Spec, *, data_root: str | Path | None = None) -> "Plan":
    """All trials of a spec, and the graph of their stages; starts nothing.

    Args:
        spec: as for `load_spec`.
        data_root: the folder of the datasets' files, or a bucket's address; default: OSR_DATA.

    Raises:
        ConfigError: the spec is wrong. DataError: data are missing, or do not fit it.
    """
    loaded = load_spec(spec)
    root = data_folder(data_at(data_root), readers_of(loaded.datasets))
    return plan_with_data(loaded, root)


def run(
    spec: Spec,
    *,
    home: str | Path | None = None,
    data_root: str | Path | None = None,
    address: str | None = None,
    quiet: bool = False,
    remake: bool | None = None,
) -> Sweep:
    """Run what is missing of a sweep, as `osr run` does, and wait for its end.

    Args:
        spec: as for `load_spec`.
        home: the folder of all results; default: OSR_HOME, or ./osr-home.
        data_root: the folder of the datasets' files, or a bucket's address; default: OSR_DATA.
        address: of a running Ray cluster; default: one is started on this machine.
        quiet: print no progress.
        remake: what becomes of results that different source code has made under the same version
            number: True computes them again, False uses them as they are, None refuses to go on.

    Returns:
        The sweep, with a new export. Where trials are missing, an IncompleteSweepWarning says
        which and why; the same call tries them again.

    Raises:
        OsrError: the request is wrong, or what it needs broke; nothing committed is lost.
    """
    from sweeps.launch.changed import refuse
    from sweeps.launch.launch import run_sweep
    from sweeps.tracking.painter import Painter

    loaded = load_spec(spec)
    user_home = home_at(home)
    with Painter(draw_pictures) as pictures:
        launch = run_sweep(
            loaded,
            user_home,
            data_at(data_root),
            Console(quiet=quiet),
            address=address,
            pictures=pictures,
            decide=refuse if remake is None else lambda told: remake,
        )
    lost = [f"{trial.label}: {reason}" for trial, reason in launch.missing]
    if lost := [*lost, *launch.unchosen]:
        warnings.warn("\n".join(["not done:", *lost]), IncompleteSweepWarning, stacklevel=2)
    return Sweep(loaded.name, user_home.root).refresh()


def data_at(data_root: str | Path | None) -> str | None:
    """Where the data lie; None: where OSR_DATA says."""
    return data_option(str(data_root or os.environ.get("OSR_DATA") or "") or None)
