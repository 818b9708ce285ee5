"""When a step is recorded, and when anew; and that the stand-in for it is as strict as a GPU."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from blobs import TRAINING, Runs, shortened, trial
from recorder import Recorder
from torch import Tensor

from osr_core.data.batches import Batch, Drawn
from osr_core.data.imageset import Picked
from osr_core.data_parallel import ALONE, DataParallel
from osr_core.errors import ConfigError
from osr_core.graphs import EAGER, VARIABLE, CudaCapture, capture_for
from osr_core.methods import learner
from osr_core.training import Fit
from tests.plain import NoCheckpoint

CPU = torch.device("cpu")
SHORT = shortened(TRAINING, epochs=3)  # 7 batches of 16 images and one of 8 in each


def recorded(step: Callable[[], dict[str, Tensor]]) -> tuple[dict[str, Tensor], Callable]:
    """By the stand-in."""
    return Recorder().record(step)


def test_recording_changes_nothing_and_a_replay_does_it() -> None:
    """Memory and generators are as before; then each replay computes and draws on."""
    weight = torch.ones(3)

    def step() -> dict[str, Tensor]:
        drawn = torch.rand(3)
        weight.add_(drawn)
        return {"drawn": drawn.view(3) * 2}

    torch.manual_seed(0)
    expected = [torch.rand(3) for _ in range(2)]
    torch.manual_seed(0)
    terms, replay = recorded(step)
    assert torch.equal(weight, torch.ones(3))
    assert terms["drawn"].isnan().all()
    for count in (1, 2):
        replay()
        assert torch.equal(terms["drawn"], expected[count - 1] * 2)
    assert torch.equal(weight, torch.ones(3) + expected[0] + expected[1])


def test_what_python_knows_is_frozen() -> None:
    """A number that changes, and a tensor in the place of another."""
    known = {"rate": 1.0, "weight": torch.zeros(1)}
    old = known["weight"]
    terms, replay = recorded(lambda: {"sum": known["weight"].add_(known["rate"]) + 0})
    known["rate"], known["weight"] = 5.0, torch.full((1,), 100.0)
    replay()
    assert (terms["sum"].item(), old.item(), known["weight"].item()) == (1.0, 1.0, 100.0)


@pytest.mark.parametrize(
    "read", [lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: bool(x.all())]
)
def test_a_step_that_reads_is_refused(read: Callable[[Tensor], object]) -> None:
    """As CUDA refuses to wait while it captures."""
    numbers = torch.ones(3)
    with pytest.raises(RuntimeError, match="a capture does not permit"):
        recorded(lambda: {"read": read(numbers)})


def test_what_cuda_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps as they are run on the stream of the capture, behind and before all else that the card
    is told; a capture bears with what other threads ask of it.
    """
    said: list[str] = []

    class Stream:
        def __init__(self, device: object, name: str = "beside") -> None:
            self.device, self.name = device, name

        def wait_stream(self, other: "Stream") -> None:
            said.append(f"{self.name} waits for {other.name}")

    class Graph:
        def replay(self) -> None:
            said.append("replay")

    @contextmanager
    def within(name: str) -> Iterator[None]:
        said.append(name)
        yield
        said.append(f"end of {name}")

    def capture(graph: Graph, stream: Stream, capture_error_mode: str) -> AbstractContextManager:
        return within(f"capture {stream.name} {capture_error_mode}")

    cuda = {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "current_stream": lambda device: Stream(device, "default"),
        "stream": lambda stream: within(stream.name),
        "graph": capture,
    }
    for name, value in cuda.items():
        monkeypatch.setattr(torch.cuda, name, value)

    def step() -> dict[str, Tensor]:
        said.append("step")
        return {}

    captures = CudaCapture(torch.device("cuda", 0))
    assert captures.eager(step) == {}
    around = ["beside waits for default", "beside", "step", "end of beside"]
    assert said == [*around, "default waits for beside"]
    said.clear()
    terms, replay = captures.record(step)
    replay()
    taken = "capture beside thread_local"
    assert (terms, said) == ({}, [taken, "step", f"end of {taken}", "replay"])


def begun(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """A fit of Softmax by graphs."""
    monkeypatch.setenv(VARIABLE, "1")
    method, train = runs.prepared(trial("softmax", SHORT))
    return Fit(method, train, None, SHORT, seed=0)


def test_a_step_is_recorded_once(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a fresh optimiser's first step and EAGER others; small batches are never replayed."""
    fit = begun(runs, monkeypatch)
    fit.one_epoch()
    assert captures[0].num_eager == 1 + EAGER + 1  # the last one is smaller
    assert (captures[0].num_captured, captures[0].num_replayed) == (1, 7 - 1 - EAGER)
    fit.one_epoch()
    assert captures[0].num_eager == 1 + EAGER + 2
    assert (captures[0].num_captured, captures[0].num_replayed) == (1, 14 - 1 - EAGER)


def test_images_are_changed_within_the_step(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay changes them, too: nothing is asked for besides."""
    fit = begun(runs, monkeypatch)
    asked: list[int] = []
    augmented = fit.steps.augmented

    def counted(batch: Drawn) -> Batch:
        asked.append(len(batch.label))
        return augmented(batch)

    fit.steps.augmented = counted
    fit.one_epoch()
    assert len(asked) == captures[0].num_eager + captures[0].num_captured
    assert captures[0].num_replayed > 0


def test_after_training_the_memory_of_the_graph_is_free(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For what is calibrated then."""
    fit = begun(runs, monkeypatch)
    fit.run(NoCheckpoint(), lambda epoch, row: None)
    assert (captures[0].num_captured, fit.steps.graph) == (1, None)


def load(fit: Fit) -> None:
    """The state that a fit has, as after a crash."""
    fit.load_state(fit.state())


def restart(fit: Fit) -> None:
    """Fresh optimisers."""
    fit.restart()


def replace_a_buffer(fit: Fit) -> None:
    """A tensor in the place of another with the same numbers."""
    norm = next(m for m in fit.method.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean = norm.running_mean.clone()


@pytest.mark.parametrize("change", [load, restart, replace_a_buffer])
def test_what_is_replaced_is_recorded_anew(
    change: Callable[[Fit], None],
    runs: Runs,
    captures: list[Recorder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever was replaced, the numbers are those of a fit that is never recorded."""
    ended = []
    for value in ("1", "0"):
        monkeypatch.setenv(VARIABLE, value)
        method, train = runs.prepared(trial("softmax", SHORT))
        fit = Fit(method, train, None, SHORT, seed=0)
        torch.manual_seed(0)
        fit.one_epoch()
        change(fit)
        fit.one_epoch()
        ended.append(fit.method.state_dict())
    assert len(captures) == 1
    assert captures[0].num_captured == 2
    assert all(torch.equal(value, ended[1][name]) for name, value in ended[0].items())


def test_images_left_in_their_file_are_trained_on_alike(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch is read on the CPU, and comes in another layout."""
    ended = []
    for value in ("1", "0"):
        monkeypatch.setenv(VARIABLE, value)
        method, train = runs.prepared(trial("softmax", SHORT))
        assert isinstance(train.images, Tensor)
        train.images = Picked(train.images.contiguous(), torch.arange(len(train)))
        fit = Fit(method, train, None, SHORT, seed=0)
        torch.manual_seed(0)
        fit.one_epoch()
        ended.append(fit.method.state_dict())
    assert captures[0].num_replayed > 0
    assert all(torch.equal(value, ended[1][name]) for name, value in ended[0].items())


def test_a_rate_in_python_is_recorded_anew_when_it_changes(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of an optimiser that a method of one's own makes by itself."""
    monkeypatch.setattr(learner, "FUSED_ON", {"cuda"})
    fit = begun(runs, monkeypatch)
    for _ in range(2):
        fit.one_epoch()
        fit.progress.epoch += 1
    assert captures[0].num_captured == 2


def test_graphs_are_for_those_who_can_and_are_alone(
    runs: Runs, captures: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default nobody; with OSR_GRAPHS=1 one process, a device that can and steps all alike."""
    static, _ = runs.prepared(trial("softmax", SHORT))
    drawing, _ = runs.prepared(trial("proser", SHORT))
    waiting, _ = runs.prepared(trial("openhybrid_residual", SHORT))  # for singular values
    monkeypatch.delenv(VARIABLE, raising=False)
    assert capture_for(static, CPU, ALONE) is None
    for off in ("", "0"):
        monkeypatch.setenv(VARIABLE, off)
        assert capture_for(static, CPU, ALONE) is None
    monkeypatch.setenv(VARIABLE, "yes")
    with pytest.raises(ConfigError, match="OSR_GRAPHS is 'yes'; write 1"):
        capture_for(static, CPU, ALONE)
    monkeypatch.setenv(VARIABLE, "1")
    assert isinstance(capture_for(static, CPU, ALONE), Recorder)
    assert capture_for(drawing, CPU, ALONE) is None
    assert capture_for(waiting, CPU, ALONE) is None
    assert capture_for(static, CPU, DataParallel(0, 2)) is None
    assert capture_for(static, torch.device("meta"), ALONE) is None
