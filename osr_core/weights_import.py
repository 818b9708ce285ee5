"""Weights of somebody's network become those of one of ours: names, shapes, normalisation.

Every parameter must be filled, and every statistic of the network. What a method fits after its
training is taken from the file only where that is asked for (`anchors: stored`).
"""

import json
import pickle
import struct
from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from osr_core.context import WEIGHTS, Context, Result
from osr_core.errors import ConfigError
from osr_core.finite import lost_among
from osr_core.generators import seeded
from osr_core.imported import STORED
from osr_core.methods import Learner, learner_named
from osr_core.tensors import to_bytes

FILE = "file"  # the role in which a stage is given what the file holds
LEFT_OVER = "left_over.json"
NORMALIZE = "backbone.normalize."
COUNTS = "num_batches_tracked"  # of batch norms: no number of theirs counts when images are scored
MOST = 8  # names in a sentence
WEIGHTS_ARE = "names with a dense tensor each, of floats of 16 bits or more or of whole numbers"
DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.bool}
    | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
)
# what torch.load raises besides of a file that is cut, or none of its own
UNREADABLE = (
    RuntimeError, EOFError, ValueError, LookupError, TypeError, AssertionError, struct.error,
)  # fmt: skip


def read_weights(content: bytes, name: str, entry: str = "") -> dict[str, Tensor]:
    """The tensors of a file by their names there, on the CPU; no code in it is run.

    Args:
        content: safetensors if the name ends so, else what `torch.save` writes.
        name: of the file.
        entry: of a checkpoint with several parts, the one that has the weights.

    Raises:
        ConfigError: no such file, one with code in it, no weights or more than one set of them,
            numbers that are not finite.
    """
    if name.endswith(".safetensors"):
        try:
            found: Any = safetensors.torch.load(content)
        except (safetensors.SafetensorError, LookupError) as error:  # the latter: a type of numbers
            raise ConfigError(
                f"{name} is no file of safetensors that torch can read: {error}."
            ) from error
    else:
        found = _unpickled(content, name)
    tensors = _weights_in(found, name, entry)
    if lost := lost_among(tensors):
        raise ConfigError(f"{name} holds what is not finite: {lost}.")
    return {key: tensor.detach().clone() for key, tensor in tensors.items()}  # some share memory


def _unpickled(content: bytes, name: str) -> Any:
    try:
        return torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"{name} holds code or objects besides tensors, or it is no file of weights, and is "
            "refused; nothing of it was run. Whoever trusts it can write its tensors alone: "
            "torch.save(model.state_dict(), ...)."
        ) from error
    except UNREADABLE as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise ConfigError(f"{name} is no file of weights that torch can read: {why}") from error


def _weights_in(found: Any, name: str, entry: str) -> dict[str, Tensor]:
    """The one mapping of names to tensors in what a file holds."""
    parts = {key: each for key, each in found.items() if _is_weights(each)} if _maps(found) else {}
    if entry:
        if entry not in parts:
            there = ", ".join(map(str, parts)) or "none"
            raise ConfigError(f"{name} has no weights under '{entry}'. There is: {there}.")
        return dict(parts[entry])
    if _is_weights(found):
        return dict(found)
    if len(parts) == 1:
        return dict(*parts.values())
    what = f"several sets of weights: {', '.join(map(str, parts))}. Say which with --entry."
    raise ConfigError(f"{name} holds {what if parts else f'no weights: {WEIGHTS_ARE}.'}")


def _maps(found: Any) -> bool:
    return isinstance(found, Mapping)


def _is_weights(found: Any) -> bool:
    return (
        _maps(found)
        and bool(found)
        and all(isinstance(key, str) and _is_dense(value) for key, value in found.items())
    )


def _is_dense(value: Any) -> bool:
    """Whether it is a tensor with a number in every place, which a network may hold."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not value.is_nested
        and value.is_cpu  # one without numbers, of the device "meta", is not
        and value.dtype in DTYPES
    )


def renamed(given: Mapping[str, Tensor], names: Mapping[str, str | None]) -> dict[str, Tensor]:
    """Tensors by our names: `names` maps theirs, or what begins so where it ends in a dot.

    A whole name goes before a beginning, a longer beginning before a shorter, and "" is that of
    all; what is mapped to None is left out, and what is not mapped keeps its name.

    Raises:
        ConfigError: an entry of `names` that nothing is called by; two tensors of one name.
    """
    used: set[str] = set()
    found: dict[str, Tensor] = {}
    problems = []
    for name, tensor in given.items():
        rules = [key for key in names if key == name or (_begins(key) and name.startswith(key))]
        rule = max(rules, key=len, default=None)
        ours: str | None = name
        if rule is not None:
            used.add(rule)
            target = names[rule]
            ours = None if target is None else target + name[len(rule) :]
        if ours in found:
            problems.append(f"two tensors would be '{ours}', '{name}' being one of them")
        if ours is not None:
            found[ours] = tensor
    problems += [f"nothing in the file is called '{key}'" for key in names if key not in used]
    if problems:
        raise ConfigError([f"the mapping of names does not fit: {each}." for each in problems])
    return found


def _begins(key: str) -> bool:
    return not key or key.endswith(".")


def import_weights(context: Context, config: Mapping[str, Any]) -> Result:
    """Leave what a fit leaves but for a history, and the names of what had no place.

    Raises:
        ConfigError: weights that do not fit; says all that is wrong. Or the file is not at hand.
    """
    if FILE not in context.inputs:
        raise ConfigError(
            f"imported weights (sha256 {config['file'][:12]}...) are no longer in the store. "
            "Import their file again: osr import weights."
        )
    num_known = len(config["task"]["known"])
    with seeded("weights.import", device=context.device):
        learner = learner_named(config["method"]["name"]).fresh(config, num_known, context.device)
    given = renamed(context.tensors(FILE), config["names"])
    given |= _normalization(config["normalization"], given)
    own = {name: tensor.cpu() for name, tensor in learner.state_dict().items()}
    fresh = set(_refitted(learner)) if config["anchors"] != STORED else set()
    _check(learner, own, given, fresh)
    kept = {name: own[name] if name in fresh else given.get(name, own[name]) for name in own}
    if config["anchors"] == STORED:
        _refuse_untrained(learner, own, kept)
    learner.load_state_dict(kept)
    left_over = sorted(given.keys() - (own.keys() - fresh))
    artifacts = {
        WEIGHTS: to_bytes(learner.state_dict()),
        LEFT_OVER: json.dumps(left_over).encode(),
    }
    return Result(artifacts, {"import/tensors": len(own), "import/left_over": len(left_over)})


def _refitted(learner: Learner) -> Iterator[str]:
    """The buffers that a method fits after its training; its network's are not among them."""
    if learner.fits_after_training():
        names = (name for name, _ in learner.named_buffers())
        yield from (name for name in names if not name.startswith("backbone."))


def _normalization(
    told: Mapping[str, list[float]] | None, given: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What is told of it as tensors; none where the file has it."""
    if told is None:
        return {}
    if any(name.startswith(NORMALIZE) for name in given):
        raise ConfigError("the file says itself how images are normalised; leave out --mean, --std")
    return {f"{NORMALIZE}{key}": torch.tensor(values) for key, values in told.items()}


def _check(
    learner: Learner,
    own: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    fresh: Collection[str],
) -> None:
    """Refuse weights that leave a gap, or are of another shape."""
    needed = [name for name in own if name not in fresh and not name.endswith(COUNTS)]
    absent = [name for name in needed if name not in given]
    unsaid = [name for name in absent if name.startswith(NORMALIZE)]
    missing = [name for name in absent if name not in unsaid]
    problems = [
        f"'{name}' is of shape {tuple(given[name].shape)}, not {tuple(own[name].shape)}"
        for name in own.keys() & given.keys() - fresh
        if given[name].shape != own[name].shape and name not in learner.of_any_size
    ]
    problems = sorted(problems)
    if missing:
        left = sorted(given.keys() - own.keys())
        others = f"; without a place are {_some(left)}" if left else ""
        problems.append(
            f"{_some(missing)} are missing{others}. Name theirs as ours in a file for --names"
        )
    if unsaid:
        problems.append(
            "the file does not say how images in [0, 1] are normalised; give --mean and --std, a "
            "number for each channel"
        )
    if problems:
        raise ConfigError([f"weights do not fit '{learner.name}': {each}." for each in problems])


def _refuse_untrained(
    learner: Learner, own: Mapping[str, Tensor], kept: Mapping[str, Tensor]
) -> None:
    """Refuse what the file says was fitted and is still as it was before the training."""
    names = list(_refitted(learner))
    if names and all(torch.equal(own[name], kept[name].to(own[name].dtype)) for name in names):
        raise ConfigError(
            f"'{learner.name}' would score wrongly: what the file has for {_some(names)} is what "
            "stands there before any training. Say --anchors recompute."
        )


def _some(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:MOST])
    return f"{shown} and {len(names) - MOST} more" if len(names) > MOST else shown
