"""C2AE: class conditioned auto-encoder.

A trained softmax classifier is frozen. z are its last maps, flattened; c_k in {-1, +1}^K is +1 at
class k alone; G is a decoder (decoder.py) with tanh, x in [-1, 1]:
    condition      z_k = H_g(c_k) z + H_b(c_k), one fully connected layer each
    match          a mean |x - G(z_y)|
    non-match      (1 - a) mean |x' - G(z_j)|, j != y uniform, x' a random training image of class j
    loss           the sum of the two
    error          e_k = mean |x - G(z_k)|
    unknown_score  min_k e_k ("all", the paper), or e at the predicted class ("predicted")
    logits         the classifier's

Source: Oza and Patel, "C2AE: class conditioned auto-encoder for open-set recognition", CVPR 2019.
The authors' code is no longer to be had.

Deviations, and choices that the paper leaves open; AUROCs are a prototype's on one split of digits:
- x' is of class j: 94.7, of any other class 93.2, the input itself 92.3.
- z has its positions, which pooling would lose: 94.7 instead of 89.2.
- The decoder is trained for as many epochs as the classifier, un-augmented images as x'.
The extreme value distributions of the paper set a threshold and are left out: no ranking changes.
The classifier is in eval mode while the decoder learns, its batch norms too.

A last stage, `c2ae.reconstruct`, passes the weights on. It leaves pictures of training images under
each class (pictures.py), and says of SAMPLED how often the own class errs least.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from osr_core.backbones import Backbone
from osr_core.backbones.flops import flops_of, forward_flops, stage_shapes
from osr_core.config import setting
from osr_core.context import WEIGHTS, Context, Result, StageFunction
from osr_core.data.base import Benchmark, ImageSet
from osr_core.data.batches import Batch, Batches
from osr_core.data.imageset import Picked
from osr_core.kinds import Kind
from osr_core.methods.base import ImageMethod, MethodConfig, Prediction, make_optimizer
from osr_core.methods.c2ae.pictures import RECONSTRUCT, RECONSTRUCTED, table_of_pictures
from osr_core.methods.decoder import Decoder
from osr_core.methods.softmax import Softmax
from osr_core.precision import whole_float32
from osr_core.recipes import Recipe, Training, by_adam, common
from osr_core.stage import Stage
from osr_core.tables import table_to_bytes
from osr_core.trial import Trial

SAMPLED = 512  # training images that are decoded under every class
BATCH = 64  # of them at once


def absolute_error(targets: Tensor, images: Tensor) -> Tensor:
    """(B,) mean |x - x~| over channels and pixels."""
    return (targets - images).abs().mean((1, 2, 3))


class Condition(nn.Module):
    """Scales and shifts maps by a class: z_k = H_g(c_k) z + H_b(c_k)."""

    def __init__(self, num_known: int, size: int) -> None:
        super().__init__()
        self.num_known = num_known
        self.scale = nn.Linear(num_known, size)
        self.shift = nn.Linear(num_known, size)

    def forward(self, maps: Tensor, label: Tensor) -> Tensor:
        """Maps of the same shape (B, C, H, W), each by its class label (B,)."""
        codes = -torch.ones(len(label), self.num_known, device=maps.device)
        codes.scatter_(1, label[:, None], 1.0)
        scale, shift = (layer(codes).view_as(maps) for layer in (self.scale, self.shift))
        conditioned: Tensor = scale * maps + shift
        return conditioned


def decoder_of(channels: int, side: int, image_size: int, of_image: int, width: float) -> Decoder:
    """C2AE's by numbers: the channels and side of what it decodes, the image's, its width."""
    return Decoder(channels, side, image_size, of_image, width, nn.Tanh())


class ByClass:
    """Draws training images of a class."""

    def __init__(self, train: Batches, num_known: int) -> None:
        self.train = train
        self.positions = train.labels.argsort(stable=True)  # class after class
        self.counts = train.labels.bincount(minlength=num_known)
        self.starts = self.counts.cumsum(0) - self.counts

    def draw(self, label: Tensor) -> Tensor:
        """One image for each of label (B,), un-augmented, from torch's global generator."""
        counts = self.counts[label]
        number = (torch.rand(len(label), device=label.device) * counts).long()
        chosen = self.starts[label] + torch.minimum(number, counts - 1)
        return self.train.take(self.positions[chosen])


@whole_float32()
@torch.no_grad()
def reconstruct(context: Context, config: Mapping[str, Any]) -> Result:
    """Decode training images, every so many, under each class, and pass the weights on."""
    num_known, train = len(config["task"]["known"]), context.train(config)
    method = C2AE.fresh(config, num_known, context.device).eval()
    method.load_trained(context.weights("decoder"))
    at = torch.linspace(0, len(train) - 1, min(SAMPLED, len(train))).long()
    sample = context.batches(ImageSet(train.images[at], train.labels[at]))
    found = [
        method.errors(batch.images, method.maps(batch.images)) for batch in sample.ordered(BATCH)
    ]
    errors = torch.cat(found)
    own = errors.gather(1, sample.labels[:, None]).squeeze(1)
    numbers = {
        "own_error": own.mean(),
        "other_error": ((errors.sum(1) - own) / (num_known - 1)).mean(),
        "own_is_least": (errors.argmin(1) == sample.labels).double().mean(),
    }
    pictures = table_of_pictures(context.batches(train), num_known, method.decoded)
    weights = context.inputs["decoder"][WEIGHTS]
    artifacts = {WEIGHTS: weights, RECONSTRUCTED: table_to_bytes(pictures)}
    return Result(artifacts, {f"reconstruct/{name}": float(n) for name, n in numbers.items()})


class C2AE(ImageMethod):
    """Softmax's classifier, and a decoder that is told a class."""

    name = "c2ae"
    title = "C2AE"
    source = "Oza and Patel, CVPR 2019"
    terms: ClassVar[tuple[str, ...]] = ("match", "non_match")
    passes = 0  # with gradients
    static_step = True
    kinds: ClassVar[Mapping[Kind, StageFunction]] = {RECONSTRUCT: reconstruct}

    @dataclass(frozen=True, kw_only=True)
    class Config(Softmax.Config):
        """The decoder, its loss and its training."""

        match_weight: float = setting(0.9, "a (paper: 0.9)", above=0, at_most=1)
        decoder_width: float = setting(1.0, "multiplier of the decoder's widths", above=0)
        decoder_lr: float = setting(
            3e-4, "Adam's peak learning rate (paper: 0.0003)", above=0, read_by="recipe"
        )
        inference: str = setting(
            "all",
            "classes whose error counts (paper: all)",
            choices=("all", "predicted"),
            read_by="score",
        )

    def __init__(self, backbone: Backbone, num_known: int, config: MethodConfig) -> None:
        super().__init__(backbone, num_known, config)
        self.head = backbone.classifier(num_known)
        channels, side = backbone.stage_channels[-1], backbone.stage_sides[-1]
        self.condition = Condition(num_known, channels * side * side)
        image = (backbone.image_size, backbone.channels)
        self.decoder = Decoder(channels, side, *image, self.config.decoder_width, nn.Tanh())
        self.by_class: ByClass | None = None  # while training

    @classmethod
    def recipe(cls, trial: Trial) -> Stage:
        """The Softmax row's classifier; the decoder, as many epochs by Adam; what it makes."""
        schedule, lr = trial.training, trial.config.decoder_lr
        decoding = by_adam(schedule, epochs=schedule.epochs, lr=lr, beta1=0.9)
        classifier = trial.fit(Softmax)
        decoder = trial.fit(role="decoder", training=decoding, inputs={"classifier": classifier})
        return trial.stage(RECONSTRUCT, "fit", inputs={"decoder": decoder})

    @classmethod
    def published(cls, benchmark: Benchmark) -> Recipe:
        """The common recipe in batches of 64 (paper); its schedule is not told."""
        recipe = common(benchmark)
        return replace(recipe, training=replace(recipe.training, batch_size=64))

    @classmethod
    def further_flops(cls, fit: Stage, num_images: float) -> float:
        """The classifier forward; the decoder twice, forward and back."""
        backbone, width = fit.config["backbone"], fit.config["method"]["decoder_width"]
        last, side = stage_shapes(backbone)[-1], backbone["image_size"]
        decoder = flops_of(decoder_of, [*last[1:3], side, backbone["channels"], width], last)
        return num_images * fit.effort * (forward_flops(backbone) + 6 * decoder)

    def prepare(self, train: Batches, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take the classifier's weights, which stay as they are."""
        own = {
            f"{name}.{key}": value
            for name in ("condition", "decoder")
            for key, value in self.get_submodule(name).state_dict().items()
        }
        self.load_classifier({**own, **inputs["classifier"]})
        for frozen in (self.backbone, self.head):
            frozen.requires_grad_(False)
        self.by_class = ByClass(train, self.num_known)
        self.static_step &= not isinstance(train.images, Picked)  # these are read by the CPU

    def train(self, mode: bool = True) -> Self:
        """The classifier never learns, nor do its batch norms."""
        super().train(mode)
        self.backbone.eval()
        self.head.eval()
        return self

    def optimizers(self, training: Training) -> dict[str, torch.optim.Optimizer]:
        learning = [*self.condition.parameters(), *self.decoder.parameters()]
        return {"main": make_optimizer(learning, training)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        if self.by_class is None:
            raise ValueError("C2AE's losses need training images by class, which `prepare` takes")
        with torch.no_grad():
            maps = self.maps(batch.images)
        step = torch.randint(1, self.num_known, batch.label.shape, device=batch.label.device)
        other = (batch.label + step) % self.num_known
        weight = self.config.match_weight
        match = self.error(batch.images, maps, batch.label).mean()
        non_match = self.error(self.by_class.draw(other), maps, other).mean()
        return {"match": weight * match, "non_match": (1 - weight) * non_match}

    def maps(self, images: Tensor) -> Tensor:
        """The last maps z of images (B, C, H, W) in [0, 1]."""
        return self.embed_stages(images)[1][-1]

    def error(self, images: Tensor, maps: Tensor, label: Tensor) -> Tensor:
        """(B,) e of images (B, C, H, W) in [0, 1] against what maps give under label (B,)."""
        return absolute_error(2 * images - 1, self.decoder(self.condition(maps, label)))

    def errors(self, images: Tensor, maps: Tensor) -> Tensor:
        """(B, K) e under every class."""
        classes = torch.arange(self.num_known, device=images.device)
        return torch.stack([self.error(images, maps, k.expand(len(images))) for k in classes], 1)

    def decoded(self, images: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """What images (B, C, H, W) in [0, 1] become under label (B,), in [0, 1], and e (B,)."""
        made = self.decoder(self.condition(self.maps(images), label))
        return (made + 1) / 2, absolute_error(2 * images - 1, made)

    def forward(self, images: Tensor) -> Prediction:
        embedding, stages = self.embed_stages(images)
        maps, logits = stages[-1], self.head(embedding)
        if self.config.inference == "predicted":
            return Prediction(logits, self.error(images, maps, logits.argmax(1)), embedding)
        return Prediction(logits, self.errors(images, maps).amin(1), embedding)
