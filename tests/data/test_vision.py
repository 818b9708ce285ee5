"""The door to torchvision opens beside a CPU build of torch, and does no more than it must."""

import subprocess
import sys

import pytest
import torch

from osr_core import vision


def test_torchvision_imports_in_a_fresh_process():
    """The published wheel fails to import beside a CPU build; through the door it must not."""
    code = (
        "from osr_core.vision import torchvision as t;"
        "t.datasets.CIFAR10, t.transforms.functional.rotate, t.models.resnet18()"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)


def test_operators_that_exist_are_left_alone():
    """After the import both are there, in whatever way; a second call finds nothing to do."""
    assert vision.declare_missing_operators() == []


@pytest.mark.parametrize("reason", ["cuda", "library"])
def test_nothing_is_declared_where_the_real_operators_can_be(monkeypatch, reason):
    """A declaration would hide torchvision's own operator, or the reason why it is missing."""
    monkeypatch.setattr(vision, "OPERATORS", ("osr_absent",))
    monkeypatch.setattr(torch.version, "cuda", "13.0" if reason == "cuda" else None)
    monkeypatch.setattr(vision, "_own_library_loads", lambda: reason == "library")
    assert vision.declare_missing_operators() == []
    assert not hasattr(torch.ops.torchvision, "osr_absent")


def test_only_a_missing_operator_is_declared(monkeypatch):
    """Newer versions ask for more operators, older for fewer; each is looked at by itself."""
    monkeypatch.setattr(vision, "OPERATORS", ("nms", "osr_missing"))
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(vision, "_own_library_loads", lambda: False)
    assert vision.declare_missing_operators() == ["osr_missing"]
    assert vision.declare_missing_operators() == []
