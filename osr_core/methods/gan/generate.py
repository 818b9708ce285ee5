"""The stage that makes unknown images by a GAN, for a fit that learns from them as such.

It goes batch by batch, each with draws of its own, and can go on after any of them. What it leaves:
    generated.safetensors  images (N, C, S, S) uint8, and index (N, P) of the P training images that
                           each was made from; the images of a fit
    generated.parquet      a few of them for people, beside what they were made from
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from osr_core.config import build
from osr_core.context import Context, Result
from osr_core.data.batches import Batches
from osr_core.generators import generator_for
from osr_core.kinds import Kind
from osr_core.methods.gan.gan import GAN, GANConfig, network_of
from osr_core.methods.softmax import Softmax
from osr_core.precision import whole_float32
from osr_core.tables import table_of, table_to_bytes
from osr_core.tensors import from_bytes, to_bytes

GENERATED = "generated.parquet"
FAKES = "generated.safetensors"
GENERATE = Kind(name="gan.generate", draws=True, leaves=(GENERATED,))
SCHEMA = pa.schema(
    [
        ("column", pa.int32()),  # of the grid: one for each image made
        ("role", pa.string()),  # start, partner or generated
        ("label", pa.int32()),  # of a start or a partner; where generated, the classifier's
        ("p_unknown", pa.float64()),  # p_{K+1} of logits l and 0
        ("channels", pa.int32()),
        ("side", pa.int32()),
        ("pixels", pa.list_(pa.uint8())),  # (C S S,)
    ]
)
ROLES = ("start", "partner")
BATCH = 64  # images
SHOWN = 32  # of them in the table, or fewer
MOST_PIXELS = 200_000  # in the table
COLLAPSED = 0.1  # of the training images' deviation
FEWEST_JUDGED = 8  # images; of fewer the deviation says little of their generator


class Makers(NamedTuple):
    """What images are made by and of, on the device, without gradients of their own."""

    gan: GAN
    classifier: Softmax
    train: Batches

    def logits(self, images: Tensor) -> Tensor:
        """(B, K) of the classifier that is to be deceived."""
        logits: Tensor = self.classifier.head(self.classifier.embed(images))
        return logits


Made = dict[str, Tensor]  # images (n, C, S, S) in [0, 1], index (n, P), numbers (n,) by name
Make = Callable[[Makers, int, torch.Generator], Made]  # how many, and the draws (CPU)


def log_odds_of_known(logits: Tensor) -> Tensor:
    """(B,) -log p_{K+1} of logits (B, K) and 0: log(1 + sum_k exp l_k)."""
    return torch.cat([logits, torch.zeros_like(logits[:, :1])], 1).logsumexp(1)


@whole_float32()
def generate(context: Context, config: Mapping[str, Any], make: Make) -> Result:
    """Make as many images as `fakes` says, by `make`; warn where many are all alike.

    `generate/variety` is left out where what they were made from does not differ, as one image.
    """
    num, makers = config["method"]["fakes"], makers_of(context, config)
    task = config["task"]
    of_trial = (config["method"]["name"], task["dataset"], task["known"], task["split"])
    made: Made = {}
    if (saved := context.checkpoint.load()) is not None:
        made, _ = from_bytes(saved)
    while (done := len(made.get("images", ()))) < num:
        draws = generator_for("gan.generate", *of_trial, config["seed"], done // BATCH)
        new = make(makers, min(BATCH, num - done), draws)
        new["images"] = new["images"].mul(255).to(torch.uint8)
        made = {k: torch.cat([*([made[k]] if made else []), new[k].cpu()]) for k in new}
        if context.checkpoint.due():
            context.checkpoint.save(to_bytes(made))
    numbers = {name: values for name, values in made.items() if name not in ("images", "index")}
    metrics = {f"generate/{name}": float(values.mean()) for name, values in numbers.items()}
    starts = makers.train.images[made["index"][:, 0]].cpu()
    if (of_starts := deviation(starts)) > 0:
        variety = metrics["generate/variety"] = deviation(made["images"]) / of_starts
        warn_if_collapsed(variety, num)
    artifacts = {
        FAKES: to_bytes({"images": made["images"], "index": made["index"]}),
        GENERATED: table_to_bytes(shown(made, makers)),
    }
    return Result(artifacts, metrics)


def warn_if_collapsed(variety: float, num: int) -> None:
    """Warn where `num` images differ by a share of what they were made from that is too small."""
    if variety < COLLAPSED and num >= FEWEST_JUDGED:
        warnings.warn(
            f"generated images differ by {variety:.3f} of what the images they were made from do: "
            "the generator has collapsed. Train it longer, or with another gan_lr.",
            stacklevel=2,
        )


def deviation(images: Tensor) -> float:
    """The mean over pixels of their standard deviation over images (N, C, S, S) uint8."""
    return float(images.float().std(0, correction=0).mean())


def makers_of(context: Context, config: Mapping[str, Any]) -> Makers:
    """The two networks upstream in eval mode, and the known training images."""
    num_known, settings = len(config["task"]["known"]), config["method"]
    own = {name: settings[name] for name in settings if name in GAN.setting_names()}
    network = network_of(config["backbone"], build(GANConfig, own).gan_width)
    gan = GAN.fresh({"method": own, "backbone": network}, num_known, context.device)
    gan.load_trained(context.weights("gan"))
    classifier = Softmax.fresh({**config, "method": {}}, num_known, context.device)
    classifier.load_trained(context.weights("classifier"))
    train = Batches(context.train(config), batch_size=BATCH, device=context.device)
    return Makers(gan.eval().requires_grad_(False), classifier.eval().requires_grad_(False), train)


@torch.no_grad()
def shown(made: Made, makers: Makers) -> pa.Table:
    """Rows of the first images made, each below what it was made from."""
    images, index = made["images"], made["index"]
    each = images[0].numel()
    count = min(SHOWN, len(images), max(1, MOST_PIXELS // (each * (1 + index.shape[1]))))
    parts = [makers.train.images[index[:count, p]].cpu() for p in range(index.shape[1])]
    pictures = torch.cat([*parts, images[:count]])
    logits = makers.logits(pictures.to(makers.train.labels.device).float() / 255)
    labels = [makers.train.labels[index[:count, p]] for p in range(index.shape[1])]
    label = torch.cat([*labels, logits[-count:].argmax(1)]).cpu()
    unknown = (-log_odds_of_known(logits.double())).exp().cpu()
    roles = [role for role in (*ROLES[: len(parts)], "generated") for _ in range(count)]
    columns = [
        list(range(count)) * (len(parts) + 1),
        roles,
        label.numpy(),
        unknown.numpy(),
        [images.shape[1]] * len(roles),
        [images.shape[2]] * len(roles),
        list(pictures.flatten(1).numpy()),
    ]
    return table_of(columns, SCHEMA)


# -- the two ways of making them ---------------------------------------------------------------


def descended(
    start: Tensor,
    loss: Callable[[Tensor], Tensor],
    *,
    steps: int,
    step: float,
    distance_weight: float,
    project: Callable[[Tensor], Tensor],
) -> Tensor:
    """Where gradient descent from latents z_0 (B, ...) leads, each by itself.

    `steps` times z <- project(z - step grad(loss(z) + distance_weight ||z - z_0||^2)), `loss`
    giving (B,).
    """
    latents = start.detach()
    for _ in range(steps):
        with torch.enable_grad():
            latents.requires_grad_()
            apart = (latents - start).square().flatten(1).sum(1)
            total = (loss(latents) + distance_weight * apart).sum()
            (slope,) = torch.autograd.grad(total, latents)
        latents = project(latents.detach() - step * slope)
    return latents


def least_certain(images: Tensor, logits: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` images of (N, C, S, S) whose largest probability by logits (N, K) is lowest.

    With their positions, and all of these probabilities (N,).
    """
    certainty = logits.softmax(1).amax(1)
    chosen = certainty.argsort(stable=True)[:count]
    return images[chosen], chosen, certainty


def drawn_positions(makers: Makers, count: int, draws: torch.Generator) -> Tensor:
    """(count,) of training images, each as likely as any."""
    return torch.randint(len(makers.train), (count,), generator=draws)


def unknown_of(makers: Makers, images: Tensor) -> Tensor:
    """(B,) p_{K+1} of images."""
    return (-log_odds_of_known(makers.logits(images))).exp()
