"""The stage between PMAL's classifiers and its fit: prototypes mined from the training images."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import torch
from torch import Tensor, nn

from osr_core.config import build
from osr_core.context import Context, Result
from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.generators import generator_for
from osr_core.kinds import Kind
from osr_core.methods.pmal.config import PMALConfig
from osr_core.methods.pmal.mining import candidates, prototypes_of_class
from osr_core.methods.pmal.quality import dropout_probabilities, log_probability, log_steadiness
from osr_core.methods.pmal.topology import centred, log_robustness
from osr_core.methods.softmax import Softmax
from osr_core.precision import whole_float32
from osr_core.tables import table_of, table_to_bytes
from osr_core.tensors import from_bytes, to_bytes

PROTOTYPES, MINED = "prototypes.safetensors", "mined.parquet"
MINED_SCHEMA = pa.schema(
    [
        ("label", pa.int32()),  # position among the sorted known classes
        ("robustness", pa.float64()),  # r, in [0, 1]
        ("correct", pa.bool_()),  # whether the first classifier is right
        ("prototype", pa.bool_()),  # whether the image was chosen
    ]
)
MINE = Kind(name="pmal.mine", version=3, draws=True, leaves=(MINED,))


@torch.no_grad()
@whole_float32()
def mine(context: Context, config: Mapping[str, Any]) -> Result:
    """Choose each class's prototypes among all known training images.

    Leaves the prototypes' images (K, T, C, H, W) uint8, so that a fit that holds images out needs
    no positions; their positions among the known training images, `index` (K, T) int64; and a row
    for each of these with its r, which a figure shows.
    """
    settings = {key: v for key, v in config["method"].items() if key not in ("name", "version")}
    options = build(PMALConfig, settings)
    task = config["task"]
    train = context.train(config)
    points, log_r = assess(context, config, train, options)
    chosen, num_good = [], 0
    for k in range(len(task["known"])):
        positions = (train.labels == k).nonzero()[:, 0]
        of_class = positions.to(context.device)
        num_good += len(candidates(log_r[of_class], options.epsilon, 0))
        picked = prototypes_of_class(
            points[of_class],
            log_r[of_class],
            epsilon=options.epsilon,
            count=options.prototypes,
            diversity=options.diversity,
            generator=drawn(config, "random", k),
        )
        chosen.append(positions[picked.cpu()])
    index = torch.stack(chosen)
    correct = points.argmax(1).cpu() == train.labels
    is_prototype = torch.zeros(len(train), dtype=torch.bool)
    is_prototype[index] = True
    columns = [each.cpu().numpy() for each in (train.labels, log_r.exp(), correct, is_prototype)]
    artifacts = {
        PROTOTYPES: to_bytes({"images": train.images[index], "index": index}),
        MINED: table_to_bytes(table_of(columns, MINED_SCHEMA)),
    }
    return Result(artifacts, {"mine/candidate_fraction": num_good / len(train)})


def assess(
    context: Context, config: Mapping[str, Any], train: ImageSet, options: PMALConfig
) -> tuple[Tensor, Tensor]:
    """Where images lie, by the first classifier's centred logits (N, K), and log r (N,)."""
    label = train.labels.to(context.device)
    members = logits_of_members(context, config, train)
    points = centred(members[0])
    if options.quality == "robustness":
        return points, log_robustness([centred(logits) for logits in members], options.robustness)
    if options.quality == "probability":
        return points, log_probability(members[0], label)
    if options.quality == "deep_ensembles":
        own = torch.stack([log_probability(logits, label).exp() for logits in members])
        return points, log_steadiness(own)
    if options.quality == "mc_dropout":
        head, embedding = classifier(context, config, train, 0, {"member0": members[0]})
        dropped = dropout_probabilities(embedding, head, label, drawn(config, "dropout"))
        return points, log_steadiness(dropped)
    return points, points.new_zeros(len(points))


def drawn(config: Mapping[str, Any], *purpose: Any) -> torch.Generator:
    """The draws of one mining, by the trial's seed: trials of other seeds are independent."""
    task = config["task"]
    of_trial = (task["dataset"], task["known"], task["split"], config["seed"])
    return generator_for("pmal.mine", *of_trial, *purpose)


def logits_of_members(context: Context, config: Mapping[str, Any], train: ImageSet) -> list[Tensor]:
    """(N, K) logits by each of the ensemble's classifiers; those that were saved are not repeated.

    It can be stopped after any batch, and goes on with the classifier that it was at.
    """
    saved = context.checkpoint.load()
    found = {} if saved is None else from_bytes(saved)[0]
    for number in range(len(found), len(context.inputs)):
        head, embedding = classifier(context, config, train, number, found)
        found[f"member{number}"] = head(embedding)
    return [found[f"member{number}"].to(context.device) for number in range(len(found))]


def classifier(
    context: Context,
    config: Mapping[str, Any],
    train: ImageSet,
    number: int,
    found: Mapping[str, Tensor],
) -> tuple[nn.Module, Tensor]:
    """The head of one of the ensemble's classifiers, and its embeddings (N, D) of plain images.

    `found` is what is saved meanwhile.
    """
    num_known = len(config["task"]["known"])
    member = Softmax.fresh({**config, "method": {}}, num_known, context.device).eval()
    member.load_trained(context.weights(f"member{number}"))
    embeddings = []
    for batch in Batches(train, batch_size=512, device=context.device).ordered():
        embeddings.append(member.embed(batch.images))
        if context.checkpoint.due():
            context.checkpoint.save(to_bytes(found))
    return member.get_submodule("head"), torch.cat(embeddings)
