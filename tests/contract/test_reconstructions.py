"""C2AE's last stage: training images under each class, for people; the weights are passed on."""

import io
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from blobs import NUM_KNOWN, Runs, context, trial
from test_asking import EndedError, Ending

from osr_core.data.base import ImageSet
from osr_core.data.batches import Batches
from osr_core.execution import WEIGHTS, run_stage
from osr_core.methods.c2ae.method import C2AE, absolute_error
from osr_core.methods.c2ae.pictures import CLASSES, RECONSTRUCTED, shown
from osr_core.stage import Stage
from osr_core.tensors import from_bytes


def stage() -> Stage:
    """What C2AE scores with."""
    model = trial("c2ae").model
    assert model.kind.name == "c2ae.reconstruct"
    return model


def rows(runs: Runs) -> list[dict[str, Any]]:
    """What it leaves for people."""
    content = runs.result(stage()).artifacts[RECONSTRUCTED]
    return pq.read_table(io.BytesIO(content)).to_pylist()


def test_weights_are_passed_on(runs: Runs) -> None:
    """Scores are those of the decoder's fit, bit for bit."""
    decoder = runs.result(stage().inputs["decoder"])
    assert runs.result(stage()).artifacts[WEIGHTS] == decoder.artifacts[WEIGHTS]


def test_pictures_are_what_the_decoder_makes(runs: Runs) -> None:
    """Each of twelve training images as it is, then under every class, with its error e."""
    method = C2AE.fresh(stage().config, NUM_KNOWN, torch.device("cpu")).eval()
    method.load_trained(from_bytes(runs.result(stage()).artifacts[WEIGHTS])[0])
    train = context({}).train(stage().config)
    found = rows(runs)
    assert [row["condition"] for row in found] == [k for k in (None, 0, 1, 2) for _ in range(12)]
    for row in found:
        k, number = row["column"] % NUM_KNOWN, row["column"] // NUM_KNOWN
        image = train.images[train.labels == k][number]
        pixels = torch.tensor(row["pixels"], dtype=torch.uint8).view(1, 16, 16)
        assert row["label"] == k
        assert row["position"] == (train.labels == k).nonzero()[number]
        if row["condition"] is None:
            assert torch.equal(pixels, image)
            assert row["error"] is None
            continue
        x = image[None].float() / 255
        with torch.no_grad():
            z = method.backbone.stages(x)[-1]
            made = method.decoder(method.condition(z, torch.tensor([row["condition"]])))
        assert row["error"] == pytest.approx(float(absolute_error(2 * x - 1, made)), rel=1e-4)
        levels = ((made[0] + 1) / 2 * 255).round()
        assert bool(((pixels.float() - levels).abs() <= 1).all())


def test_numbers_say_whether_the_decoder_heeds_the_class(runs: Runs) -> None:
    """Errors under the own class and under others, over training images; the own is least."""
    metrics = runs.result(stage()).metrics
    assert metrics["reconstruct/own_is_least"] > 0.9
    assert metrics["reconstruct/own_error"] < metrics["reconstruct/other_error"]


def test_reconstructing_can_be_ended(runs: Runs) -> None:
    """As every stage can."""
    with pytest.raises(EndedError):
        run_stage(stage().kind.name, stage().config, context(runs.inputs(stage()), Ending()))


def test_few_images_are_shown_of_many_or_large_classes() -> None:
    """Of the first ten classes in turn; of 224 pixels in colour one, and none is shown twice."""
    label = torch.arange(15).repeat(2)
    small = Batches(ImageSet(torch.zeros(30, 1, 8, 8).byte(), label), batch_size=4)
    assert label[shown(small, 15)].tolist() == [*range(CLASSES), 0, 1]
    assert len(shown(small, 15).unique()) == 12
    large = Batches(ImageSet(torch.zeros(30, 3, 224, 224).byte(), label), batch_size=4)
    assert shown(large, 15).tolist() == [0]
    single = Batches(ImageSet(torch.zeros(3, 1, 8, 8).byte(), torch.arange(3)), batch_size=4)
    assert shown(single, 3).tolist() == [0, 1, 2]
