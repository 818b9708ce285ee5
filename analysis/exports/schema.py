"""What the exported Parquet files hold: columns as data, and the plan in the metadata.

runs.parquet     one row per finished trial, sorted by RUNS_ORDER; holds no wall-clock time, host or
                 MLflow id, so a sweep that suffered crashes gives the same bytes
history.parquet  one row per fit, epoch and metric, sorted by HISTORY_ORDER
scores.parquet   one row per trial and test image, sorted by trial_id, images in their order

Where stages left what some figures need:
mined.parquet       one row per known training image of each of PMAL's mining stages
embeddings.parquet  one row per test image that was kept, and per prototype, of some trials
generated.parquet   one row per image that was made and per training image that it was made from
reconstructed.parquet  one row per training image that is shown, and per class for each of them

Where a sweep searches hyperparameters:
candidates.parquet  one row per candidate; see `candidates`

Where methods bring kinds of stages of their own (see docs/own-method.md), each table that these
leave has a file of its name, with the columns that the stages gave it behind STAGE_COLUMNS.

links.parquet, beside them, says where each run lies in MLflow; it is the one file whose bytes
depend on who ran what and when, and only the report reads it.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.exports.columns import (
    EMBEDDING_COLUMNS,
    GENERATED_COLUMNS,
    HISTORY_COLUMNS,
    LINK_COLUMNS,
    METRIC_COLUMNS,
    MINED_COLUMNS,
    RECONSTRUCTED_COLUMNS,
    RUN_COLUMNS,
    SCORE_COLUMNS,
    STAGE_COLUMNS,
    Column,
)
from analysis.exports.selection import NONE
from osr_core.identity import canonical_json, digest, dotted
from osr_core.wording import origin

RUNS, HISTORY, SCORES = "runs.parquet", "history.parquet", "scores.parquet"
LINKS = "links.parquet"
MINED, EMBEDDINGS = "mined.parquet", "embeddings.parquet"
GENERATED, RECONSTRUCTED = "generated.parquet", "reconstructed.parquet"
T = TypeVar("T")


METRICS = tuple(column.name for column in METRIC_COLUMNS)
STAGE = tuple(column.name for column in STAGE_COLUMNS)  # what says whose a row is
OF_MODEL = ("num_parameters", "num_additional_parameters")
SCORED = ("known_images_min", "known_images_max", "unknown_images_min", "unknown_images_max")
RESULTS = (
    *METRICS,
    *OF_MODEL,
    *SCORED,
    "commit",
    "made_on",
)  # columns of runs.parquet that only the trial's run knows
RUNS_ORDER = ("sweep", "dataset", "split", "method", "hyperparameters", "seed", "trial_id")
SCORED_BY = ("score", "scores.import")  # kinds of the stages that give trials their numbers
HISTORY_ORDER = ("stage_id", "epoch", "metric")

FinishedTrial = Mapping[str, Any]  # a row of runs.parquet by column


@dataclass(frozen=True)
class PlannedTrial:
    """A trial that the sweep's plan asks for, finished or not."""

    trial_id: str
    method: str
    title: str
    dataset: str
    split: int
    seed: int
    hyperparameters: Mapping[str, Any]
    backbone: str  # the network's name
    selection: str = NONE  # how its hyperparameters were chosen
    imported: str = ""  # of what was made elsewhere, whence it comes; "" for any other trial


@dataclass(frozen=True)
class Plan:
    """What a sweep was to do; travels in the metadata of runs.parquet."""

    sweep: str
    protocol: str  # of the methods that the spec gives no other
    recipe: str
    changes: Mapping[str, Any]  # of the recipe, for all methods: {"backbone.width": 0.25}
    altered: Mapping[str, Any]  # where that is not as in the packaged spec of the sweep's name
    commit: str  # the version of the code, as `git describe` says it
    trials: tuple[PlannedTrial, ...]  # in the spec's order, which a table's rows keep
    data: Mapping[str, str] = field(default_factory=dict)  # fingerprints, by "cifar10/train"
    classes: Mapping[str, str] = field(default_factory=dict)  # digests, by "svhn/0 of mine.json"
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by method

    def protocol_of(self, trial: PlannedTrial) -> str:
        """Of a trial's splits: the sweep's, unless the spec gives its method another."""
        protocol: str = trial.hyperparameters.get("protocol", self.protocol)
        return protocol

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Plan":
        """The plan in a plan's record; what tables do not need is left, trials of a search too."""
        names = PlannedTrial.__dataclass_fields__
        trials = tuple(
            PlannedTrial(
                **{name: trial[name] for name in names if name != "imported"}
                | {"backbone": trial["backbone"]["name"]}
                | {"imported": origin(trial["imported"]) if "imported" in trial else ""}
            )
            for trial in record["trials"]
            if trial["purpose"] == "evaluate"
        )
        return cls(
            record["sweep"],
            record["protocol"],
            record["recipe"],
            changes_in(record["spec"]),
            record.get("altered", {}),
            record["code"],
            trials,
            record.get("fingerprints", {}),
            {
                f"{each['id']} of {each['protocol']}": digest([each["known"], each["unknown"]])
                for each in record.get("splits", ())
            },
            record.get("defaults", {}),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Plan":
        """The plan as the metadata of runs.parquet have it.

        What a later version adds is left, and what an earlier one did not say is empty.
        """
        trials = tuple(
            _known(PlannedTrial, {"selection": NONE, "imported": "", **trial})
            for trial in values["trials"]
        )
        unsaid: dict[str, Any] = {"altered": {}, "data": {}, "classes": {}, "defaults": {}}
        return _known(cls, {**unsaid, **values, "trials": trials})


def changes_in(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a spec changes of its recipe for all methods, by name: {"backbone.width": 0.25}."""
    return dict(sorted(dotted({part: spec[part] for part in ("backbone", "training")})))


def _known(cls: type[T], values: Mapping[str, Any]) -> T:
    """`cls` from those of `values` that it knows."""
    return cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]


def unfinished(
    planned: Iterable[PlannedTrial], finished: Container[str]
) -> tuple[PlannedTrial, ...]:
    """The planned trials that have no result; `finished` holds the ids of those that have one."""
    return tuple(trial for trial in planned if trial.trial_id not in finished)


def runs_schema(plan: Plan) -> pa.Schema:
    """Columns of runs.parquet, with the plan as canonical JSON under the metadata key "plan"."""
    values = asdict(plan)
    for trial in values["trials"]:
        if not trial["imported"]:
            del trial["imported"]
    return schema_of(run_columns(plan)).with_metadata({"plan": canonical_json(values)})


def run_columns(plan: Plan) -> list[Column]:
    """Those of runs.parquet; what only imports need is left out where nothing is imported."""
    imports = any(trial.imported for trial in plan.trials)
    return [column for column in RUN_COLUMNS if imports or column.name != "imported"]


def plan_in(schema: pa.Schema) -> Plan:
    """The plan in the metadata of runs.parquet.

    Raises:
        ValueError: none is there, or one that another version wrote; says which.
    """
    metadata = schema.metadata or {}
    if b"plan" not in metadata:
        raise ValueError("carries no plan in its metadata, so what is missing cannot be told")
    try:
        return Plan.from_json(json.loads(metadata[b"plan"]))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise ValueError(f"carries a plan of another version ({found})") from error


def history_schema() -> pa.Schema:
    """Columns of history.parquet."""
    return schema_of(HISTORY_COLUMNS)


def scores_schema() -> pa.Schema:
    """Columns of scores.parquet."""
    return schema_of(SCORE_COLUMNS)


def stage_schema() -> pa.Schema:
    """The first columns of a table that stages of a method's own kind leave."""
    return schema_of(STAGE_COLUMNS)


def links_schema(tables: Sequence[str], store: str = "") -> pa.Schema:
    """Columns of links.parquet, with the names of the files beside it and runs.parquet, and the id
    of the store whose results they hold, "" where MLflow does not say.
    """
    metadata = {"tables": canonical_json(list(tables)), "store": store}
    return schema_of(LINK_COLUMNS).with_metadata(metadata)


def tables_in(links: Path) -> set[str]:
    """The names that a links.parquet gives; none where it is not there, or is broken."""
    return set(json.loads(_metadata(links).get(b"tables", "[]")))


def store_in(links: Path) -> str:
    """The id of the store whose results lie beside a links.parquet; "" where none is said."""
    return _metadata(links).get(b"store", b"").decode()


def _metadata(links: Path) -> dict[bytes, bytes]:
    try:
        return pq.read_schema(links).metadata or {}
    except (FileNotFoundError, pa.ArrowException):
        return {}


def mined_schema() -> pa.Schema:
    """Columns of mined.parquet."""
    return schema_of(MINED_COLUMNS)


def generated_schema() -> pa.Schema:
    """Columns of generated.parquet."""
    return schema_of(GENERATED_COLUMNS)


def reconstructed_schema() -> pa.Schema:
    """Columns of reconstructed.parquet."""
    return schema_of(RECONSTRUCTED_COLUMNS)


def embeddings_schema() -> pa.Schema:
    """Columns of embeddings.parquet."""
    return schema_of(EMBEDDING_COLUMNS)


def schema_of(columns: Sequence[Column]) -> pa.Schema:
    """Columns as Arrow has them, each with its unit and meaning."""
    return pa.schema(
        [
            pa.field(
                column.name,
                column.type,
                nullable=column.optional,
                metadata={"unit": column.unit, "meaning": column.meaning},
            )
            for column in columns
        ]
    )
