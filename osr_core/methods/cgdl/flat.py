"""CGDL's ladder as in the paper: fully connected layers on flattened maps, at every step.

x_1, ..., x_n are the maps of all of the encoder's layers (`osr_core/backbones/cgdl.py`), c_i their
channels and s_i their sides; z_i are l_i numbers, l_n = l_{n-1} = `latent` and twice as many for
each two steps down (32, 32, 64, 64, ..., 512, 512):
    up     q(z_i | x): two linear layers c_i s_i^2 -> l_i
    down   p(z_i | z_{i+1}): linear l_{i+1} -> c_{i+1} s_{i+1}^2, PReLU, deconv to c_i maps whose
           kernel is its stride, BN without scale and shift; then as up
    out    x~ = sigmoid(deconv(PReLU(linear z_1)), without what the encoder's first layer has padded

291,350,359 parameters with the encoder, for colour images of 28 or 32 pixels: 1.2 GB of weights,
and three times as much for a checkpoint of Adam's.

Source: Sun et al., CVPR 2020, and the authors' code, whose x~ comes from a tanh (see method.py).
"""

from torch import Tensor, nn

from osr_core.backbones import Backbone
from osr_core.methods.cgdl.ladder import Gaussian, Heads, Ladder


class Step(nn.Module):
    """Numbers to maps at the next finer layer, of `side` pixels."""

    def __init__(self, before: int, size: tuple[int, int], width: int, factor: int) -> None:
        super().__init__()
        channels, side = size
        self.linear = nn.Linear(before, channels * side * side)
        self.unflatten = nn.Unflatten(1, (channels, side, side))
        self.activation = nn.PReLU()
        self.deconv = nn.ConvTranspose2d(channels, width, factor, stride=factor)

    def forward(self, z: Tensor, side: int) -> Tensor:
        """(B, before) -> (B, width, side, side), the middle of what comes out."""
        maps: Tensor = self.deconv(self.activation(self.unflatten(self.linear(z))))
        start = (maps.shape[2] - side) // 2
        return maps[:, :, start : start + side, start : start + side]


def flat_heads(size: int, latent: int) -> Heads:
    """Linear layers."""
    return Heads(nn.Linear(size, latent), nn.Linear(size, latent))


class FlatLadder(Ladder):
    """A step for each of the encoder's layers; no z has positions."""

    def build(self, backbone: Backbone, latent: int, lateral: int) -> None:
        """Without `lateral`."""
        widths, self.sides = list(backbone.stage_channels), list(backbone.stage_sides)
        last = len(widths) - 1
        latents = [latent * 2 ** ((last - i) // 2) for i in range(len(widths))]
        flat = [width * side**2 for width, side in zip(widths, self.sides, strict=True)]
        self.top = flat_heads(flat[last], latents[last])
        self.up = nn.ModuleList(flat_heads(flat[i], latents[i]) for i in range(last))
        self.down = nn.ModuleList(flat_heads(flat[i], latents[i]) for i in range(last))
        sizes = list(zip(widths, self.sides, strict=True))
        self.steps = nn.ModuleList(
            Step(
                latents[i + 1],
                sizes[i + 1],
                widths[i],
                -(-self.sides[i] // self.sides[i + 1]),
            )
            for i in range(last)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(widths[i], affine=False) for i in range(last))
        self.image_side = backbone.image_size
        factor = -(-backbone.image_size // self.sides[0])
        self.to_image = Step(latents[0], sizes[0], backbone.channels, factor)

    def read_top(self, maps: Tensor) -> Gaussian:
        top: Gaussian = self.top(maps.flatten(1))
        return top

    def read(self, i: int, maps: Tensor) -> Gaussian:
        found: Gaussian = self.up[i](maps.flatten(1))
        return found

    def prior(self, i: int, z: Tensor) -> Gaussian:
        maps = self.norms[i](self.steps[i](z, self.sides[i]))
        found: Gaussian = self.down[i](maps.flatten(1))
        return found

    def image(self, z: Tensor) -> Tensor:
        image: Tensor = self.to_image(z, self.image_side)
        return image
