"""How many fits share a GPU is what its memory and its time have room for, as it was measured."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager

from sweeps.planning.likeness import sort_of
from sweeps.running.packing import MARGIN, MOST, Need, Packing, is_of, part_for, type_by_ray

SORT = ("fit", "cac")
H100, L4 = "NVIDIA H100 80GB HBM3", "NVIDIA L4"
SIZES = {H100: 80_000.0, L4: 24_000.0}
GIGABYTES = st.floats(0.1, 200.0)
CARDS = (
    H100,
    L4,
    "NVIDIA A100-SXM4-80GB",
    "NVIDIA GeForce RTX 3080 Ti",
    "NVIDIA GeForce GTX 1660 SUPER",
    "NVIDIA L40S",
    "NVIDIA RTX 4000 SFF Ada Generation",
    "NVIDIA RTX 6000 Ada Generation",
    "NVIDIA RTX A5000 Laptop GPU",
    "NVIDIA RTX A6000",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition",
    "NVIDIA TITAN RTX",
    "Quadro RTX 6000",
    "Tesla T4",
    "Tesla V100-SXM2-16GB",
)


def facts(
    reserved: float,
    busy: float | None,
    *,
    tensors: float | None = None,
    context: float | None = 500.0,
    gpus: float = 1.0,
    hardware: str = L4,
) -> dict[str, Any]:
    """What a marker says of a fit on one of two sorts of GPU; memory in megabytes.

    `tensors` are all that is reserved, unless it is said.
    """
    return {
        "device": "cuda",
        "hardware": hardware,
        "gpus": gpus,
        "gpu_busy": busy,
        "gpu_reserved_megabytes": reserved,
        "peak_gpu_memory_megabytes": reserved if tensors is None else tensors,
        "gpu_context_megabytes": context if gpus == 1 else None,
        "gpu_total_megabytes": SIZES[hardware],
    }


def per_gpu(*markers: dict[str, Any], types: tuple[str, ...] = ("",)) -> int | None:
    """How many fits of a sort share a GPU that has left these markers; None: to be measured."""
    packing = Packing()
    for marker in markers:
        packing.note(SORT, marker)
    need = packing.need(SORT, types)
    return need and need.per_gpu


@pytest.mark.parametrize(
    ("reserved", "busy", "count"),
    [
        (4_600.0, 0.31, 3),  # of memory, 21.6 / 5.1 = 4; of time, 1 / 0.31 = 3
        (4_600.0, 0.2, 4),
        (1_000.0, 0.5, 2),
        (1_000.0, 0.51, 1),
        (10_300.0, 0.1, 2),  # 2 x 10.8 are just what 24 GB less a tenth are
        (10_301.0, 0.1, 1),
        (23_000.0, 0.1, 1),
        (100.0, 0.0, MOST),
    ],
)
def test_as_many_share_a_gpu_as_memory_and_time_have_room_for(
    reserved: float, busy: float | None, count: int
):
    """Of 24 GB a tenth stays free; each process has a context of half a gigabyte besides."""
    assert per_gpu(facts(reserved, busy)) == count


@given(reserved=GIGABYTES, context=GIGABYTES, total=GIGABYTES, busy=st.none() | st.floats(0.0, 1.0))
def test_what_shares_a_gpu_never_takes_more_than_there_is(
    reserved: float, context: float, total: float, busy: float | None
):
    """One alone is tried whatever it takes."""
    need = Need(L4, total, reserved, context, busy)
    count = need.per_gpu
    assert 1 <= count <= MOST
    assert count == 1 or count * need.memory <= (1 - MARGIN) * total
    assert count == 1 or (busy is not None and count * busy <= 1)
    assert count * part_for(count) <= 1


def test_parts_are_such_that_ray_has_room_for_all():
    """It rounds to four places: six times 0.1667 were more than one."""
    for count in range(1, MOST + 1):
        part = part_for(count)
        assert round(part, 4) == part
        assert int(1 / part) == count
    assert part_for(6) == 0.1666


def test_what_was_measured_in_company_counts_for_memory_alone():
    """How busy the card was is not known of one of them; what it held is."""
    alone = facts(4_600.0, 0.31)
    assert per_gpu(alone, facts(100.0, 0.99, gpus=0.3333)) == 3
    assert per_gpu(alone, facts(9_000.0, 0.99, gpus=0.3333)) == 2
    assert per_gpu(facts(4_600.0, 0.31, gpus=0.25)) is None


def test_the_most_that_was_measured_counts():
    """Of memory as of time, in whatever order it comes."""
    found = [facts(4_600.0, 0.2), facts(4_600.0, 0.4), facts(8_000.0, 0.1, context=600.0)]
    assert per_gpu(*found) == per_gpu(*reversed(found)) == 2
    packing = Packing()
    for marker in found:
        packing.note(SORT, marker)
    need = packing.need(SORT, [""])
    assert need == Need(L4, 24_000.0, 8_000.0, 600.0, 0.4)
    assert str(need) == "8.6 of 24.0 GB and 40% of the time each, on NVIDIA L4"


@pytest.mark.parametrize(
    "marker",
    [
        {},
        {"device": "cpu", "hardware": "Xeon", "gpu_s": 0.0},
        {"device": "cuda", "hardware": L4, "gpu_s": 5.0, "peak_gpu_memory_megabytes": 80.0},
        facts(4_600.0, 0.31, gpus=2.0),
        facts(4_600.0, None),
    ],
    ids=["none", "cpu", "before", "several", "how busy"],
)
def test_a_marker_that_says_nothing_is_no_measurement(marker: dict[str, Any]):
    """Those of a CPU, those that are older than what is measured, of a part of each batch, and
    those of a run without Ray, beside which others may have used the card.
    """
    assert per_gpu(marker) is None


def test_what_is_not_measured_on_a_type_of_gpu_is_to_be_measured_there():
    """An H100 has three times the memory of an L4; where fits may come to both, the less counts."""
    big, small = facts(4_600.0, 0.1, hardware=H100), facts(4_600.0, 0.4)
    assert per_gpu(big, types=("H100",)) == 8
    assert per_gpu(big, types=("L4",)) is None
    assert per_gpu(big, types=("H100", "L4")) is None
    assert per_gpu(big, small, types=("H100", "L4")) == 2
    assert per_gpu(big, small, types=("",)) == 2  # Ray does not say which it is
    assert per_gpu(big, types=()) is None


@pytest.mark.parametrize("hardware", CARDS)
def test_a_card_is_of_the_type_that_ray_gives_it(hardware: str):
    """Whatever words Ray leaves out: it calls an RTX 6000 Ada "RTX-6000"."""
    by_ray = NvidiaGPUAcceleratorManager._gpu_name_to_accelerator_type(hardware)
    assert type_by_ray(hardware) in (by_ray, "")
    assert is_of(by_ray, hardware)
    assert is_of("", hardware)


@pytest.mark.parametrize(
    ("gpu_type", "hardware", "expected"),
    [
        ("A100-80G", "NVIDIA A100-SXM4-80GB", True),
        ("A100-40G", "NVIDIA A100-SXM4-80GB", False),
        ("RTX-6000-Ada", "NVIDIA RTX 6000 Ada Generation", True),
        ("RTX-6000", "NVIDIA RTX PRO 6000 Blackwell Server Edition", False),
        ("GeForce-RTX-3080", "NVIDIA GeForce RTX 3080 Ti", False),
        ("GeForce-RTX-3080-Ti", "NVIDIA GeForce RTX 3080", False),
        ("L4", "NVIDIA L40S", False),
    ],
)
def test_a_name_that_has_more_may_be_another_card(gpu_type: str, hardware: str, expected: bool):
    """A type may also be one that a user wrote."""
    assert is_of(gpu_type, hardware) is expected


def test_a_type_of_gpu_that_has_not_the_memory_is_known_beforehand():
    """From what its like held elsewhere and what cards of this type have; else it is tried."""
    packing, other = Packing(), ("fit", "softmax")
    packing.note(SORT, facts(50_000.0, 0.9, tensors=30_000.0, hardware=H100))
    assert packing.too_small(SORT, ["L4"]) == {}  # nobody has told what an L4 has
    packing.note(other, facts(1_000.0, 0.9))
    assert packing.too_small(SORT, ["L4", "H100", "A100"]) == {
        "L4": "they hold 30.5 GB of a GPU's memory at least, as on NVIDIA H100 80GB HBM3, and GPUs "
        "of type L4 have 24.0 GB"
    }
    assert packing.too_small(other, ["L4"]) == {}
    assert packing.too_small(("fit", "pmal"), ["L4"]) == {}
    packing.note(SORT, facts(22_000.0, 0.9))
    assert packing.too_small(SORT, ["L4"]) == {}  # it has run there


def test_one_fit_that_needs_much_makes_no_gpu_too_small_for_its_like():
    """Fits of one sort may have settings that take little."""
    packing = Packing()
    packing.note(("fit", "softmax"), facts(1_000.0, 0.9))
    packing.note(SORT, facts(60_000.0, 0.9, hardware=H100))
    assert list(packing.too_small(SORT, ["L4"])) == ["L4"]
    packing.note(SORT, facts(3_000.0, 0.9, hardware=H100))
    assert packing.too_small(SORT, ["L4"]) == {}
    packing.note(SORT, facts(60_000.0, 0.9, hardware=H100))
    assert packing.too_small(SORT, ["L4"]) == {}


def test_what_torch_would_give_back_makes_no_gpu_too_small():
    """Its allocator reserves more where there is more."""
    packing = Packing()
    packing.note(SORT, facts(50_000.0, 0.9, tensors=20_000.0, hardware=H100))
    packing.note(("fit", "softmax"), facts(1_000.0, 0.9))
    assert packing.too_small(SORT, ["L4"]) == {}


def test_fits_of_one_sort_have_batches_of_one_size():
    """Half of the images take half of the memory; a learning rate takes none."""

    def sort(**training: object) -> tuple[str, ...]:
        settings = {"batch_size": 128, "optimizer": "sgd", "lr": 0.1, **training}
        config = {"method": {"name": "cac"}, "task": {"dataset": "digits"}, "training": settings}
        return sort_of("fit", config)

    assert sort() == sort(lr=0.2, epochs=9)
    assert len({sort(), sort(batch_size=64), sort(optimizer="adam")}) == 3
