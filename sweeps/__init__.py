"""The orchestration: spec -> plan -> Ray Tune -> store -> MLflow, and the `osr` command.

For notebooks and scripts: `load_spec`, `plan`, `run`, `Sweep` and `load` (docs/library.md).

    library    what notebooks and scripts call
    commands   what users type
    launch     one `osr run`, from its spec to its orderly end
    tracking   MLflow as a picture of the store
    running    stages on a Ray cluster, from the plan to the store
    clusters   Ray clusters seen from outside: files that start one, and jobs handed to one
    planning   from a spec to the graph of its stages
    store      what stages leave, and who may write it

Each imports only what stands below it. What is on the store is the truth. Ray schedules, MLflow
shows; both may be lost and are rebuilt.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sweeps.environment import prepare_environment

prepare_environment()  # before anything imports Ray or MLflow, which read it at import

if TYPE_CHECKING:
    from sweeps.library.launches import IncompleteSweepWarning, load_spec, plan, run
    from sweeps.library.sweep import Sweep
    from sweeps.library.trained import load

__all__ = ["IncompleteSweepWarning", "Sweep", "load", "load_spec", "plan", "run"]
WHERE = {
    "sweeps.library.launches": ("IncompleteSweepWarning", "load_spec", "plan", "run"),
    "sweeps.library.sweep": ("Sweep",),
    "sweeps.library.trained": ("load",),
}


def __getattr__(name: str) -> Any:
    """A name of the library, imported when it is first asked for: torch takes seconds."""
    for module, names in WHERE.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'sweeps' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
