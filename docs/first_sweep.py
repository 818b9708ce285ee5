"""A first sweep from Python: run it, look at its results, use what it has trained."""

import sweeps
from osr_core.data import reader

SPEC = {
    "name": "first-script",
    "datasets": ["digits"],
    "splits": [0],
    "methods": {"softmax": {}, "cac": {}},
    "training": {"epochs": 6, "batch_size": 32, "warmup_epochs": 1},
    "backbone": {"width": 0.25},
}

if __name__ == "__main__":
    sweep = sweeps.run(SPEC, quiet=True)
    print(sweep.table())
    best = max(sweep.runs.to_pylist(), key=lambda run: run["auroc"])

    detector = sweeps.load(f"{best['method']} digits/0", sweep=sweep.name, accept=0.95)
    print(f"{best['title']} rejects scores above {detector.threshold:.3f} ({detector.chosen_on})")

    images = reader("digits").load(None, "test").images[:5]
    decisions = detector.predict(images)
    for name, score, rejected in zip(
        decisions.class_name, decisions.unknown_score, decisions.rejected, strict=True
    ):
        print(f"a {name}, score {score:.3f}" + (": rejected" if rejected else ""))
