"""A search made by hand, as a plan's record has it."""

RULE = "held_out_classes_auroc"
SPACE = {
    "alpha": {"low": 2.0, "high": 20.0},
    "anchor_weight": {"low": 0.01, "high": 1.0, "log": True},
}
HOPELESS = "behind candidate 1 on 1 splits and seeds"
CANDIDATES = (  # alpha, anchor_weight, state, values, reason
    (10.0, 0.1, "complete", [0.5, 0.75], ""),
    (15.635081932291683, 0.081, "complete", [0.75, 1.0], ""),
    (3.5, 0.5, "pruned", [0.25], HOPELESS),
    (7.0, 0.9, "failed", [], "the loss is nan"),
    (4.0, 0.02, "complete", [0.5, 0.625], ""),
)
STEPS = ((3, 0), (1, 0))  # split and seed, in the order in which candidates meet them


def step_id(number, position):
    """The id of a candidate's trial."""
    return f"candidate-{number}-step-{position}"


def search_facts(candidates=CANDIDATES, planned=6, over=True, rules=(RULE,), **about):
    """What a record says of a search; the best complete candidate is chosen once it is over.

    `values` of a candidate are those of the first rule; every other rule has half of each.
    """
    complete = [n for n, each in enumerate(candidates) if each[2] == "complete"]
    best = max(complete, key=lambda n: sum(candidates[n][3]), default=None)
    return {
        "search_id": "3c73f913f9de60fff90ddd12ef057bfd",
        "method": "cac",
        "dataset": "svhn",
        "rules": list(rules),
        "select": rules[0],
        "looks_at": "AUROC of held-out images",
        "space": SPACE,
        "planned": planned,
        "rungs": [],
        "shares": [1.0],
        "measures": [list(rules)],
        "over": over,
        "candidates": [
            {
                "number": number,
                "params": {"alpha": alpha, "anchor_weight": weight},
                "chosen": 0 if over and number == best else None,
                "trials": [[step_id(number, position)] for position in range(len(STEPS))],
                "state": state,
                "values": {
                    rule: [value / (1 + place) for value in values]
                    for place, rule in enumerate(rules)
                },
                "reason": reason,
            }
            for number, (alpha, weight, state, values, reason) in enumerate(candidates)
        ],
        **about,
    }


def search_trials():
    """What a record says of the trials by which candidates are measured."""
    return [
        {"trial_id": step_id(number, position), "split": split, "seed": seed}
        for number in range(len(CANDIDATES))
        for position, (split, seed) in enumerate(STEPS)
    ]


def fit_id(number, position):
    """The id of the fit behind a candidate's trial."""
    return f"fit-{number}-step-{position}"


def search_stages():
    """What a record says of the stages behind these trials: a fit for each, and its numbers."""
    for number in range(len(CANDIDATES)):
        for position in range(len(STEPS)):
            fit, last = fit_id(number, position), step_id(number, position)
            yield {"stage_id": fit, "kind": "fit", "inputs": []}
            yield {"stage_id": last, "kind": "validate", "inputs": [fit]}


def record_of(*searches):
    """As much of a record as searches need."""
    return {
        "sweep": "hand_made",
        "trials": search_trials(),
        "stages": list(search_stages()),
        "searches": list(searches),
        "leaves": {"fit": ["history.parquet"], "validate": []},
    }
