"""The packaged specs are the papers' tables, and say what of them is missing."""

import json
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from osr_core.config import as_dict
from osr_core.data import READERS
from osr_core.methods import OWN
from osr_core.recipes import Augmentation
from sweeps.commands.app import app
from sweeps.planning.plan import Plan, make_plan
from sweeps.planning.record import altered
from sweeps.planning.spec import load_spec, packaged_specs, papers_specs, parse_spec

DATA = {f"{name}/{subset}": "-" for name in READERS for subset in ("train", "test")}
PAPERS = papers_specs()
OSRCI_NETWORK = {"image_size": 32, "channels": 3, "head": "flatten", "width": 1.0}
OSRCI_NETWORK |= {"dropout": 0.2, "dropout_at": "before", "init": "normal"}
SIX = ["mnist", "svhn", "cifar10", "cifar+10", "cifar+50", "tinyimagenet"]


def plan_of(name: str) -> Plan:
    """A packaged spec's plan, for data that need not be there."""
    return make_plan(load_spec(name), DATA)


def rows(name: str) -> list[dict[str, Any]]:
    """Hyperparameters of the PMAL rows of a packaged spec."""
    return [dict(point.hyperparameters) for point in load_spec(name).methods["pmal"]]


@pytest.mark.parametrize("name", [name for name in PAPERS if name != "pmal_table2"])
def test_papers_specs_are_as_published(name: str) -> None:
    """Each paper's own recipe on all five splits (CAC's Figure 2: on one, as in the paper), with a
    comment that says what is missing.
    """
    spec = load_spec(name)
    assert spec.recipe == "published"
    assert spec.splits == ([0] if name == "cac_fig2" else [0, 1, 2, 3, 4])
    comment = packaged_specs()[name].read_text().partition("name:")[0]
    assert all(word in comment for word in (f"Protocol: {spec.protocol}", "issing"))
    told = comment.partition("Missing: ")[2].replace("-", "").casefold()
    assert all(missing.name.replace("_", "") in told for missing in spec.missing)


def test_tables_name_every_dataset_and_method_of_the_paper() -> None:
    """What cannot run yet is listed, not forgotten."""
    names = {"cac_table2": ("softmax openmax g_openmax osrci crosr c2ae cac", SIX)}
    names["pmal_table1"] = ("softmax cpn proser cgdl openhybrid rpl arpl_cs pmal", SIX)
    for name, (methods, datasets) in names.items():
        written = yaml.safe_load(packaged_specs()[name].read_text())
        assert list(written["methods"]) == methods.split()
        assert written["datasets"] == datasets
        spec = load_spec(name)
        here = [*spec.methods, *(missing.name for missing in spec.missing)]
        assert sorted(here) == sorted(methods.split())
        assert plan_of(name).counts()["trials"] > 0


@pytest.mark.parametrize("name", ["cac_table2", "pmal_table1", "pmal_sensitivity"])
def test_rows_copied_from_osrci_are_trained_as_there(name: str) -> None:
    """Neal et al.'s train_gan: one against the rest, Adam at 1e-4 with beta1 0.5, 30 epochs of
    batches of 64, plain images of 32 pixels in three channels, whatever the dataset; OpenMax's row
    stands on the same network.
    """
    of_osrci = {"Softmax", "OpenMax", "G-OpenMax", "OSRCI"}
    copied = [t for t in plan_of(name).trials if t.title in of_osrci]
    assert {t.title for t in copied} == (of_osrci if name == "cac_table2" else {"Softmax"})
    for trial in copied:
        training = trial.training
        assert trial.hyperparameters["loss"] == "one_vs_rest"
        assert (training["optimizer"], training["lr"], training["momentum"]) == ("adam", 1e-4, 0.5)
        assert (training["epochs"], training["batch_size"], training["drops"]) == (30, 64, [])
        assert (training["weight_decay"], training["validation"]) == (0, 0)
        assert training["augmentation"] == as_dict(Augmentation())
        assert trial.backbone.items() >= OSRCI_NETWORK.items()
    of_openmax = [t.hyperparameters for t in copied if "OpenMax" in t.title]
    rules = {(settings["rule"], settings["distance"], settings["tail"]) for settings in of_openmax}
    assert rules <= {("osrci", "euclidean", 20)}


@pytest.mark.parametrize("name", ["cac_table2", "cac_table3", "cac_fig2", "cac_fig3"])
def test_cacs_own_numbers_are_on_its_authors_lists_of_april_2020(name: str) -> None:
    """Those of November 2021 are OSRCI's, which the rows that it copies belong to."""
    older, osrci = "cac@original_2020", "cac"
    for trial in plan_of(name).trials:
        copied = name == "cac_table2" and trial.title != "CAC"
        assert trial.split.protocol == (osrci if copied else older)


def test_rows_copied_from_osrci_share_their_classifier_and_their_gan() -> None:
    """Four rows stand on one classifier, two of them on one GAN: 160 fits fewer than trial by
    trial, CIFAR+10's and CIFAR+50's among them.
    """
    plan = plan_of("cac_table2")
    mnist = [t for t in plan.trials if (t.split.benchmark, t.split.index) == ("mnist", 0)]
    fits = {
        trial.title: {
            stage.id
            for stage in trial.score.walk()
            if stage.kind.trains and stage.config["method"]["name"] in ("softmax", "gan")
        }
        for trial in mnist
    }
    assert len(fits["G-OpenMax"]) == 2
    assert fits["G-OpenMax"] == fits["OSRCI"] > fits["OpenMax"] == fits["Softmax"]
    assert not fits["CROSR"] | fits["CAC"]
    counts = plan.counts()
    assert (counts["fits"], counts["fits_saved"]) == (200, 160)
    assert not load_spec("cac_table2").missing
    assert not load_spec("pmal_table1").missing


def test_table_2_of_pmal_trains_all_rows_alike() -> None:
    """On ImageNet the paper has one network and schedule, ResNet-50 at 0.2, a tenth after every 30
    epochs; so PMAL's first classifier is the Softmax row's.
    """
    plan = plan_of("pmal_table2")
    assert [trial.title for trial in plan.trials[:5]] == ["Softmax", "CPN", "RPL", "RPL++", "PMAL"]
    (training,) = {json.dumps(trial.training) for trial in plan.trials}
    training = json.loads(training)
    assert [drop * training["epochs"] for drop in training["drops"]] == [30, 60, 90]
    assert (training["optimizer"], training["lr"], training["drop_factor"]) == ("sgd", 0.2, 0.1)
    assert {trial.backbone["name"] for trial in plan.trials} == {"resnet50"}
    known = {trial.split.benchmark: trial.split.num_known for trial in plan.trials}
    assert known == {"imagenet_lt": 1000, "imagenet100": 100, "imagenet200": 200}
    assert plan.counts()["fits_saved"] == 3


def test_table_3_of_pmal_has_its_six_rows() -> None:
    """Rows a to f: quality, diversity, point-to-set."""
    switches = [
        (row["quality"] != "none", row["diversity"] not in ("none",), row["distance"])
        for row in rows("pmal_table3")
    ]
    one, whole = "nearest", "attention"
    assert switches == [
        (True, False, one),
        (False, True, one),
        (True, False, whole),
        (False, True, whole),
        (True, True, one),
        (True, True, whole),
    ]


def test_table_5_of_pmal_changes_one_setting_at_a_time() -> None:
    """A product of its grids would have 1,500 rows."""
    default, *others = rows("pmal_table5")
    differences = [
        [key for key in default if row[key] != default[key]] for row in others
    ]  # names of the settings
    assert all(len(names) == 1 for names in differences)
    assert len(others) == 18
    swept = {names[0] for names in differences}
    assert swept == {"prototypes", "epsilon", "members", "margin", "prototype_weight"}


def test_table_5_of_pmal_trains_far_less_than_trial_by_trial() -> None:
    """The six classifiers of U = 6 serve every row: 25 fits per split, not 67."""
    counts = plan_of("pmal_table5").counts()
    assert counts["fits"] == 5 * 25
    assert counts["fits"] + counts["fits_saved"] == 5 * 67
    assert (counts["fits"] + counts["fits_saved"]) / counts["fits"] >= 2.2


def test_the_sensitivity_of_pmal_exchanges_known_and_unknown_classes() -> None:
    """Its rows are the paper's own and re-run ones of Table 1; only the splits differ."""
    here, table = load_spec("pmal_sensitivity"), load_spec("pmal_table1")
    assert all(table.methods[name] == points for name, points in here.methods.items())
    for trial in plan_of("pmal_sensitivity").trials:
        assert (len(trial.split.known), len(trial.split.unknown)) == (4, 6)


def test_figure_2_of_cac_fits_only_what_is_drawn() -> None:
    """A line over lambda at alpha = 10 and one over alpha at lambda = 0.1, on one split as in the
    paper; the rest of their product would be 8 more fits of 800 epochs, which nothing shows.
    """
    fits = [trial.hyperparameters for trial in plan_of("cac_fig2").trials]
    lines = {(fit["anchor_weight"], fit["alpha"]) for fit in fits}
    assert lines == {*((w, 10) for w in (0.05, 0.1, 0.2, 0.4, 0.8)), (0.1, 5), (0.1, 20)}
    assert len(fits) == len(lines) == plan_of("cac_fig2").counts()["fits"]


def test_digits_all_runs_every_method() -> None:
    """A new method that is not in it has not been seen to run."""
    assert set(load_spec("digits_all").methods) == set(OWN)


def test_osr_methods_shows_default_range_and_meaning() -> None:
    """What a spec may say is found without reading code."""
    listed = CliRunner().invoke(app, ["methods", "pmal", "--json"])
    settings = {row["setting"]: row for row in yaml.safe_load(listed.stdout)}
    assert settings["epsilon"]["default"] == 0.7
    assert settings["epsilon"]["range"] == "float >= 0, < 1"
    assert settings["warm_start"]["range"] == "true or false"
    assert settings["distance"]["range"] == "one of attention, nearest"
    assert all(row["meaning"] for row in settings.values())


def test_what_a_paper_sweep_was_told_otherwise_is_on_record() -> None:
    """Its table must not set three epochs beside a published number."""
    values = load_spec("cac_table2").plain()
    values["training"] = {"epochs": 3}
    values["backbone"] = {"width": 0.1}
    other = parse_spec(values | {"recipe": "common"}, "mine.yaml")
    told = {"backbone.width": 0.1, "recipe": "common", "training.epochs": 3}
    assert altered(other) == told
    fewer = parse_spec(load_spec("cac_table2").plain() | {"splits": [0]}, "mine.yaml")
    assert altered(fewer) == {"splits": [0]}
    more = parse_spec(load_spec("cac_table2").plain() | {"seeds": [0, 1, 7]}, "mine.yaml")
    assert altered(more) == {"seeds": [0, 1, 7]}
    assert altered(load_spec("cac_table2")) == altered(load_spec("pmal_table2")) == {}
    assert altered(parse_spec(values | {"name": "mine"}, "mine.yaml")) == {}


def test_what_a_paper_sweep_was_not_told_is_on_record_too() -> None:
    """The network of PMAL's Table 3 is not the recipe's."""
    values = load_spec("pmal_table3").plain()
    other = parse_spec(values | {"backbone": {}}, "mine.yaml")
    assert altered(other) == {"backbone.name": "the recipe's"}


def test_a_method_that_was_told_otherwise_is_on_record() -> None:
    """Also its class lists; a method that was left out is a gap, and one more entry no change."""
    values = load_spec("cac_table2").plain()
    (packaged,) = values["methods"]["cac"]
    short = packaged | {"training": {"epochs": 3}}
    lists = {name: value for name, value in packaged.items() if name != "protocol"}
    for entries, told in (
        ([short], {"methods.cac": "other settings"}),
        ([lists], {"methods.cac": "other settings"}),
        ([packaged, short], {}),
        ([short, packaged], {"methods.cac": "other settings"}),  # tables show the first
    ):
        other = parse_spec(values | {"methods": values["methods"] | {"cac": entries}}, "mine.yaml")
        assert altered(other) == told
    alone = parse_spec(values | {"methods": {"cac": [packaged]}}, "mine.yaml")
    assert altered(alone) == {}
