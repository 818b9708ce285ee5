"""The nine tables of the two papers by name."""

from collections.abc import Callable, Mapping

from analysis.papers import cac, pmal
from analysis.papers.layout import Layout
from osr_core.errors import ConfigError, unknown_name

LAYOUTS: Mapping[str, Callable[[], Layout]] = {
    "cac1": cac.table1,
    "cac2": cac.table2,
    "cac3": cac.table3,
    "cac4": cac.table4,
    "pmal1": pmal.table1,
    "pmal2": pmal.table2,
    "pmal3": pmal.table3,
    "pmal4": pmal.table4,
    "pmal5": pmal.table5,
}


def layout_named(name: str) -> Layout:
    """The layout of "cac1" to "cac4" or "pmal1" to "pmal5".

    Raises:
        ConfigError: another name.
    """
    if name not in LAYOUTS:
        raise ConfigError(unknown_name("table", name, LAYOUTS))
    return LAYOUTS[name]()
