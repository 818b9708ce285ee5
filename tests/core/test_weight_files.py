"""Files of others' weights: what is read of them, code in them, and files that are none."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from osr_core.errors import ConfigError
from osr_core.tensors import to_bytes
from osr_core.weights_import import read_weights


def saved(values: Any) -> bytes:
    """As `torch.save` writes it."""
    buffer = BytesIO()
    torch.save(values, buffer)
    return buffer.getvalue()


class Bomb:
    """A pickle that leaves a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    """A checkpoint from the net is a program for `pickle.load`."""
    trace = tmp_path / "was_run"
    content = saved({"net": {"a": torch.ones(1)}, "bomb": Bomb(trace)})
    with pytest.raises(ConfigError, match="refused; nothing of it was run"):
        read_weights(content, "theirs.pth")
    assert not trace.exists()


def test_the_weights_of_a_checkpoint_are_found_or_asked_for() -> None:
    """Beside an epoch and an optimiser's state."""
    net, average = {"a": torch.ones(1)}, {"a": torch.zeros(1)}
    one = saved({"net": net, "epoch": 3, "optimizer": {"lr": 0.1}})
    assert read_weights(one, "a.pth")["a"].item() == 1
    two = saved({"net": net, "ema": average})
    with pytest.raises(ConfigError, match=r"several sets of weights: net, ema\. Say which"):
        read_weights(two, "a.pth")
    assert read_weights(two, "a.pth", "ema")["a"].item() == 0
    with pytest.raises(ConfigError, match=r"no weights under 'model'\. There is: net, ema"):
        read_weights(two, "a.pth", "model")


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"PK", "a.pth", "no file of weights|refused"),
        (b"", "a.pth", "no file of weights"),
        (b"no", "a.safetensors", "no file of safetensors"),
        (b"<!DOCTYPE html>", "a.pth", "or it is no file of weights, and is refused"),
        (saved({"epoch": 3}), "a.pth", "holds no weights"),
        (saved({"a": torch.tensor([torch.nan])}), "a.pth", "not finite"),
    ],
)
def test_a_file_that_holds_no_weights_is_told(content: bytes, name: str, problem: str) -> None:
    """In a sentence, whatever the readers raise."""
    with pytest.raises(ConfigError, match=problem):
        read_weights(content, name)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_numbers_that_no_network_here_holds_are_told(dtype: torch.dtype, name: str) -> None:
    """Torch cannot compute with the former, and would drop a part of the latter."""
    given = {"a": torch.ones(2).to(dtype)}
    content = to_bytes(given) if name.endswith(".safetensors") else saved(given)
    with pytest.raises(ConfigError, match="holds no weights: names with a dense tensor each"):
        read_weights(content, name)


def test_safetensors_of_a_type_unknown_to_torch_are_told() -> None:
    """The format grows faster than its readers."""
    content = to_bytes({"a": torch.ones(2).to(torch.float8_e4m3fn)})
    with pytest.raises(ConfigError, match="no file of safetensors that torch can read"):
        read_weights(content.replace(b"F8_E4M3", b"F8_E8M0"), "a.safetensors")


@pytest.mark.parametrize(
    "given",
    [
        {0: torch.ones(2)},
        {"a": torch.ones(2), "b": torch.eye(2).to_sparse()},
        {"a": torch.ones(2, device="meta")},
        {"a": torch.ones(2), "epoch": 3},
    ],
    ids=["numbers for names", "sparse", "without content", "no tensor"],
)
def test_a_mapping_of_anything_else_is_no_weights(given: dict[Any, Any]) -> None:
    """Each of them ended in a traceback where tensors were compared or their names cut."""
    with pytest.raises(ConfigError, match="holds no weights: names with a dense tensor each"):
        read_weights(saved(given), "a.pth")


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_file_that_is_cut_anywhere_is_told(as_zip: bool) -> None:
    """An older file is a row of pickles, and breaks in more ways than a zip."""
    buffer = BytesIO()
    given = {"a": torch.ones(3), "b": torch.arange(4)}
    torch.save(given, buffer, _use_new_zipfile_serialization=as_zip)
    content = buffer.getvalue()
    for length in range(0, len(content), 40 if as_zip else 3):
        with pytest.raises(ConfigError, match=r"no file of weights|holds no weights"):
            read_weights(content[:length], "a.pth")
