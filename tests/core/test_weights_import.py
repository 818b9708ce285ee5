"""Networks of others: their names and shapes, what is left over or missing."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from osr_core.backbones import resolve_backbone
from osr_core.context import WEIGHTS, Result
from osr_core.data import benchmark
from osr_core.data.splits import class_split
from osr_core.data.tasks import fingerprints
from osr_core.errors import ConfigError
from osr_core.execution import run_stage
from osr_core.imported import Imported, digest_of
from osr_core.kinds import CALIBRATE, IMPORT_WEIGHTS
from osr_core.methods import METHODS
from osr_core.recipes import Training
from osr_core.stage import Stage
from osr_core.tensors import from_bytes, to_bytes
from osr_core.trial import Trial
from osr_core.weights_import import FILE, renamed
from tests.plain import context

SPLIT = class_split("digits", "random", 0)
MEAN = {"mean": [0.3], "std": [0.4]}


def trial(method: str = "softmax", **told: Any) -> Trial:
    """A tiny network for digits whose weights are imported."""
    return Trial(
        method=METHODS[method],
        config=METHODS[method].Config(),
        split=SPLIT,
        fingerprints=fingerprints(None, benchmark("digits")),
        backbone=resolve_backbone({"width": 0.1}, image_size=16, channels=1),
        training=Training(epochs=1),
        seed=0,
        imported=Imported(what="weights", file="a.pth", sha256=digest_of(b"a"), **told),
    )


def network(method: str = "softmax") -> dict[str, Tensor]:
    """Weights of somebody: random ones, by our names."""
    config = trial(method, anchors="stored").score.config
    torch.manual_seed(1)
    learner = METHODS[method].fresh(config, SPLIT.num_known, torch.device("cpu"))
    return {name: tensor.clone() for name, tensor in learner.state_dict().items()}


def taken(given: dict[str, Tensor], method: str = "softmax", **told: Any) -> Result:
    """What the import leaves."""
    imports = [s for s in trial(method, **told).model.walk() if s.kind == IMPORT_WEIGHTS]
    inputs = {FILE: {"weights.safetensors": to_bytes(given)}}
    return run_stage(IMPORT_WEIGHTS.name, imports[0].config, context(inputs))


def test_an_import_has_no_schedule_no_seed_and_no_data_in_its_id() -> None:
    """Nobody here knows them; what would change them must not make another network of it."""
    stage = trial().model
    assert stage.kind == IMPORT_WEIGHTS
    assert not {"training", "seed", "member"} & stage.config.keys()
    assert stage.config["task"] == {"dataset": "digits", "known": list(SPLIT.known)}
    assert not stage.kind.trains
    assert stage.kind.leaves == ()

    def model(**changes: Any) -> Stage:
        return replace(trial(), **changes).model

    other_data = dict.fromkeys(trial().fingerprints, "other")
    assert model(training=Training(epochs=9), seed=3, fingerprints=other_data).id == stage.id
    other_file = Imported(what="weights", file="a.pth", sha256=digest_of(b"b"))
    assert model(imported=other_file).id != stage.id


def test_whence_a_file_comes_changes_no_id() -> None:
    """Its licence is told, and decides no number."""
    told = {"source": "https://example.org/a.pth", "licence": "MIT", "label": "of theirs"}
    assert trial(**told).model.id == trial().model.id
    assert trial(names={"fc.": "head."}).model.id != trial().model.id


def test_weights_by_our_names_come_through_as_they_are() -> None:
    """Each tensor, the normalisation with them."""
    given = network()
    left = from_bytes(taken(given).artifacts[WEIGHTS])[0]
    assert left.keys() == given.keys()
    assert all(torch.equal(left[name], given[name]) for name in given)


def test_names_of_others_are_mapped_whole_or_by_their_beginning() -> None:
    """As of a network in DataParallel whose classifier is called otherwise; a rest is told."""
    own = network()
    theirs = {f"module.{name.removeprefix('backbone.')}": t for name, t in own.items()}
    theirs = {name.replace("module.head.", "module.fc."): t for name, t in theirs.items()}
    names = {"module.": "backbone.", "module.fc.": "head."}
    found = renamed(theirs, names)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)
    result = taken({**theirs, "module.extra": torch.ones(2)}, names=names)
    assert result.artifacts["left_over.json"] == b'["backbone.extra"]'
    assert result.metrics["import/left_over"] == 1
    assert renamed({"a": torch.ones(1)}, {"a": None}) == {}
    given = {"conv.weight": torch.ones(1), "fc.weight": torch.ones(1)}
    whole = renamed(given, {"": "backbone.", "fc.": "head."})
    assert set(whole) == {"backbone.conv.weight", "head.weight"}


def test_a_mapping_that_fits_nothing_or_twice_is_refused() -> None:
    """A slip in it would leave a layer as it is, or overwrite one."""
    with pytest.raises(ConfigError, match=r"nothing in the file is called 'fcc\.'"):
        renamed({"fc.weight": torch.ones(1)}, {"fcc.": "head."})
    with pytest.raises(ConfigError, match="two tensors would be 'a'"):
        renamed({"a": torch.ones(1), "b": torch.ones(1)}, {"b": "a"})


def test_a_missing_layer_is_named_with_what_has_no_place() -> None:
    """Random weights in its place would score, and badly."""
    given = network()
    given["classifier.weight"] = given.pop("head.weight")
    with pytest.raises(ConfigError, match=r"head.weight are missing; without.*classifier.weight"):
        taken(given)


def test_a_shape_that_differs_is_told_with_both() -> None:
    """A network for ten classes is none for six."""
    given = network()
    given["head.weight"] = torch.ones(10, 13)
    with pytest.raises(ConfigError, match=r"'head.weight' is of shape \(10, 13\), not \(6, 13\)"):
        taken(given)


def test_the_normalisation_must_be_told_once() -> None:
    """Without it a network sees other images than it was trained on, and scores all the same."""
    given = {k: v for k, v in network().items() if "normalize" not in k}
    with pytest.raises(ConfigError, match="does not say how images"):
        taken(given)
    left = from_bytes(taken(given, normalization=MEAN).artifacts[WEIGHTS])[0]
    assert left["backbone.normalize.mean"].tolist() == pytest.approx([0.3])
    with pytest.raises(ConfigError, match="the file says itself"):
        taken(network(), normalization=MEAN)


def test_statistics_of_batch_norms_must_be_there_and_their_counts_need_not() -> None:
    """A running mean of zero would be another network; older files lack the counts."""
    given = network()
    counts = [name for name in given if name.endswith("num_batches_tracked")]
    assert taken({k: v for k, v in given.items() if k not in counts})
    mean = next(name for name in given if name.endswith("running_mean"))
    del given[mean]
    with pytest.raises(ConfigError, match=rf"{mean} are missing"):
        taken(given)


def test_whose_anchors_cac_scores_with_must_be_said() -> None:
    """The authors' checkpoints hold the untrained ones, under an older name."""
    with pytest.raises(ConfigError, match="--anchors recompute"):
        _ = trial("cac").model
    untrained = network("cac")
    with pytest.raises(ConfigError, match="before any training"):
        taken(untrained, "cac", anchors="stored")
    fitted = {**untrained, "anchors": untrained["anchors"] + 1}
    left = from_bytes(taken(fitted, "cac", anchors="stored").artifacts[WEIGHTS])[0]
    assert torch.equal(left["anchors"], fitted["anchors"])


def test_recomputed_anchors_are_calibrated_whatever_the_file_says() -> None:
    """Then a stage of its own, with the training images in its id, stands on the import."""
    model = trial("cac", anchors="recompute").model
    assert model.kind == CALIBRATE
    assert model.inputs["classifier"].kind == IMPORT_WEIGHTS
    assert "fingerprint" in model.config["task"]
    given = network("cac")
    given["means"] = given.pop("anchors")
    result = taken(given, "cac", anchors="recompute")
    assert result.artifacts["left_over.json"] == b'["means"]'
    inputs = {"classifier": {WEIGHTS: result.artifacts[WEIGHTS]}}
    left = run_stage(CALIBRATE.name, model.config, context(inputs)).artifacts[WEIGHTS]
    assert not torch.equal(from_bytes(left)[0]["anchors"], given["means"])


@pytest.mark.parametrize("method", ["crosr", "cgdl", "knn", "openmax"])
def test_what_is_always_fitted_anew_is_never_said_to_be_the_files(method: str) -> None:
    """Their recipes end in `calibrate`; a table would say "anchors stored" of what it made."""
    with pytest.raises(ConfigError, match=rf"'{method}' fits .* anew .* Leave --anchors stored"):
        _ = trial(method, anchors="stored").model
    model = trial(method).model
    (imported,) = [stage for stage in model.walk() if stage.kind == IMPORT_WEIGHTS]
    assert imported.config["anchors"] == ""
    assert trial(method, anchors="recompute").model.id == model.id


def test_a_method_of_several_networks_takes_no_file_of_one() -> None:
    """PMAL's ensemble cannot come out of it."""
    with pytest.raises(ConfigError, match="'pmal' trains more than one network"):
        _ = trial("pmal").model


def test_a_lost_import_says_what_to_do() -> None:
    """A worker cannot make it again: it has no file."""
    with pytest.raises(ConfigError, match="Import their file again"):
        run_stage(IMPORT_WEIGHTS.name, trial().model.config, context({}))
