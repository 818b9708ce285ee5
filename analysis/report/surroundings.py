"""What a page takes from elsewhere than the exports, handed in by the command."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from analysis.figures.source import ImageLoader
from analysis.report.methods import NotesOf


@dataclass(frozen=True)
class Surroundings:
    """Each has a default for a page that is made of exports alone."""

    mlflow_url: str = "http://127.0.0.1:5000"  # where `osr ui` serves it by default
    notes_of: NotesOf = lambda _: None
    images: ImageLoader | None = None
    packaged: Collection[str] = ()  # names of the specs that come with osr
    stages_of: Callable[[str], Mapping[str, Collection[str]]] = lambda _: {}  # all behind a trial
    peaks_of: Callable[[Sequence[str]], Mapping[str, float]] = lambda _: {}  # megabytes by fit
