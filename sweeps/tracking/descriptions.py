"""What a run says of itself in MLflow: its name, what it is found by, its columns, a page of text.

Pure: from the plan and what a stage left. Tags are what a run is found by; parameters are the
columns of MLflow's list, and what its filters ask for.
"""

from collections.abc import Callable
from typing import Any

from osr_core.methods import METHODS
from osr_core.results.commit import Commit
from osr_core.stage import Stage
from osr_core.wording import origin
from sweeps.planning.plan import SEARCH, Plan
from sweeps.planning.record import defaults_of

HEADLINE = ("auroc", "accuracy", "oscr", "macro_f1", "fpr95_known_positive")
TRAINING = ("epochs", "lr", "batch_size", "optimizer")  # of many settings, those that are columns
CLASSES_NAMED = 12

Page = Callable[[Stage], str | None]  # the address of a stage's run, once it has one


def run_name(plan: Plan, stage: Stage) -> str:
    """For people: "CAC cifar10/3 anchor_weight=0.2 seed 0"; settings that never differ are left."""
    trial = plan.trial_of.get(stage.id)
    if trial is None:
        return plan.describe(stage)
    for_search = f"{stage.kind} " if trial.purpose == SEARCH else ""
    about = f"{for_search}{trial.title} {trial.split.id}"
    return f"{about}{plan.differing(stage)} seed {trial.seed}{trial.rung}"


def tags_of(stage: Stage, code: str) -> dict[str, str]:
    """What a run is found by: its stage, the stage's kind, and the version of the code."""
    return {"stage_id": stage.id, "kind": stage.kind.name, "code": code}


def params_of(plan: Plan, stage: Stage) -> dict[str, str]:
    """The columns of a run: what it is about, then the settings that made it."""
    config = stage.config
    about: dict[str, Any] = {"method": config["method"]["name"]}
    settings, training = dict(config["method"]), config.get("training", {})
    if trial := plan.trial_of.get(stage.id):
        about |= {"dataset": trial.split.benchmark, "split": trial.split.index, "seed": trial.seed}
        about |= {"protocol": trial.split.protocol, "recipe": plan.spec.recipe}
        about |= {"purpose": trial.purpose, "selection": trial.selection}
        settings, training = dict(trial.hyperparameters), trial.training
    else:
        task = config["task"]
        about |= {key: task[key] for key in ("dataset", "split") if key in task}
        about |= {key: config[key] for key in ("seed", "member") if key in config}
    about |= {"backbone": config["backbone"]["name"]} if "backbone" in config else {}
    about |= {key: training[key] for key in TRAINING if key in training}
    own = {key: value for key, value in settings.items() if key not in ("name", "version")}
    return {key: str(value) for key, value in (own | about).items()}


def note_of(plan: Plan, stage: Stage, result: Commit, page: Page) -> str:
    """The text of a finished run's page, in Markdown."""
    subject, facts = (_trial if stage.id in plan.trial_of else _stage)(plan, stage)
    numbers = {key.removeprefix("test/"): value for key, value in result.metrics.items()}
    lines = [subject, ""]
    if shown := [f"{name} {100 * numbers[name]:.1f} %" for name in HEADLINE if name in numbers]:
        lines += [f"**{', '.join(shown)}**", ""]
    upstream = [made for made in stage.walk() if made.id != stage.id]
    facts += [
        f"scored of each {side} class: {numbers[fewest]:g} to {numbers[most]:g} test images"
        for side in ("known", "unknown")
        for fewest, most in [(f"scored/{side}_images_min", f"scored/{side}_images_max")]
        if fewest in numbers
    ]
    facts += [f"from {_link(plan, made, page)}" for made in upstream]
    facts += [f"took {result.wall_s:.1f} s on {result.host}; code {result.code or 'not known'}"]
    if machine := result.machine:
        versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
        facts += [f"device {machine['device']}: {machine['hardware']}; {versions}"]
    return "\n".join([*lines, *(f"- {fact}" for fact in facts)])


def picture_facts(plan: Plan, stage: Stage, code: str) -> dict[str, Any]:
    """What stands around a stage's pictures; of a trial's, the facts of the trial come besides."""
    spec, trial = plan.spec, plan.trial_of.get(stage.id)
    return {
        "sweep": spec.name,
        "commit": code,
        "label": trial.title + plan.differing(stage) if trial else plan.describe(stage),
        "changes": {"backbone": spec.backbone, "training": spec.training},
        "defaults": defaults_of(trial.method) if trial else {},
    }


def running_note(plan: Plan, stage: Stage) -> str:
    """The text of the page of a run that is not finished."""
    subject, facts = _stage(plan, stage)
    return "\n".join([subject, "", *(f"- {fact}" for fact in [*facts, "not finished yet"])])


def failure_note(reason: str) -> str:
    """The text of a failed run's page; its traceback is an artifact."""
    return f"**Failed:** {reason[:4000]}\n\nThe artifact `traceback.txt` says where."


def _trial(plan: Plan, stage: Stage) -> tuple[str, list[str]]:
    """What a trial's run is about, and facts of the trial."""
    trial = plan.trial_of[stage.id]
    split, training = trial.split, trial.training
    settings = ", ".join(f"{key} {value}" for key, value in trial.hyperparameters.items())
    source = METHODS[trial.method].source if trial.method in METHODS else "no method of ours"
    subject = (
        f"**{trial.title}** ({source}) on **{split.benchmark}**, split "
        f"**{split.index}** of protocol {split.protocol}, seed {trial.seed}"
    )
    if trial.imported:
        made = origin(trial.imported.plain())
    else:
        made = f"recipe {plan.spec.recipe}: {trial.backbone['name']}, {training['epochs']} epochs, "
        made += f"lr {training['lr']:g}"
    return subject, [
        f"known: {_classes(split.known_from, split.known)}",
        f"unknown: {_classes(split.unknown_from, split.unknown)}; "
        f"openness {100 * split.openness:.1f} %",
        f"settings: {settings or 'none'}",
        made,
    ]


def _stage(plan: Plan, stage: Stage) -> tuple[str, list[str]]:
    """What another run is about, and which trials rest on it."""
    task, trials = stage.config["task"], plan.trials_of[stage.id]
    titles = ", ".join(dict.fromkeys(trial.title for trial in trials))
    method = stage.config["method"]["name"]
    place = f"**{task['dataset']}**" + (f", split **{task['split']}**" if "split" in task else "")
    subject = f"**{stage.kind}** of **{method}** on {place}"
    return subject, [f"trials that use it: {len(trials)}{f' ({titles})' * bool(titles)}"]


def _link(plan: Plan, stage: Stage, page: Page) -> str:
    address, uses = page(stage), len(plan.trials_of[stage.id])
    name = plan.describe(stage)
    shared = f", shared by {uses} trials" if uses > 1 else ""
    return f"{f'[{name}]({address})' if address else name}{shared}"


def _classes(source: str, classes: tuple[int, ...]) -> str:
    named = " ".join(map(str, classes)) if len(classes) <= CLASSES_NAMED else ""
    return f"{len(classes)} classes of {source}{f' ({named})' * bool(named)}"
