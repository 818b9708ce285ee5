"""What can be set of PMAL, the paper's ablations included."""

from dataclasses import dataclass

from osr_core.config import setting
from osr_core.errors import ConfigError
from osr_core.methods.pmal.mining import NEED_AN_ORDER, SPREADS
from osr_core.methods.pmal.topology import MODES
from osr_core.methods.softmax import Softmax

QUALITIES = ("robustness", "probability", "deep_ensembles", "mc_dropout", "none")


@dataclass(frozen=True, kw_only=True)
class PMALConfig(Softmax.Config):
    """Mining, margin and rejection.

    The paper's ablations: `quality` none, `diversity` none and `distance` nearest are Table 3,
    the other choices of `quality` and `diversity` Table 4.
    """

    members: int = setting(
        2, "U, classifiers that must agree (paper: 2)", at_least=2, read_by="mine"
    )
    quality: str = setting(
        "robustness",
        "what makes an image a candidate, see quality.py (paper: robustness)",
        choices=QUALITIES,
        read_by="mine",
    )
    prototypes: int = setting(
        10,
        "T per class (paper: 10)",
        at_least=1,
        at_most=10_000,
        read_by="mine",
        if_few="images are repeated",
    )
    epsilon: float = setting(
        0.7,
        "least robustness of a candidate, as a fraction of its class's best (paper: 0.7)",
        at_least=0,
        below=1,
        read_by="mine",
    )
    robustness: str = setting(
        "relative",
        "what of two classifiers' distances is compared, see topology.py",
        choices=tuple(MODES),
        read_by="mine",
    )
    diversity: str = setting(
        "nearest_better",
        "how candidates become prototypes, see mining.py (paper: nearest_better)",
        choices=tuple(SPREADS),
        read_by="mine",
    )
    distance: str = setting(
        "attention", "of a point to a set of prototypes", choices=("attention", "nearest")
    )
    margin: float = setting(0.5, "delta (paper: 0.5)", at_least=0)
    prototype_weight: float = setting(1.0, "lambda_p (paper: 1)", at_least=0)
    embed_every: int = setting(
        10, "steps between two embeddings of all prototypes, see method.py", at_least=1
    )
    warm_start: bool = setting(True, "begin with the first classifier's weights")
    rejection: str = setting(
        "distance",
        "what the score is (paper: distance)",
        choices=("distance", "probability"),
        read_by="score",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quality == "none" and self.diversity in NEED_AN_ORDER:
            raise ConfigError(
                f"diversity must be one of {', '.join(sorted(SPREADS.keys() - {*NEED_AN_ORDER}))}, "
                f"not {self.diversity!r}, where quality is 'none': nothing orders the images."
            )
