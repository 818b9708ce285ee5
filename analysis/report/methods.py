"""A page part for each method: its paper, its settings, where it differs from the paper."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.exports.schema import Plan, PlannedTrial
from analysis.exports.selection import NONE
from osr_core.identity import canonical_json
from osr_core.wording import Shortened, in_text, in_words

MARKER = "Deviation"  # how the part of a method's description begins that says where it differs
BULLET = "- "


@dataclass(frozen=True)
class Description:
    """What a file says at its head: equations, paper, authors' code, deviations."""

    text: str

    @property
    def equations(self) -> str:
        """The description up to the deviations."""
        return self.text[: self._cut].strip()

    @property
    def deviations(self) -> tuple[str, ...]:
        """The description from the deviations on, a text for each point; none where it has none.

        Lines that a file had to break are whole again.
        """
        texts: list[str] = []
        for line in self.text[self._cut :].strip().splitlines():
            begins = line.startswith(BULLET) or line.startswith(MARKER) or not line
            texts += [line] if begins or not texts else []
            if not begins:
                texts[-1] = f"{texts[-1]} {line.strip()}".strip()
        return tuple(text for text in texts if text)

    @property
    def _cut(self) -> int:
        found = self.text.find(f"\n{MARKER}")
        return len(self.text) if found < 0 else found


@dataclass(frozen=True)
class MethodNotes:
    """What the installed program says of a method; it is written in the method's own files."""

    source: str  # paper
    meanings: Mapping[str, str]  # of settings
    own: Description
    parts: Mapping[str, Description] = field(default_factory=dict)  # of files that it names


NotesOf = Callable[[str], MethodNotes | None]  # by the method's key in a spec


@dataclass(frozen=True)
class Setting:
    """One setting of a method in one sweep."""

    name: str
    values: tuple[str, ...]  # every value that a trial has
    default: str  # "" where the export does not say
    changed: bool
    meaning: str


@dataclass(frozen=True)
class UsedMethod:
    """A method in one sweep."""

    sweep: str
    recipe: str  # "published" or "common", with what the spec changes of it
    settings: tuple[Setting, ...]
    selection: tuple[str, ...]  # by what searches chose settings; none of the spec's own


@dataclass(frozen=True)
class ShownMethod:
    """A method with all that the page says of it."""

    anchor: str
    name: str
    title: str
    notes: MethodNotes | None
    uses: tuple[UsedMethod, ...]


def method_anchor(name: str) -> str:
    """Where links to a method lead."""
    return f"method-{name}"


def shown_methods(plans: Iterable[Plan], notes_of: NotesOf) -> tuple[ShownMethod, ...]:
    """Every method of some sweeps once, in the order in which they come."""
    used: dict[str, list[UsedMethod]] = {}
    titles: dict[str, str] = {}
    for plan in plans:
        for name in dict.fromkeys(trial.method for trial in plan.trials):
            trials = [trial for trial in plan.trials if trial.method == name]
            notes = notes_of(name)
            titles.setdefault(name, trials[0].title)
            used.setdefault(name, []).append(_used(plan, trials, notes))
    return tuple(
        ShownMethod(method_anchor(name), name, titles[name], notes_of(name), tuple(uses))
        for name, uses in used.items()
    )


def _used(plan: Plan, trials: list[PlannedTrial], notes: MethodNotes | None) -> UsedMethod:
    defaults = plan.defaults.get(trials[0].method, {})
    meanings = notes.meanings if notes else {}
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    recipe = plan.recipe + (f", changed ({in_words(plan.changes)})" if plan.changes else "")
    return UsedMethod(
        plan.sweep,
        recipe,
        tuple(_setting(name, trials, defaults, meanings.get(name, "")) for name in names),
        tuple(dict.fromkeys(t.selection for t in trials if t.selection != NONE)),
    )


def _setting(
    name: str, trials: list[PlannedTrial], defaults: Mapping[str, Any], meaning: str
) -> Setting:
    values = {
        canonical_json(trial.hyperparameters[name]): trial.hyperparameters[name]
        for trial in trials
        if name in trial.hyperparameters
    }
    default = in_text(defaults[name]) if name in defaults else ""
    changed = any(value != defaults.get(name) for value in values.values()) and (
        name in defaults or "." in name
    )
    shortened = Shortened(values.values())
    shown = tuple(in_text(shortened(value)) for value in values.values())
    return Setting(name, shown, default, changed, meaning)
