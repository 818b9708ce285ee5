"""Small exports made by hand, and the figures drawn from them that are stored as pictures.

After a change that is meant to move them, remake both and look at every picture:

    python tests/analysis/stored_figures.py
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from handmade import plan_of, planned_trial, run_of, runs_table
from searched import RULE, record_of, search_facts

from analysis.exports.candidates import CANDIDATES, write_candidates
from analysis.exports.schema import (
    EMBEDDINGS,
    GENERATED,
    MINED,
    RUNS,
    SCORES,
    embeddings_schema,
    generated_schema,
    mined_schema,
    scores_schema,
)
from analysis.exports.searches import searches_in
from analysis.figures.draw import FIGURES, draw
from analysis.figures.trial import TRIAL_FIGURES

STORED = Path(__file__).parents[1] / "golden" / "figures"
EXPORTS = STORED / "exports"
# where the figure has none of its own
SWEEPS = {
    **dict.fromkeys(TRIAL_FIGURES, "cac-table2"),
    "search": "searched",
    "generated": "generated",
}
CLASSES = ("airplane", "car", "cat", "dog")  # the last two are unknown
CAC = {"alpha": 10.0, "anchor_weight": 0.1, "tuplet": True, "anchor": True}


def made_up_images(ids):
    """A picture per image id: a gradient that says which one it is."""
    steps = np.linspace(0, 120, 16)
    return [
        (steps[:, None] + steps + 5 * int(name.rpartition("/")[2]) % 15)[..., None].astype(np.uint8)
        for name in ids
    ]


def scores(trial, shift):
    """40 known and 40 unknown images; `shift` parts them."""
    random = np.random.default_rng(5)
    names = [CLASSES[k] for k in np.repeat(range(4), 20)]
    label = np.repeat([0, 1, -1, -1], 20)
    predicted = np.where(label >= 0, label, random.random(80) < np.repeat([0, 0, 0.8, 0.3], 20))
    rows = {
        "trial_id": [trial.trial_id] * 80,
        "image_id": [f"toys/test/{number}" for number in range(80)],
        "label": label,
        "predicted": predicted.astype(int),
        "unknown_score": random.normal(size=80) + np.where(label < 0, shift, 0.0),
        "logits": [[0.5, 0.5]] * 80,
        "class_name": names,
    }
    return pa.table(rows, schema=scores_schema())


def write(sweep, trials, runs, shifts=()):
    """One export; the first trials have scores, one shift each."""
    folder = EXPORTS / sweep
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(runs_table(plan_of(trials), runs), folder / RUNS)
    if shifts:
        tables = [scores(trial, shift) for trial, shift in zip(trials, shifts, strict=True)]
        pq.write_table(pa.concat_tables(tables), folder / SCORES)
    return folder


def write_cac():
    """Sweeps of CAC's Figures 2 to 5."""
    grid = [{"anchor_weight": weight} for weight in (0.05, 0.1, 0.4, 0.8)]
    grid += [{"alpha": alpha} for alpha in (5.0, 20.0)]
    trials = [planned_trial("CAC", **CAC | settings) for settings in grid]
    runs = [
        run_of(trial, accuracy=0.9 - 0.01 * number, auroc=0.8 - 0.015 * number)
        for number, trial in enumerate(trials)
    ]
    write("cac-fig2", trials, runs)
    switches = ((True, True), (False, True), (True, False))
    trials = [
        planned_trial("CAC", split=split, **CAC | {"tuplet": tuplet, "anchor": anchor})
        for tuplet, anchor in switches
        for split in (0, 1)
    ]
    runs = [
        run_of(trial, accuracy=0.7 + 0.02 * n, auroc=0.6 + 0.03 * n)
        for n, trial in enumerate(trials)
    ]
    write("cac-fig3", trials, runs)
    trial = planned_trial("CAC", **CAC)
    write("cac-table2", [trial], [run_of(trial, auroc=0.86)], [1.5])


def write_pmal():
    """Sweeps of PMAL's Figures 4 to 6."""
    trials = [planned_trial("PMAL", prototypes=count) for count in (1, 10)]
    runs = [run_of(trial, auroc=auroc) for trial, auroc in zip(trials, (0.8, 0.9), strict=True)]
    write("pmal-table5", trials, runs, [1.2, 2.0])
    trial = planned_trial("PMAL", prototypes=2)
    folder = write("pmal-table1", [trial], [run_of(trial)], [1.5])
    random = np.random.default_rng(7)
    r = random.beta(3, 2, 200)
    mined = {
        "stage_id": ["mine"] * 200,
        "dataset": ["toys"] * 200,
        "split": [0] * 200,
        "label": [0] * 200,
        "robustness": r,
        "correct": random.random(200) < r,
        "prototype": [False] * 200,
    }
    pq.write_table(pa.table(mined, schema=mined_schema()), folder / MINED)
    centres = np.eye(4)[[0] * 15 + [1] * 15 + [2] * 15 + [0, 0, 1, 1]] * 8
    points = centres + random.normal(size=centres.shape)
    embedded = {
        "trial_id": [trial.trial_id] * 49,
        "role": ["image"] * 45 + ["prototype"] * 4,
        "label": [0] * 15 + [1] * 15 + [-1] * 15 + [0, 0, 1, 1],
        "embedding": points.tolist(),
    }
    pq.write_table(pa.table(embedded, schema=embeddings_schema()), folder / EMBEDDINGS)


def write_generated():
    """Two stages on one split, and one on another that is not shown."""
    trial = planned_trial("OSRCI")
    folder = write("generated", [trial], [run_of(trial)])
    roles = {"made": ("start", "generated"), "mixed": ("start", "partner", "generated")}
    roles["elsewhere"] = ("start",)
    rows = []
    for number, (stage, own) in enumerate(roles.items()):
        for role in own:
            for column in range(3):
                level = 60 * column + 40 * own.index(role) + np.arange(16) * 4
                rows.append(
                    {
                        "stage_id": stage,
                        "dataset": trial.dataset,
                        "split": trial.split + (stage == "elsewhere"),
                        "column": column,
                        "role": role,
                        "label": column,
                        "p_unknown": 0.1 * column + 0.5 * (role == "generated"),
                        "channels": 1,
                        "side": 4,
                        "pixels": (level + number).clip(0, 255).astype(np.uint8),
                    }
                )
    pq.write_table(pa.Table.from_pylist(rows, schema=generated_schema()), folder / GENERATED)


def write_search():
    """A search by two rules: the nearer to alpha 10 and weight 0.1, the better."""
    random = np.random.default_rng(9)
    drawn_at = random.uniform((2, -2), (20, 0), (11, 2)).tolist()
    points = [(10.0, 0.1), *((alpha, 10**power) for alpha, power in drawn_at)]
    candidates = []
    for number, (alpha, weight) in enumerate(points):
        value = float(0.9 - 0.01 * abs(alpha - 10) - 0.1 * abs(np.log10(weight) + 1))
        values = [value + 0.02, value - 0.02]
        state = "complete" if number % 4 < 3 else "pruned"
        candidates.append((alpha, weight, state, values[: 2 if state == "complete" else 1], ""))
    candidates.append((5.0, 0.5, "failed", [], "the loss is nan"))
    facts = search_facts(candidates, planned=13, rules=(RULE, "known_accuracy"))
    trial = planned_trial("CAC", **CAC)
    folder = write("searched", [trial], [run_of(trial)])
    write_candidates(folder / CANDIDATES, "searched", searches_in(record_of(facts)))


def drawn(name, format="png"):
    """A figure from its stored export."""
    return draw(name, EXPORTS, sweep=SWEEPS.get(name, ""), format=format, images=made_up_images)


if __name__ == "__main__":
    write_cac()
    write_pmal()
    write_generated()
    write_search()
    for name in FIGURES:
        (STORED / f"{name}.png").write_bytes(drawn(name))
