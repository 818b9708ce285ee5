"""Figures by name: `made` reads an export and draws, `draw` gives the picture's bytes.

roc, histogram   one trial: ROC; scores of known and unknown test images
confusion        the same trial: what each class was taken for, or rejected
cac2, cac3       sensitivity of CAC to lambda and alpha; its components alone and together
cac4, cac5       unknowns by what they were taken for, over all splits; examples with their scores
pmal4a           robustness of training images, and accuracy per interval of it
pmal4b, pmal6    embeddings with prototypes, without and with unknown images (t-SNE)
pmal5a           one prototype per class against ten
generated        images that stages made of training images, or decoded under each class
search           one search: history, importances, slices, parallel coordinates, Pareto front
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.figures import cac, pmal
from analysis.figures import search as search_figures
from analysis.figures.generated import generated
from analysis.figures.source import ImageLoader, Source
from analysis.figures.style import encoded, styled
from analysis.figures.trial import TRIAL_FIGURES, TrialFigure
from osr_core.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Drawing:
    """How a figure is made, and of which sweep unless another is named."""

    make: Callable[[Source], Figure]
    sweep: str  # "" where any will do and one must be named


def about_one(draw_trial: TrialFigure) -> Drawing:
    """A figure about the trial that was asked for."""

    def make(source: Source) -> Figure:
        trial = source.one()
        return draw_trial(trial, source.scores(trial), source.rests_on_trial(trial))

    return Drawing(make, "")


FIGURES: Mapping[str, Drawing] = {
    **{name: about_one(draw_trial) for name, draw_trial in TRIAL_FIGURES.items()},
    "cac2": Drawing(cac.sensitivity, "cac-fig2"),
    "cac3": Drawing(cac.components, "cac-fig3"),
    "cac4": Drawing(cac.mistaken, "cac-table2"),
    "cac5": Drawing(cac.examples, "cac-table2"),
    "pmal4a": Drawing(pmal.robustness, "pmal-table1"),
    "pmal4b": Drawing(pmal.prototypes, "pmal-table1"),
    "pmal5a": Drawing(pmal.one_against_ten, "pmal-table5"),
    "pmal6": Drawing(pmal.embedding, "pmal-table1"),
    "generated": Drawing(generated, ""),
    "search": Drawing(search_figures.asked_for, ""),
}


def made(
    name: str,
    exports: Path,
    *,
    sweep: str = "",
    trial: str = "",
    images: ImageLoader | None = None,
    accepted: int | None = None,
    search: str = "",
) -> Figure:
    """The figure `name` of an exported sweep.

    Args:
        name: a key of FIGURES.
        exports: the folder that holds a folder per sweep.
        sweep: which one; "" for that of the paper's figure.
        trial: how the trial's id begins, of figures about one; "" for the first that fits.
        images: gives the pictures of test images, which cac5 shows.
        accepted: cac4 counts the unknown images that are accepted where so many percent of the
            known ones are; None counts all.
        search: how the id begins of the search that the figure `search` shows; "" for the first.

    Raises:
        ConfigError: no such figure, trial or search; no sweep named where one must be; `accepted`
            of another figure than cac4.
        DataError: no export of the sweep, or one without what the figure shows; says what.
    """
    if name not in FIGURES:
        raise ConfigError(unknown_name("figure", name, FIGURES))
    chosen = sweep or FIGURES[name].sweep
    if not chosen:
        raise ConfigError(
            f"figure {name} is of any sweep: name one, as in `osr figure {name} digits`."
        )
    if accepted is not None and name != "cac4":
        raise ConfigError(f"figure {name} has no choice of accepted images; cac4 has.")
    if search and name != "search":
        raise ConfigError(f"figure {name} is about no search; the figure called search is.")
    source = Source.open(exports / chosen, trial, images, accepted, search)
    with styled():
        return FIGURES[name].make(source)


def draw(name: str, exports: Path, *, format: str = "png", **about: Any) -> bytes:
    """The bytes of a figure as png, svg or pdf; the rest is as of `made`.

    Raises:
        ConfigError, DataError: as `made`; another format.
    """
    figure = made(name, exports, **about)
    with styled():
        return encoded(figure, format)
