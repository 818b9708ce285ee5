"""Methods by name, one paper, one file. To add one: its file, and a line here.

A method outside this package is an entry point: see plugins.py.
"""

from osr_core.methods.arpl import ARPL
from osr_core.methods.arpl_cs.method import ARPLCS
from osr_core.methods.base import ImageMethod, Learner, Method, MethodConfig, Prediction
from osr_core.methods.c2ae.method import C2AE
from osr_core.methods.cac import CAC
from osr_core.methods.center import Center
from osr_core.methods.cgdl.method import CGDL
from osr_core.methods.cpn import CPN
from osr_core.methods.crosr import CROSR
from osr_core.methods.cssr import CSSR
from osr_core.methods.energy import Energy
from osr_core.methods.g_openmax import GOpenMax
from osr_core.methods.gan.gan import GAN
from osr_core.methods.knn import KNN
from osr_core.methods.mahalanobis import Mahalanobis
from osr_core.methods.medaf import MEDAF
from osr_core.methods.mls import MLS
from osr_core.methods.openhybrid.method import OpenHybrid
from osr_core.methods.openmax import OpenMax
from osr_core.methods.osrci import OSRCI
from osr_core.methods.plugins import Methods
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.proser import PROSER
from osr_core.methods.rpl import RPL
from osr_core.methods.rplpp import RPLPlusPlus
from osr_core.methods.softmax import Softmax
from osr_core.methods.vim import ViM

OWN: dict[str, type[ImageMethod]] = {
    method.name: method
    for method in (
        Softmax,
        MLS,
        OpenMax,
        CAC,
        PMAL,
        Energy,
        KNN,
        Mahalanobis,
        ViM,
        ARPL,
        ARPLCS,
        PROSER,
        Center,
        CPN,
        RPL,
        RPLPlusPlus,
        GOpenMax,
        OSRCI,
        CROSR,
        C2AE,
        CGDL,
        OpenHybrid,
        CSSR,
        MEDAF,
    )
}
METHODS = Methods(OWN)

PARTS: dict[str, type[Learner]] = {GAN.name: GAN}  # trained for methods, and no rows of a table

__all__ = [
    "METHODS",
    "OWN",
    "PARTS",
    "ImageMethod",
    "Learner",
    "Method",
    "MethodConfig",
    "Prediction",
    "learner_named",
    "method_named",
]


def method_named(name: str) -> type[ImageMethod]:
    """The method's class; ConfigError says which names exist, or why this one cannot be used."""
    return METHODS.named(name)


def learner_named(name: str) -> type[Learner]:
    """What a fit trains by this name: a method, or a part of one."""
    return PARTS[name] if name in PARTS else method_named(name)
