"""Every column of the exported Parquet files: name, type, unit, meaning."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column of an export."""

    name: str
    type: pa.DataType
    unit: str  # "" for names, ids and texts
    meaning: str
    optional: bool = False  # null in runs that do not say; absent from older exports


PIXELS = pa.list_(pa.field("element", pa.uint8()))
LOGITS = pa.list_(pa.field("element", pa.float32()))  # as Parquet names it
METRIC_COLUMNS = (
    Column("accuracy", pa.float64(), "fraction", "top-1 on known test images, none rejected"),
    Column("auroc", pa.float64(), "fraction", "area under ROC, unknown positive"),
    Column("auroc_error", pa.float64(), "fraction", "DeLong's standard error of auroc"),
    Column("oscr", pa.float64(), "fraction", "area of correct classification over false positives"),
    Column("aupr_unknown", pa.float64(), "fraction", "average precision, unknown positive"),
    Column("aupr_known", pa.float64(), "fraction", "average precision, known positive"),
    Column(
        "fpr95_known_positive",
        pa.float64(),
        "fraction",
        "unknowns accepted where 95 % of knowns are accepted",
    ),
    Column(
        "fpr95_unknown_positive",
        pa.float64(),
        "fraction",
        "knowns rejected where 95 % of unknowns are rejected",
    ),
    Column(
        "macro_f1",
        pa.float64(),
        "fraction",
        "mean F1 of the known classes and unknown, with 95 % of knowns accepted",
    ),
    Column(
        "aurc",
        pa.float64(),
        "fraction",
        "area under risk against coverage, an accepted unknown being an error",
    ),
    Column("ece", pa.float64(), "fraction", "calibration error of the knowns' softmax, 15 bins"),
)
RUN_COLUMNS = (
    Column("trial_id", pa.string(), "", "identity of the trial, a hash of all that made it"),
    Column("sweep", pa.string(), "", "name of the sweep"),
    Column("method", pa.string(), "", "key of the method in a spec"),
    Column("title", pa.string(), "", "name of the method in a table"),
    Column("hyperparameters", pa.string(), "canonical JSON", "resolved settings of the method"),
    Column("recipe", pa.string(), "", "published (each paper's own training) or common"),
    Column("backbone", pa.string(), "canonical JSON", "resolved settings of the network"),
    Column("training", pa.string(), "canonical JSON", "resolved optimiser and schedule"),
    Column("protocol", pa.string(), "", "published family of splits"),
    Column("dataset", pa.string(), "", "key of the dataset in a spec"),
    Column("split", pa.int32(), "", "number of the split in its protocol"),
    Column("seed", pa.int64(), "", "the spec's seed, from which all others are derived"),
    Column("num_known", pa.int32(), "classes", "known classes, trained on"),
    Column("num_unknown", pa.int32(), "classes", "unknown classes, in the test set only"),
    Column("openness", pa.float64(), "fraction", "1 - sqrt(2 known / (2 known + unknown))"),
    Column("selection", pa.string(), "", "rule that chose the hyperparameters, or none"),
    Column("commit", pa.string(), "", "version of the code"),
    Column(
        "made_on",
        pa.string(),
        "canonical JSON",
        "device, hardware, threads, instruction set and libraries of its stages, by kind",
        optional=True,
    ),
    Column(
        "imported",
        pa.string(),
        "canonical JSON",
        "file, sha256, source, licence and more of what was made elsewhere; null for other trials",
        optional=True,
    ),
    *METRIC_COLUMNS,
    Column("num_parameters", pa.int64(), "", "trainable parameters of the model", optional=True),
    Column(
        "num_additional_parameters",
        pa.int64(),
        "",
        "of these, prototypes and reciprocal points",
        optional=True,
    ),
    *(
        Column(
            f"{side}_images_{end}",
            pa.int64(),
            "images",
            f"scored of the {side} class {of}",
            optional=True,
        )
        for side in ("known", "unknown")
        for end, of in (("min", "with the fewest"), ("max", "with the most"))
    ),
)
HISTORY_COLUMNS = (
    Column("sweep", pa.string(), "", "name of the sweep"),
    Column("stage_id", pa.string(), "", "identity of the fit, which several trials may share"),
    Column("method", pa.string(), "", "key of the method that was trained"),
    Column("dataset", pa.string(), "", "key of the dataset in a spec"),
    Column("split", pa.int32(), "", "number of the split in its protocol"),
    Column("seed", pa.int64(), "", "the spec's seed, from which all others are derived"),
    Column("member", pa.int32(), "", "number of the repetition within an ensemble"),
    Column("epoch", pa.int32(), "epochs", "counted from 1"),
    Column("metric", pa.string(), "", "a loss term or what else a method tells, or wall_s"),
    Column("value", pa.float64(), "", "the metric at the end of the epoch"),
)
SCORE_COLUMNS = (
    Column("trial_id", pa.string(), "", "the trial in runs.parquet"),
    Column("image_id", pa.string(), "", "dataset, subset and position of the test image"),
    Column("label", pa.int32(), "", "position among the sorted known classes, -1 for unknown"),
    Column("predicted", pa.int32(), "", "position of the best known class"),
    Column("unknown_score", pa.float32(), "", "larger = more unknown"),
    Column("logits", LOGITS, "", "one per known class, larger = more that class"),
    Column("class_name", pa.string(), "", "the image's own class in its dataset", optional=True),
)
MINED_COLUMNS = (
    Column("stage_id", pa.string(), "", "identity of the mining, which several trials may share"),
    Column("dataset", pa.string(), "", "dataset of the known training images"),
    Column("split", pa.int32(), "", "number of the split in its protocol"),
    Column("label", pa.int32(), "", "position among the sorted known classes"),
    Column("robustness", pa.float64(), "fraction", "r of the image, 1 = most robust"),
    Column("correct", pa.bool_(), "", "whether the first classifier of the ensemble is right"),
    Column("prototype", pa.bool_(), "", "whether the image was chosen"),
)
EMBEDDING_COLUMNS = (
    Column("trial_id", pa.string(), "", "the trial in runs.parquet"),
    Column("role", pa.string(), "", "image (of the test set) or prototype"),
    Column("label", pa.int32(), "", "position among the sorted known classes, -1 for unknown"),
    Column("embedding", LOGITS, "", "output of the backbone"),
)
POSITION = "of the training image among those of the known classes, counted from 0"
GENERATED_COLUMNS = (
    Column("stage_id", pa.string(), "", "identity of the stage that made the images"),
    Column("dataset", pa.string(), "", "dataset of the known training images"),
    Column("split", pa.int32(), "", "number of the split in its protocol"),
    Column("column", pa.int32(), "", "number of the image made, which its starts have too"),
    Column("role", pa.string(), "", "start or partner (training images), or generated"),
    Column("label", pa.int32(), "", "a training image's class; else what the classifier says"),
    Column("p_unknown", pa.float64(), "fraction", "probability of none of the known classes"),
    Column("position", pa.int32(), "", POSITION + "; null where generated", optional=True),
    Column(
        "interpolation",
        pa.float64(),
        "fraction",
        "t, the start's share of G-OpenMax's latent; null for other images",
        optional=True,
    ),
    Column(
        "squared_distance",
        pa.float64(),
        "",
        "of OSRCI's latent from its start's; null for other images",
        optional=True,
    ),
    Column("channels", pa.int32(), "", "1 grey, 3 colour"),
    Column("side", pa.int32(), "pixels", "of the image"),
    Column("pixels", PIXELS, "", "levels, channel after channel, row after row"),
)
RECONSTRUCTED_COLUMNS = (
    Column("stage_id", pa.string(), "", "identity of the stage that decoded the images"),
    Column("dataset", pa.string(), "", "dataset of the known training images"),
    Column("split", pa.int32(), "", "number of the split in its protocol"),
    Column("column", pa.int32(), "", "number of the training image"),
    Column("position", pa.int32(), "", POSITION, optional=True),
    Column("label", pa.int32(), "", "the training image's class"),
    Column(
        "condition",
        pa.int32(),
        "",
        "class that it is decoded under, null for the image itself",
        optional=True,
    ),
    Column("error", pa.float64(), "", "e, from 0 to 2; null for the image itself", optional=True),
    Column("channels", pa.int32(), "", "1 grey, 3 colour"),
    Column("side", pa.int32(), "pixels", "of the image"),
    Column("pixels", PIXELS, "", "levels, channel after channel, row after row"),
)
STAGE_COLUMNS = (
    Column("stage_id", pa.string(), "", "identity of the stage, which several trials may share"),
    Column("dataset", pa.string(), "", "key of the stage's dataset", optional=True),
    Column("split", pa.int32(), "", "number of the split in its protocol", optional=True),
)
LINK_COLUMNS = (
    Column("stage_id", pa.string(), "", "identity of the stage; a trial's is its trial_id"),
    Column("kind", pa.string(), "", "kind of the stage: score, fit, or a method's own"),
    Column("experiment_id", pa.string(), "", "MLflow's number of the sweep"),
    Column("run_id", pa.string(), "", "MLflow's name of the run"),
)
