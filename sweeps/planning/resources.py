"""What one stage takes of its machine, and what one launch may spend."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from osr_core.config import LARGEST
from osr_core.errors import unknown_name
from osr_core.methods import METHODS, method_named


def _kind(name: Any) -> Any:
    if name not in (kinds := METHODS.kinds()):
        raise ValueError(unknown_name("kind of stage", name, kinds))
    return name


def _method(name: Any) -> Any:
    method_named(name)
    return name


class Share(BaseModel):
    """What one stage takes of its machine, where it differs from the others'."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    cpus: int | None = Field(None, ge=1, le=LARGEST, description="CPU cores, and threads")
    gpus: float | None = Field(None, ge=0, le=8, description="GPUs, or a fraction of one")


class Resources(BaseModel):
    """How stages are run. No id holds it, but more threads on a CPU add up in another order, which
    moves the last bits and, over many epochs, a result (docs/deviations.md); a commit names them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    cpus: int = Field(1, ge=1, le=LARGEST, description="CPU cores, and threads, of a stage")
    gpus: float | None = Field(
        None,
        ge=0,
        le=8,
        description="GPUs of a fit, or a fraction; default: 1 where there are any. Other stages "
        "take a quarter of one at most, unless `kinds` says otherwise",
    )
    kinds: dict[Annotated[str, BeforeValidator(_kind)], Share] = Field(
        {}, description="cpus and gpus of stages of a kind, such as {score: {gpus: 0.1}}"
    )
    methods: dict[Annotated[str, BeforeValidator(_method)], Share] = Field(
        {}, description="cpus and gpus of a method's fits, such as {pmal: {gpus: 0.5}}"
    )
    checkpoint_every_s: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds between the checkpoints of a fit",
    )


class Budget(BaseModel):
    """What one launch may spend. At its end nothing more begins, and what runs is saved."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    gpu_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="hours times GPUs of all attempts at stages"
    )
    wall_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="hours since the launch began"
    )
    trials: int | None = Field(
        None, ge=1, le=LARGEST, description="trials that the launch gives their result"
    )
