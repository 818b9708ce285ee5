"""Reference of the exported files' columns, from the declarations that write and read them."""

from tables import table

from analysis.exports.candidates import CANDIDATE_COLUMNS, CANDIDATES
from analysis.exports.columns import (
    EMBEDDING_COLUMNS,
    GENERATED_COLUMNS,
    HISTORY_COLUMNS,
    LINK_COLUMNS,
    MINED_COLUMNS,
    RECONSTRUCTED_COLUMNS,
    RUN_COLUMNS,
    SCORE_COLUMNS,
    STAGE_COLUMNS,
    Column,
)
from analysis.exports.schema import (
    EMBEDDINGS,
    GENERATED,
    HISTORY,
    LINKS,
    MINED,
    RECONSTRUCTED,
    RUNS,
    SCORES,
)

OPENING = """\
# Columns

What the Parquet files in `exports/SWEEP/` hold; [Tables, figures, report](../exports.md) says how
they are made.
A column marked optional is null where a run does not say, and may be absent from older files.
A reader of this version leaves out columns that it does not know.
"""
PLANNED = """\
One row per finished trial.
Its metadata holds the plan as JSON under the key `plan`: all planned trials, under `defaults`
the settings that a method has where a spec names none, under `data` and `classes` what stands for
the files and for each split's classes, and under `changes` what the spec changes of its recipe for
all methods, which the header of every table says in brackets.
"""
SEARCHED = """\
One row per candidate of each search, in the order in which they were asked; only where the sweep
searches hyperparameters.
It is made of the plan's record alone and holds no time and no host.
Its metadata say of each search under the key `searches`, as JSON: its method, dataset and rules,
what the choosing rule looked at, the space, how many candidates were planned, the splits and seeds
in their order (`steps`), the epochs at which candidates are compared within a fit (`rungs`), the
part of a step that is done there (`shares`) and the names of what is measured (`measures`), and
whether it is over.
"""
BROUGHT = """\
A method of your own may bring kinds of stages that leave tables (see [A method of your
own](../own-method.md#a-stage-of-its-own)); each has a file of the table's name.
It begins with these columns, and the table's own follow; rows keep the order in which the stage
gave them.
"""
LINKED = """\
Where each run lies in MLflow. The one file whose bytes depend on who ran what and when.
Its metadata names the files beside it and `runs.parquet` under the key `tables`, and the store
that has made the results under `store`: two stores with one home write their exports of a sweep to
one folder.
"""
FILES: tuple[tuple[str, str, tuple[Column, ...]], ...] = (
    (RUNS, PLANNED, RUN_COLUMNS),
    (HISTORY, "One row per fit, epoch and metric.\n", HISTORY_COLUMNS),
    (SCORES, "One row per trial and test image.\n", SCORE_COLUMNS),
    (
        MINED,
        "One row per known training image of each of PMAL's mining stages; only where stages left "
        "them.\n",
        MINED_COLUMNS,
    ),
    (
        GENERATED,
        "One row per image shown of those that a stage has made, and per training image that it "
        "was made from: 32 images at most, fewer where they are large (200,000 pixels together); "
        "only where stages left them.\n",
        GENERATED_COLUMNS,
    ),
    (
        RECONSTRUCTED,
        "One row per training image that is shown, and per class that it is decoded under: twelve "
        "images at most, fewer where they are large, of the first ten classes in turn; only where "
        "stages left them.\n",
        RECONSTRUCTED_COLUMNS,
    ),
    (
        EMBEDDINGS,
        "One row per test image that was kept, and per prototype; only where stages left them.\n",
        EMBEDDING_COLUMNS,
    ),
    (CANDIDATES, SEARCHED, CANDIDATE_COLUMNS),
    ("Tables of other methods", BROUGHT, STAGE_COLUMNS),
    (LINKS, LINKED, LINK_COLUMNS),
)


def page() -> str:
    """Every file with its columns: name, type, unit, meaning."""
    parts = [OPENING]
    for name, what, columns in FILES:
        heading = ("column", "type", "unit", "meaning")
        parts += [f"\n## {name}\n\n{what}\n", table(heading, map(row, columns))]
    return "".join(parts)


def row(column: Column) -> tuple[str, str, str, str]:
    """One column's line."""
    optional = " (optional)" if column.optional else ""
    return column.name, f"`{column.type}`", column.unit, column.meaning + optional
