"""What `osr plan` and `osr cost` say of a sweep's work, against sums by hand."""

import json
from pathlib import Path

from typer.testing import CliRunner

from osr_core.backbones import resolve_backbone
from osr_core.backbones.flops import forward_flops
from osr_core.data import READERS
from osr_core.data.sizes import TRAIN_IMAGES, num_train_images
from osr_core.methods.pmal.method import PMAL
from sweeps.commands.app import app
from sweeps.planning.cost import cost, images_trained_on
from sweeps.planning.data import placeholders
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.spec import load_spec, papers_specs, parse_spec


def plan_of(datasets: list[str], **keys: object) -> Plan:
    """One split of these, whether or not the data are here."""
    spec = parse_spec({"name": "costly", "datasets": datasets, "splits": [0], **keys}, "spec")
    return make_plan(spec, placeholders(datasets))


def test_a_forward_pass_of_the_small_network_is_counted_by_hand() -> None:
    """Nine convolutions: 2 x 9 x channels in x channels out x pixels out."""
    sides = (32, 32, 16, 16, 16, 8, 8, 8, 4)
    widths = (3, 64, 64, 128, 128, 128, 128, 128, 128, 128)
    by_hand = sum(2 * 9 * widths[i] * widths[i + 1] * side**2 for i, side in enumerate(sides))
    assert forward_flops(resolve_backbone({}, image_size=32, channels=3)) == by_hand


def test_image_passes_are_epochs_times_images_that_are_trained_on() -> None:
    """CIFAR-10's six known classes of 5,000, of which CAC holds a fifth out of 200 epochs."""
    plan = plan_of(["cifar10"], recipe="published", methods={"cac": {}})
    (fit,) = (stage for stage in plan.stages.values() if stage.kind.trains)
    assert images_trained_on(fit) == 6 * 5000 * 0.8
    assert cost(plan.stages.values())["image_passes"] == 200 * 6 * 5000 * 0.8
    forward = forward_flops(fit.config["backbone"])
    assert cost(plan.stages.values())["flops"] == 3 * forward * 200 * 6 * 5000 * 0.8


def test_a_method_that_sends_images_more_than_once_costs_more() -> None:
    """ARPL+CS has four passes of the network where ARPL has one."""
    passes = [
        cost(plan_of(["mnist"], methods={name: {}}).stages.values())["image_passes"]
        for name in ("arpl", "arpl_cs")
    ]
    assert passes[1] == 4 * passes[0]


def test_embedding_pmals_prototypes_costs_what_its_docstring_says() -> None:
    """By the default `embed_every`, of a fit on TinyImageNet's 20 classes in batches of 128; they
    were a quarter of an epoch when each step embedded them.
    """
    plan, shares = make_plan(load_spec("pmal_table5"), placeholders(["tinyimagenet"])), {}
    for fit in plan.stages.values():
        if fit.kind.trains and fit.config["method"]["name"] == "pmal":
            images = images_trained_on(fit)
            assert images is not None
            passes = 3 * fit.effort * images * forward_flops(fit.config["backbone"])
            mined = fit.inputs["prototypes"].config["method"]
            shares[mined["prototypes"]] = round(100 * PMAL.further_flops(fit, images) / passes, 1)
    assert shares == {1: 0.5, 5: 2.7, 10: 5.3, 20: 10.7, 30: 16.0}


def test_a_shared_fit_costs_once() -> None:
    """MLS scores Softmax's network."""
    alone = plan_of(["mnist"], methods={"softmax": {}})
    both = plan_of(["mnist"], methods={"softmax": {}, "mls": {}})
    assert cost(both.stages.values()) == cost(alone.stages.values())


def test_sizes_of_digits_are_those_of_the_files() -> None:
    """The one data set that is always here."""
    counts = READERS["digits"].load(None, "train").labels.bincount()
    assert tuple(counts.tolist()) == TRAIN_IMAGES["digits"]
    assert num_train_images("digits", [0, 1]) == 134 + 137


def test_sizes_of_mnist_are_those_of_the_files(data_root: Path) -> None:
    """Its classes are not of equal size."""
    counts = READERS["mnist"].load(data_root, "train").labels.bincount()
    assert tuple(counts.tolist()) == TRAIN_IMAGES["mnist"]


def test_sizes_sum_to_the_published_ones() -> None:
    """60,000, 73,257 and 115,846 training images."""
    totals = {name: num_train_images(name, range(10)) for name in ("mnist", "svhn")}
    assert totals == {"mnist": 60_000, "svhn": 73_257}
    assert num_train_images("imagenet_lt", range(1000)) == 115_846


def test_images_of_ones_own_have_no_published_size(tmp_path: Path) -> None:
    """Nothing is guessed: the counts are null, not zero."""
    assert num_train_images("folder:flowers", [0, 1]) is None
    lists = {"splits": {"folder:flowers": [{"known": [0, 1], "unknown": [2]}]}}
    (tmp_path / "flowers.json").write_text(json.dumps(lists))
    protocol = str(tmp_path / "flowers.json")
    plan = plan_of(["folder:flowers"], protocol=protocol, methods={"softmax": {}})
    assert cost(plan.stages.values()) == {"image_passes": None, "flops": None}


def test_cost_lists_both_papers_and_needs_no_data(tmp_path: Path) -> None:
    """Hours are FLOPs over the stated rate, and a spec may be named."""
    runner = CliRunner()
    rows = json.loads(runner.invoke(app, ["cost", "--json", "--tflops", "100"]).stdout)
    assert [row["sweep"].replace("-", "_") for row in rows] == papers_specs()
    assert all(row["GPU hours"] == row["flops"] / 1e14 / 3600 for row in rows)
    told = runner.invoke(app, ["cost", "cac_fig2", "--tflops", "100"]).stdout
    assert "cac-fig2   7      5,600    50.4 million   199 PFLOP    33 min 11 s" in told
    (digits,) = json.loads(runner.invoke(app, ["cost", "digits", "--json"]).stdout)
    home = ["--home", str(tmp_path)]
    planned = json.loads(runner.invoke(app, ["plan", "digits", "--json", *home]).stdout)
    same = ("fits", "epochs", "image_passes", "flops")
    assert [digits[name] for name in same] == [planned[name] for name in same]
    told = runner.invoke(app, ["plan", "digits", *home]).stdout
    assert "image passes   486,240      of all fits together" in told
    assert "operations     7.67 TFLOP" in told
