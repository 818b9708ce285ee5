"""Nothing that is not finite is taken, computed with or left, whatever the kind of stage."""

from typing import Any

import pyarrow as pa
import pytest
import torch

from osr_core.backbones import build_backbone, resolve_backbone
from osr_core.context import Context, Result
from osr_core.data import ImageSet
from osr_core.data.batches import Batches
from osr_core.errors import TrainingError
from osr_core.execution import calibrate_method, run_stage
from osr_core.kinds import Kind
from osr_core.methods import METHODS, Softmax
from osr_core.methods.base import Method
from osr_core.scoring import score_images
from osr_core.tables import table_to_bytes
from osr_core.tensors import to_bytes
from tests.plain import context

CONFIG = {"method": {"name": "softmax"}}
NAN, INF = float("nan"), float("inf")
MAP = pa.map_(pa.string(), pa.float64())
WEIGHTS = to_bytes({"a": torch.ones(3), "b": torch.tensor([1.0, INF]), "c": torch.arange(2)})


def table(**columns: Any) -> dict[str, bytes]:
    """The artifact of a kind that a plugin brings."""
    return {"mine.parquet": table_to_bytes(pa.table(columns))}


def run_own(monkeypatch: pytest.MonkeyPatch, result: Result, **inputs: Any) -> Result:
    """A stage of a kind of one's own that leaves `result`."""

    def leave(where: Context, config: Any) -> Result:
        return result

    monkeypatch.setattr(Softmax, "kinds", {Kind(name="softmax.own"): leave})
    return run_stage("softmax.own", CONFIG, context(inputs))


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Result({"w.safetensors": WEIGHTS}), r"1 of 3 tensors, such as b \(w\.safetensors\)"),
        (Result(table(x=[1.0, None, NAN])), r"1 value of the column x \(mine\.parquet\)"),
        (Result(table(x=[[1.0, -INF], [INF]])), "2 values of the column x"),
        (Result(table(x=[{"y": NAN}])), "1 value of the column x.y"),
        (Result(table(x=[{"y": {"z": NAN}}, None])), "1 value of the column x.y.z"),
        (Result(table(x=[[{"y": NAN}], None, []])), "1 value of the column x.y"),
        (Result(table(x=pa.array([[("a", NAN)]], MAP))), "1 value of the column x"),
        (Result(table(x=pa.array([[NAN]], pa.list_view(pa.float64())))), "1 value of the column x"),
        (Result(table(x=pa.array([NAN, 1.0]).dictionary_encode())), "1 value of the column x"),
        (Result(table(x=pa.chunked_array([[NAN], [INF]]))), "2 values of the column x"),
        (Result({}, {"mine/share": NAN}), "mine/share"),
    ],
)
def test_a_stage_of_any_kind_leaves_nothing_that_is_not_finite(
    monkeypatch: pytest.MonkeyPatch, result: Result, said: str
) -> None:
    """One rule for plugins too: it stands before the commit, and says what is lost where."""
    with pytest.raises(TrainingError, match=f"softmax.own of softmax .*{said}"):
        run_own(monkeypatch, result)


def test_gaps_whole_numbers_and_other_files_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A null says that there is no value; what is not ours to read is not read."""
    left = table(x=[1.0, None], k=[1, 2], name=["a", None], several=[[1.0], None])
    result = Result({**left, "notes.txt": b"nan"}, {"count": 3})
    assert run_own(monkeypatch, result) == result


def test_no_stage_takes_what_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and prototypes alike; the sentence names the stage above."""
    with pytest.raises(TrainingError, match="what 'prototypes' left is lost: 1 of 3 tensors"):
        run_own(monkeypatch, Result({}), prototypes={"any.safetensors": WEIGHTS})


def overflowing(name: str) -> Method:
    """A network of finite weights whose embeddings are infinite."""
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=1)
    cls = METHODS[name]
    method = cls(build_backbone(network), 3, cls.Config())
    with torch.no_grad():
        for parameter in method.backbone.parameters():
            parameter.abs_().add_(1).mul_(1e30)
    assert all(tensor.isfinite().all() for tensor in method.state_dict().values())
    return method


@pytest.mark.parametrize("name", ["cac", "openmax", "mahalanobis", "vim", "knn"])
def test_calibration_by_lost_embeddings_names_them(name: str) -> None:
    """Else an eigenvalue, a fit of Weibulls or a mean speaks, or nobody does."""
    images = torch.randint(1, 256, (12, 1, 16, 16)).to(torch.uint8)
    batches = Batches(ImageSet(images, torch.arange(12) % 3), batch_size=4)
    with pytest.raises(TrainingError, match="embeddings of 12 of 12 images are not finite"):
        calibrate_method(overflowing(name), batches)


def test_a_lost_score_of_any_batch_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last one too, before anything is ranked by it."""
    network = resolve_backbone({"width": 0.05}, image_size=16, channels=1)
    method = Softmax(build_backbone(network), 3, Softmax.Config())
    images = torch.randint(256, (514, 1, 16, 16)).to(torch.uint8)
    batches = Batches(ImageSet(images, torch.zeros(514, dtype=torch.int64)), batch_size=512)
    predict = Softmax.predict

    def last_lost(self: Softmax, embedding: torch.Tensor) -> Any:
        found = predict(self, embedding)
        return found._replace(
            unknown_score=found.unknown_score * (INF if len(embedding) < 9 else 1)
        )

    monkeypatch.setattr(Softmax, "predict", last_lost)
    with pytest.raises(TrainingError, match="of 2 of 514 test images are not finite"):
        score_images(method, batches, torch.tensor([0]))
