"""What one stage takes of its machine, and what one launch may spend."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from osr_core.config import LARGEST
from osr_core.errors import unknown_name
from osr_core.methods import METHODS, method_named
from osr_core.stage import Stage


def _kind(name: Any) -> Any:
    if name not in (kinds := METHODS.kinds()):
        raise ValueError(unknown_name("kind of stage", name, kinds))
    return name


def _method(name: Any) -> Any:
    method_named(name)
    return name


def _names_are(about: dict[str, Any], names: Iterable[str]) -> None:
    """Let the JSON Schema of a mapping know its keys."""
    about["propertyNames"] = {"enum": sorted(names)}


def _custom(name: str) -> str:
    if name.lower() in RAYS_OWN or ":" in name or not name.strip():
        raise ValueError(
            f"'{name}' is no resource of one's own; write cpus, gpus or gpu_type for Ray's"
        )
    return name


def _selector(value: str) -> str:
    if not re.fullmatch(SELECTOR, value):
        raise ValueError(f"'{value}' is not VALUE, !VALUE, in(A,B) or !in(A,B)")
    return value


def _whole(gpus: float) -> float:
    if gpus > 1 and gpus != int(gpus):
        raise ValueError(f"{gpus:g} GPUs: a stage takes a part of one, or one and more as a whole")
    return gpus


LABEL = r"[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?"  # what Ray takes for the value of a label
SELECTOR = rf"!?(?:{LABEL}|in\({LABEL}(?:, ?{LABEL})*\))"
AUTO = "auto"  # of `pack`
RAYS_OWN = ("cpu", "gpu", "tpu", "memory", "object_store_memory", "bundle")
Gpus = Annotated[float, Field(ge=0, le=8), AfterValidator(_whole)]
GpuType = Annotated[str, Field(pattern=rf"^{LABEL}$")]
Custom = dict[
    Annotated[str, AfterValidator(_custom)], Annotated[float, Field(gt=0, allow_inf_nan=False)]
]
Selector = Annotated[
    str, AfterValidator(_selector), Field(json_schema_extra={"pattern": f"^(?:{SELECTOR})$"})
]
Labels = dict[Annotated[str, Field(min_length=1)], Selector]


class Share(BaseModel):
    """What one stage takes of its machine, where it differs from the others'."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    gpu_type: GpuType | None = Field(None, description="as Ray calls it: L4, A100, H100")
    custom: Custom | None = Field(None, description="resources that a cluster was given names for")
    labels: Labels | None = Field(None, description="what labels of its machine must be")
    cpus: int | None = Field(None, ge=1, le=LARGEST, description="CPU cores, and threads")
    gpus: Gpus | None = Field(None, description="GPUs, or a fraction of one")


class Resources(BaseModel):
    """What stages take of their machines. It is not part of a stage's id. But another number of CPU
    threads adds numbers in another order, which changes the last bits and, over many epochs, a
    result (docs/deviations.md); each result's marker records the number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    cpus: int = Field(1, ge=1, le=LARGEST, description="CPU cores, and threads, of a stage")
    gpus: Gpus | None = Field(
        None,
        description="GPUs of a fit, or a fraction; default: 1 where there are any. A fit on "
        "several trains on a part of each batch on each. Other stages take a quarter of one at "
        "most, unless `kinds` says otherwise",
    )
    pack: Literal["none", "auto"] = Field(
        "none",
        description="auto: fits for which `gpus` is not set share a GPU, as many as have room in "
        "its memory and its time, judged by what the first such fit took when it was alone; not "
        "the default, since nobody has measured what it gains",
    )
    gpu_type: GpuType | None = Field(
        None, description="of every stage that takes a GPU, as Ray calls it: L4, A100, H100"
    )
    custom: Custom = Field(
        {}, description="resources that a cluster was given names for, such as {licence: 1}"
    )
    labels: Labels = Field(
        {},
        description="what labels of a stage's machine must be: VALUE, !VALUE, in(A,B) or !in(A,B), "
        "such as {ray.io/market-type: '!spot'}",
    )
    kinds: dict[Annotated[str, BeforeValidator(_kind)], Share] = Field(
        {},
        description="any of these for stages of a kind, such as {score: {gpus: 0.1}}",
        json_schema_extra=lambda about: _names_are(about, METHODS.kinds()),
    )
    methods: dict[Annotated[str, BeforeValidator(_method)], Share] = Field(
        {},
        description="any of these for a method's fits, such as {pmal: {gpus: 0.5}}",
        json_schema_extra=lambda about: _names_are(about, METHODS),
    )
    checkpoint_every_s: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="seconds between the checkpoints of a fit",
    )

    def share_of(self, stage: Stage) -> Share | None:
        """What is said of a stage's kind, or of the method that a fit trains, if anything is."""
        of_kind = self.kinds.get(stage.kind.name)
        name = stage.config["method"]["name"] if stage.kind.trains else ""
        return self.methods.get(name, of_kind)

    def gpus_of(self, stage: Stage) -> float | None:
        """How many GPUs a stage is said to take; None: nothing is said."""
        own = self.share_of(stage)
        return self.gpus if own is None or own.gpus is None else own.gpus

    def on(self, gpu_type: str | None) -> Self:
        """The same with GPUs of this type for all stages that take one; None: as they are."""
        if gpu_type is None:
            return self
        anew = {"gpu_type": gpu_type}
        shares = {
            name: {key: share.model_copy(update=anew) for key, share in getattr(self, name).items()}
            for name in ("kinds", "methods")
        }
        return self.model_copy(update=anew | shares)


class Budget(BaseModel):
    """What one launch may spend. At its end nothing more begins, and what runs is saved."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    gpu_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="hours times GPUs of all attempts at stages"
    )
    wall_hours: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="hours since the launch began"
    )
    trials: int | None = Field(
        None, ge=1, le=LARGEST, description="trials that the launch gives their result"
    )
