"""CGDL on its paper's network: a fit, which can be gone on with, its calibration and its scores."""

import dataclasses
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, Runs, context, shortened, trial
from resuming import assert_resumable

from osr_core.backbones import resolve_backbone
from osr_core.context import SCORES
from osr_core.data.batches import Batches
from osr_core.execution import WEIGHTS
from osr_core.methods.cgdl.flat import FlatLadder
from osr_core.methods.cgdl.method import CGDL
from osr_core.tensors import from_bytes
from osr_core.trial import Trial

FEW_STEPS = shortened(TRAINING, epochs=4, batch_size=64)  # two in an epoch


def flat(score: str = "either") -> Trial:
    """A trial on the paper's ten layers with 2 to 15 channels, and all numbers of its ladder."""
    backbone = resolve_backbone({"name": "cgdl", "width": 0.03}, image_size=16, channels=1)
    return dataclasses.replace(trial("cgdl", FEW_STEPS, {"score": score}), backbone=backbone)


def test_a_resumed_fit_is_bit_identical(runs: Runs) -> None:
    """Draws at all ten steps of the ladder and its running statistics are taken up again."""
    assert_resumable(runs.last_fit(flat()), runs)


def test_calibration_describes_the_classes_of_what_the_fit_left(runs: Runs) -> None:
    """Their means at the top of the ladder, image by image; no weight is changed."""
    stage = flat().model
    fitted = from_bytes(runs.result(stage.inputs["classifier"]).artifacts[WEIGHTS])[0]
    left = from_bytes(runs.result(stage).artifacts[WEIGHTS])[0]
    method = CGDL.fresh(stage.config, NUM_KNOWN, torch.device("cpu")).eval()
    assert isinstance(method.ladder, FlatLadder)
    method.load_trained(left)
    assert all(torch.equal(left[name], fitted[name]) for name, _ in method.named_parameters())
    train = context({}).train(stage.config)
    images = Batches(train, batch_size=1).ordered()
    with torch.no_grad():
        observed = [method.observed(batch.images) for batch in images]
    latent = torch.cat([mu for _, _, mu, _ in observed])
    correct = torch.cat([logits for _, logits, _, _ in observed]).argmax(1) == train.labels
    for k, mean in enumerate(left["means"]):
        own = (train.labels == k) & correct
        chosen = latent[own if own.sum() > 1 else train.labels == k]
        torch.testing.assert_close(mean, chosen.mean(0), rtol=1e-4, atol=1e-5)
    assert bool((left["usual"][:, 1] > 1e-6).all())


@pytest.mark.parametrize("score", ["either", "sum", "density"])
def test_each_score_is_a_number_that_differs_from_image_to_image(score: str, runs: Runs) -> None:
    """Of all 100 test images."""
    content = runs.result(flat(score).score).artifacts[SCORES]
    scores = pq.read_table(io.BytesIO(content))["unknown_score"].to_numpy()
    assert scores.shape == (100,)
    assert np.isfinite(scores).all()
    assert len(set(scores.tolist())) > 90
