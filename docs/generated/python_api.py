"""Reference of the Python API: the names that the packages offer, by their docstrings."""

import analysis
import osr_core.detector
import sweeps

OPENING = """\
# Python

The names that scripts and notebooks may rely on; [From Python](../library.md) shows them at work.
Errors are below `osr_core.errors.OsrError`.
"""
OFFERED = (
    ("sweeps", sweeps, tuple(sweeps.__all__)),
    ("analysis", analysis, tuple(analysis.__all__)),
    ("Trained methods", osr_core.detector, ("Detector", "Decisions")),
)


def page() -> str:
    """A section for each package; the docstrings are read from the source by mkdocstrings."""
    parts = [OPENING]
    for title, package, names in OFFERED:
        parts.append(f"\n## {title}\n")
        for name in names:
            offered = getattr(package, name)
            parts.append(f"\n::: {offered.__module__}.{offered.__qualname__}\n")
    return "".join(parts)
