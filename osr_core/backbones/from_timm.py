"""Networks of timm (PyTorch Image Models) by name: `backbone: {name: timm/resnet18}`.

Their embeddings are what timm's own classifier would stand on; ours has a bias there. Weights start
at random, and none are fetched: a pretrained network comes in with `osr import weights`.

timm's version is part of the backbone's, and so of every id: a release may change a network. The
intermediate maps are not reached, so methods that read those take none of these networks.
"""

from functools import cache
from typing import Any, ClassVar

from torch import Tensor

from osr_core.backbones.base import Backbone
from osr_core.errors import ConfigError, nearest

PREFIX = "timm/"


class Timm(Backbone):
    """timm's network called `architecture`."""

    architecture: ClassVar[str]
    head_bias = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        timm = _timm()
        has_positions = timm.get_pretrained_cfg(self.architecture).fixed_input_size
        of_size = {"img_size": config.image_size} if has_positions else {}
        self.network = timm.create_model(
            self.architecture, pretrained=False, num_classes=0, in_chans=config.channels, **of_size
        )
        self.dim = int(getattr(self.network, "head_hidden_size", self.network.num_features))

    def forward(self, images: Tensor) -> Tensor:
        embedding: Tensor = self.network(self.normalize(images))
        return embedding


@cache
def network_of_timm(name: str) -> type[Timm]:
    """The class of a network by its name here, such as "timm/resnet18".

    Raises:
        ConfigError: timm is not installed, or has no network of this name.
    """
    timm, architecture = _timm(), name.removeprefix(PREFIX)
    if "." in architecture:
        raise ConfigError(
            f"backbone '{name}' names weights of timm's, and none are fetched. Write "
            f"'{name.partition('.')[0]}', and bring weights from a file with `osr import weights`."
        )
    if not timm.is_model(architecture):
        near = ", ".join(f"{PREFIX}{each}" for each in nearest(architecture, timm.list_models()))
        raise ConfigError(
            f"backbone '{name}' does not exist in timm {timm.__version__}."
            + (f" Near are: {near}." if near else " `timm.list_models()` has all names.")
        )
    own = {"architecture": architecture, "version": f"1 of timm {timm.__version__}"}
    return type("Timm", (Timm,), {**own, "__module__": Timm.__module__})


def _timm() -> Any:
    from osr_core import vision  # noqa: F401  (timm imports torchvision, which it makes ready)

    try:
        import timm
    except ImportError as error:
        raise ConfigError(
            "backbones that begin with 'timm/' need timm, which is not installed: pip install "
            '"osr-sweeps[timm]", on every machine of the cluster.'
        ) from error
    return timm
