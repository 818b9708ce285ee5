"""Methods by name, one paper, one file. To add one: its file, and a line here."""

from osr_core.errors import ConfigError, unknown_name
from osr_core.methods.base import Method, MethodConfig, Prediction
from osr_core.methods.cac import CAC
from osr_core.methods.mls import MLS
from osr_core.methods.openmax import OpenMax
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.softmax import Softmax

METHODS: dict[str, type[Method]] = {
    method.name: method for method in (Softmax, MLS, OpenMax, CAC, PMAL)
}

__all__ = ["METHODS", "Method", "MethodConfig", "Prediction", "method_named"]


def method_named(name: str) -> type[Method]:
    """The method's class; ConfigError says which names exist."""
    if name not in METHODS:
        raise ConfigError(unknown_name("method", name, METHODS))
    return METHODS[name]
