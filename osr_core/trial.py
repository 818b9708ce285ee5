"""A trial: method x hyperparameters x split x seed, and the stages that it is made of.

A method's `recipe` builds its stages with `fit` and `stage`; equal stages of different trials have
equal ids, so the plan keeps each once. `MLS` asks for the softmax fit that `Softmax` asks for, and
both get the same one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from osr_core.config import as_dict
from osr_core.data.inner_splits import InnerSplit
from osr_core.data.splits import ClassSplit
from osr_core.errors import ConfigError
from osr_core.imported import STORED, Imported
from osr_core.kinds import CALIBRATE, FIT, GENERAL, IMPORT_WEIGHTS, SCORE, VALIDATE, Kind
from osr_core.legs import in_legs
from osr_core.recipes import Training
from osr_core.stage import Stage

AMBIGUOUS = (
    "method '{}' scores by what is fitted after the training (CAC: its anchors become the means of "
    "the classes), and files of weights often hold what was there before. Say --anchors recompute "
    "to fit it anew to the training images, or --anchors stored where the file holds what was "
    "fitted."
)
ALWAYS_FITTED = (
    "method '{}' fits what it scores by anew to the training images, whatever a file of weights "
    "holds of it. Leave --anchors stored out for it."
)


class Fitted(Protocol):
    """What a trial asks of the class that a fit trains."""

    name: ClassVar[str]
    version: ClassVar[int]

    @classmethod
    def setting_names(cls) -> Collection[str]:
        """The fields of its config."""

    @classmethod
    def fits_after_training(cls) -> bool:
        """Whether scoring needs what its `calibrate` finds."""


class WithRecipe(Fitted, Protocol):
    """What a trial asks of its method's class."""

    kinds: ClassVar[Mapping[Kind, Any]]

    @classmethod
    def recipe(cls, trial: "Trial") -> Stage:
        """The stage that leaves the weights which the method scores with."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One number per metric in the average of a table's cell."""

    method: type[WithRecipe]
    config: Any  # resolved hyperparameters, a `Config` of the method
    split: ClassSplit
    fingerprints: Mapping[str, str]  # "digits/train" -> hash of the data
    backbone: Mapping[str, Any]  # resolved settings with "name", "image_size" and "channels"
    training: Training
    seed: int
    inner: InnerSplit | None = None  # of a trial by which a search chooses
    ends: tuple[int | None, ...] = ()  # of the legs in which its last fit is made, see `legs`
    imported: Imported | None = None  # weights that stand in the place of its fit

    @property
    def model(self) -> Stage:
        """The stage that leaves the weights which are scored."""
        model = self.method.recipe(self)
        if self.imported is not None and self.method.fits_after_training():
            model = self._with_anchors(model, self.imported.anchors)
        return in_legs(model, self.ends)

    @property
    def last(self) -> Stage:
        """The stage that gives the trial's numbers."""
        return self.score if self.inner is None else self.validation

    @property
    def validation(self) -> Stage:
        """The last stage of a search's trial: scores of held-out training images."""
        config = {"method": self._settings(self.method), "backbone": dict(self.backbone)}
        inputs = {"model": self.model}
        return Stage(kind=VALIDATE, config={**config, "task": self.task}, inputs=inputs)

    @property
    def score(self) -> Stage:
        """The last stage: scores of all test images; only it reads the unknown classes."""
        config = {"method": self._settings(self.method), "backbone": dict(self.backbone)}
        test = test_of(self.split, self.fingerprints)
        return Stage(kind=SCORE, config={**config, "test": test}, inputs={"model": self.model})

    def fit(
        self,
        method: type[Fitted] | None = None,
        *,
        member: int = 0,
        role: str = "",
        reader: str = "fit",
        backbone: Mapping[str, Any] | None = None,
        training: Training | None = None,
        inputs: Mapping[str, Stage] | None = None,
    ) -> Stage:
        """Train `method` (default: the trial's own) on the known classes.

        The fit's settings are those fields of the trial's config that `method` has too and that
        `reader` reads: a part that several methods share has a reader of its own. `member` numbers
        independent repetitions, as in an ensemble. `role` is for a fit that follows another of its
        trial: with its own draws, it does not replay that one's order of images and augmentation.
        `backbone` and `training` are a network and a schedule other than the trial's, as of a
        generator and of a fine-tuning.

        Where weights are imported, they stand in the fit's place.

        Raises:
            ConfigError: imported weights for a fit that is not the only one of its trial.
        """
        if self.imported is not None:
            if member or role or backbone or training or inputs or reader != "fit":
                raise ConfigError(
                    f"method '{self.method.name}' trains more than one network, one after the "
                    "other, and a file of weights has one. Import it for a method that trains one."
                )
            return self._import(method or self.method, self.imported)
        config = {
            "method": self._settings(method or self.method, reader),
            "backbone": dict(backbone or self.backbone),
            "training": as_dict(training or self.training),
            "task": self.task,
            "seed": self.seed,
            "member": member,
            **({"role": role} if role else {}),
        }
        return Stage(kind=FIT, config=config, inputs=inputs or {})

    def _with_anchors(self, model: Stage, anchors: str) -> Stage:
        """`model`, which rests on imported weights, with what a file may hold of its fits.

        Raises:
            ConfigError: nobody says whether that of the file counts; it is to count, and cannot.
        """
        if model.kind != IMPORT_WEIGHTS:  # the recipe fits anew by itself
            if anchors == STORED:
                raise ConfigError(ALWAYS_FITTED.format(self.method.name))
            return model
        if not anchors:
            raise ConfigError(AMBIGUOUS.format(self.method.name))
        model = replace(model, config={**model.config, "anchors": anchors})
        if anchors == STORED:
            return model
        return self.stage(CALIBRATE, "fit", inputs={"classifier": model})

    def _import(self, method: type[Fitted], imported: Imported) -> Stage:
        config = {
            "method": self._settings(method, "fit"),
            "backbone": dict(self.backbone),
            "task": {"dataset": self.split.known_from, "known": list(self.split.known)},
            **imported.identity,
            "anchors": "",
        }
        return Stage(kind=IMPORT_WEIGHTS, config=config)

    def stage(self, kind: Kind, *readers: str, inputs: Mapping[str, Stage]) -> Stage:
        """A stage of another kind on the known training images.

        Its settings are the fields of the trial's config that one of `readers` reads.

        Raises:
            ConfigError: a kind that is neither a general one nor brought by the trial's method.
        """
        if kind not in (*GENERAL.values(), *self.method.kinds):
            raise ConfigError(
                f"method '{self.method.name}' asks for a stage of kind '{kind}', which its class "
                "does not bring. Name it in `kinds`, with the function that runs it."
            )
        config = {
            "method": self._settings(self.method, *readers),
            "backbone": dict(self.backbone),
            "task": self.task,
            **({"seed": self.seed} if kind.draws else {}),
        }
        return Stage(kind=kind, config=config, inputs=inputs)

    @property
    def task(self) -> dict[str, Any]:
        """What is trained on. The split's number is part of it: protocols repeat the known classes
        of CIFAR+N in every split, and these are meant as independent repetitions.
        """
        split, inner = self.split, self.inner
        task = {
            "dataset": split.known_from,
            "known": list(split.known),
            "split": split.index,
            "fingerprint": self.fingerprints[f"{split.known_from}/train"],
        }
        if inner is None:
            return task
        known = [k for k in split.known if k not in inner.hidden]
        held_out = {"hidden": list(inner.hidden), "fraction": inner.fraction}
        return {**task, "known": known, "held_out": held_out}

    def _settings(self, method: type[Fitted], *readers: str) -> dict[str, Any]:
        shared = method.setting_names()
        values = as_dict(self.config, *readers)
        settings = {key: value for key, value in values.items() if key in shared}
        return {"name": method.name, "version": method.version, **settings}


def test_of(split: ClassSplit, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """The test images of a split, as stages that score have them in their config."""
    return {
        "known_from": split.known_from,
        "known": list(split.known),
        "unknown_from": split.unknown_from,
        "unknown": list(split.unknown),
        "fingerprints": {
            name: fingerprints[f"{name}/test"]
            for name in sorted({split.known_from, split.unknown_from})
        },
    }
