"""PMAL's stages on the blobs: what is mined, and how a fit uses it."""

import dataclasses
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from blobs import NUM_KNOWN, TRAINING, Memory, Runs, context, shortened, trial
from resuming import saved_until
from torch import Tensor

from osr_core.errors import ConfigError
from osr_core.execution import Result, ScoreContext, run_stage, untrained
from osr_core.methods.pmal.config import QUALITIES
from osr_core.methods.pmal.method import PMAL
from osr_core.methods.pmal.mining import SPREADS
from osr_core.methods.pmal.stage import PROTOTYPES
from osr_core.stage import Stage
from osr_core.tensors import from_bytes
from osr_core.training import Fit

SHORT = shortened(TRAINING, epochs=2)


def prepared(runs: Runs, **settings: object) -> tuple[PMAL, Fit]:
    """PMAL before epoch 0, in a fit."""
    method, train = runs.prepared(trial("pmal", SHORT, settings))
    assert isinstance(method, PMAL)
    return method, Fit(method, train, None, SHORT, seed=1)


def test_mined_images_are_those_at_the_index(runs: Runs) -> None:
    """T images of each class, all different where the class has enough of them."""
    asked = trial("pmal", SHORT, {"prototypes": 5, "epsilon": 0.95})
    mined = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
    result = runs.result(mined)
    tensors, _ = from_bytes(result.artifacts[PROTOTYPES])
    train = context({}).train(mined.config)
    index = tensors["index"]
    assert index.shape == (NUM_KNOWN, 5)
    assert index.dtype == torch.int64
    assert torch.equal(tensors["images"], train.images[index])
    assert torch.equal(train.labels[index], torch.arange(NUM_KNOWN)[:, None].expand(-1, 5))
    assert all(len(row.unique()) == 5 for row in index)
    rows = table(result, "mined.parquet").to_pylist()
    assert [row["label"] for row in rows] == train.labels.tolist()
    assert {i for i, row in enumerate(rows) if row["prototype"]} == set(index.flatten().tolist())
    assert 0 < result.metrics["mine/candidate_fraction"] < 1


def test_mined_images_say_whether_the_first_classifier_is_right(runs: Runs) -> None:
    """By its own logits, after a fit so short that it is wrong about some."""
    brief = shortened(TRAINING, epochs=1, lr=0.001)
    stage = next(s for s in trial("pmal", brief, {}).score.walk() if s.kind.name == "pmal.mine")
    rows = table(runs.result(stage), "mined.parquet").to_pylist()
    where = context(runs.inputs(stage))
    settings = {**stage.config, "method": {"name": "softmax", "version": 1}}
    first = untrained(where, settings, NUM_KNOWN).eval()
    first.load_state_dict(where.weights("member0"))
    train = where.train(stage.config)
    with torch.no_grad():
        predicted = first(train.images.float() / 255).logits.argmax(1)
    assert [row["correct"] for row in rows] == (predicted == train.labels).tolist()
    assert {row["correct"] for row in rows} == {True, False}


@pytest.mark.parametrize(("name", "more_vectors"), [("pmal", 0), ("cpn", 3)])
def test_prototypes_are_left_beside_test_images(name: str, more_vectors: int, runs: Runs) -> None:
    """All by the final weights. PMAL's are mined images, no parameters; CPN has four learned ones
    per class, where a classifier's head has one vector.
    """
    asked = trial(name, SHORT, {"prototypes": 4})
    scored = runs.result(asked.score)
    rows = table(scored, "embeddings.parquet").to_pylist()
    where = context(runs.inputs(asked.score))
    method = untrained(where, asked.score.config, NUM_KNOWN).eval()
    method.load_state_dict(where.weights("model"))
    test = ScoreContext(**vars(where)).test(asked.score.config)
    with torch.no_grad():
        images = method.embed(test.images.float() / 255)
        if name == "pmal":
            of_last_fit = context(runs.inputs(runs.last_fit(asked)))
            mined_images = of_last_fit.tensors("prototypes")["images"]
            prototypes = method.embed(mined_images.flatten(0, 1).float() / 255)
        else:
            prototypes = method.get_parameter("prototypes").flatten(0, 1)
    assert [row["role"] for row in rows] == ["image"] * 100 + ["prototype"] * 12
    labels = [*test.labels.tolist(), *(k for k in range(NUM_KNOWN) for _ in range(4))]
    assert [row["label"] for row in rows] == labels
    embedded = torch.tensor([row["embedding"] for row in rows])
    torch.testing.assert_close(embedded, torch.cat([images, prototypes]))
    plain = runs.result(trial("softmax", SHORT, {}).score).metrics["model/num_parameters"]
    extra = more_vectors * NUM_KNOWN * images.shape[1]
    assert scored.metrics["model/num_parameters"] == plain + extra
    learned = 4 * NUM_KNOWN * images.shape[1] if name == "cpn" else 0
    assert scored.metrics["model/num_additional_parameters"] == learned


def test_equal_inputs_leave_equal_bytes(runs: Runs) -> None:
    """Of every Parquet file of mining and scoring."""
    asked = trial("pmal", SHORT, {})
    for stage in (last_mine(runs), asked.score):
        again = run_stage(stage.kind.name, stage.config, context(runs.inputs(stage)))
        assert again.artifacts == runs.result(stage).artifacts


def test_a_smaller_epsilon_admits_more_candidates(runs: Runs) -> None:
    """The members stay: only mining reads it."""
    fractions = []
    for epsilon in (0.9, 0.7, 0.1, 0.0):
        asked = trial("pmal", SHORT, {"epsilon": epsilon})
        mined = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
        fractions.append(runs.result(mined).metrics["mine/candidate_fraction"])
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def test_warm_start_takes_the_first_members_weights(runs: Runs) -> None:
    """And a cold one is not even given them, so it does not depend on them."""
    asked = trial("pmal", SHORT, {})
    warm = runs.last_fit(asked)
    first_member = from_bytes(
        runs.result(warm.inputs["classifier"]).artifacts["weights.safetensors"]
    )
    method, _ = prepared(runs)
    for name, value in first_member[0].items():
        assert torch.equal(method.state_dict()[name], value)
    cold = runs.last_fit(trial("pmal", SHORT, {"warm_start": False}))
    assert set(cold.inputs) == {"prototypes"}
    fresh, _ = prepared(runs, warm_start=False)
    assert not torch.equal(fresh.head.weight, method.head.weight)


def test_embedding_the_prototypes_leaves_no_trace(runs: Runs) -> None:
    """In eval mode amid a training step: statistics, mode and draws stay as they were."""
    method, _ = prepared(runs)
    method.train()
    before = {name: value.clone() for name, value in method.backbone.state_dict().items()}
    draws = torch.get_rng_state()
    method.refresh()
    assert torch.equal(torch.get_rng_state(), draws)
    assert all(module.training for module in method.modules())
    assert all(
        torch.equal(value, before[name]) for name, value in method.backbone.state_dict().items()
    )
    assert not method.prototypes.requires_grad
    method.eval()
    images = method.prototype_images
    assert images is not None
    with torch.no_grad():
        expected = method.embed(images.float() / 255)
    torch.testing.assert_close(method.prototypes.flatten(0, 1), expected)


@pytest.mark.parametrize("prototypes", [1, 5, 67])
@pytest.mark.parametrize(("embed_every", "per_epoch"), [(1, 8), (3, 3), (10, 1)])
def test_prototypes_are_embedded_as_often_however_many_they_are(
    prototypes: int,
    embed_every: int,
    per_epoch: int,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Table 5 compares T from 1 to 30: fresh embeddings for some and stale ones for others would
    compare that as well. An epoch has 8 steps; it begins with an embedding.
    """
    method, fit = prepared(runs, prototypes=prototypes, embed_every=embed_every)
    refreshed = []
    refresh = method.refresh
    monkeypatch.setattr(method, "refresh", lambda: (refreshed.append(1), refresh()))
    fit.run(Memory(), lambda epoch, row: None)
    assert len(refreshed) == per_epoch * SHORT.epochs


def test_prototypes_follow_the_weights(runs: Runs) -> None:
    """Scoring uses embeddings by the final weights, not by those of the last step."""
    method, fit = prepared(runs)
    fit.run(Memory(), lambda epoch, row: None)
    of_last_step = method.prototypes.clone()
    method.eval()
    method.calibrate(fit.train)
    assert not torch.equal(method.prototypes, of_last_step)


def test_rejection_by_probability_is_softmaxs_score(runs: Runs) -> None:
    """The paper reports both; the classes are the same."""
    method, fit = prepared(runs)
    method.eval()
    images = next(fit.train.ordered()).images
    by_distance = method(images)
    method.config = dataclasses.replace(method.config, rejection="probability")
    by_probability = method(images)
    assert torch.equal(by_distance.logits, by_probability.logits)
    p = by_probability.logits.double().softmax(1).amax(1)
    expected = ((1 - p) / p).log()
    torch.testing.assert_close(by_probability.unknown_score.double(), expected, rtol=1e-4, atol=0)
    assert not torch.allclose(by_distance.unknown_score.double(), expected)


def table(result: Result, name: str) -> pa.Table:
    """A Parquet artifact."""
    return pq.read_table(io.BytesIO(result.artifacts[name]))


def mined(runs: Runs, **settings: object) -> tuple[Tensor, Tensor]:
    """Positions of the prototypes (K, 5), and r (N,) of all images."""
    asked = trial("pmal", SHORT, {"prototypes": 5, **settings})
    stage = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
    result = runs.result(stage)
    index = from_bytes(result.artifacts[PROTOTYPES])[0]["index"]
    return index, torch.from_numpy(table(result, "mined.parquet")["robustness"].to_numpy().copy())


@pytest.mark.parametrize("quality", QUALITIES[1:4])
def test_each_quality_of_table_4_ranks_images_in_its_own_way(quality: str, runs: Runs) -> None:
    """Epsilon and Algorithm 1 stay, so other prototypes come from another r alone."""
    (our_index, our_r), (index, r) = mined(runs), mined(runs, quality=quality)
    assert 0 <= float(r.min()) < float(r.max()) <= 1
    assert not torch.equal(r, our_r)
    assert not torch.equal(index, our_index)


@pytest.mark.parametrize("diversity", [name for name in SPREADS if name != "nearest_better"])
def test_each_diversity_chooses_among_the_same_candidates(diversity: str, runs: Runs) -> None:
    """The candidates are those with r above epsilon times their class's best."""
    (our_index, our_r), (index, r) = mined(runs), mined(runs, diversity=diversity)
    assert torch.equal(r, our_r)
    assert not torch.equal(index.sort().values, our_index.sort().values)
    labels = context({}).train(last_mine(runs).config).labels
    for k, chosen in enumerate(index):
        assert len(chosen.unique()) == 5
        assert (r[chosen] > 0.7 * r[labels == k].max()).all()


@pytest.mark.parametrize("quality", ["robustness", "mc_dropout"])
def test_mining_goes_on_with_the_classifier_that_it_was_at(quality: str, runs: Runs) -> None:
    """Stopped wherever it saves, it ends with the same bytes, and what it had is not repeated."""
    asked = trial("pmal", SHORT, {"prototypes": 5, "quality": quality})
    stage = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
    whole = runs.result(stage)
    for at in (1, 2):
        memory = saved_until(at, stage, runs)
        assert memory.content is not None
        assert len(from_bytes(memory.content)[0]) == at - 1
        resumed = run_stage(stage.kind.name, stage.config, context(runs.inputs(stage), memory))
        assert resumed.artifacts == whole.artifacts


def last_mine(runs: Runs) -> Stage:
    """The mining stage of PMAL as it is by default."""
    return next(s for s in trial("pmal", SHORT, {}).score.walk() if s.kind.name == "pmal.mine")


def test_without_quality_every_image_is_a_candidate(runs: Runs) -> None:
    """Table 3, rows b and d."""
    asked = trial("pmal", SHORT, {"quality": "none", "diversity": "k_centres"})
    stage = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
    assert runs.result(stage).metrics["mine/candidate_fraction"] == 1


def test_a_quality_of_one_classifier_asks_for_no_second() -> None:
    """Nothing is trained in vain."""
    for quality, members in (("probability", 1), ("mc_dropout", 1), ("deep_ensembles", 3)):
        asked = trial("pmal", SHORT, {"quality": quality, "members": 3})
        stage = next(stage for stage in asked.score.walk() if stage.kind.name == "pmal.mine")
        assert len(stage.inputs) == members


@pytest.mark.parametrize("diversity", ["nearest_better", "none"])
def test_what_needs_an_order_needs_a_quality(diversity: str) -> None:
    """Without quality nothing says which image is the better."""
    with pytest.raises(ConfigError, match="one of k_centres, k_means, random"):
        PMAL.Config(quality="none", diversity=diversity)
