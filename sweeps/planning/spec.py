"""The spec: a sweep as a small YAML file, checked in full before anything runs.

A list in a method's settings is a grid; a list of mappings is one after the other. Every problem of
a file is reported at once, with the place and what is allowed.
"""

import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
)

from osr_core.config import LARGEST
from osr_core.data import BENCHMARKS
from osr_core.data.split_files import Names, beforehand
from osr_core.data.splits import ClassSplit, class_split
from osr_core.errors import ConfigError, did_you_mean, nearest, unknown_name
from sweeps.home import RESERVED, SWEEP_NAME, expanded
from sweeps.planning.entry import MethodSettings, check_backbone, check_training
from sweeps.planning.grid import Entry, expand_methods
from sweeps.planning.not_implemented import Missing, leave_out
from sweeps.planning.resources import Budget, Resources
from sweeps.planning.search_block import Search
from sweeps.planning.spec_splits import Splits, split_problems, splits_beside
from sweeps.planning.yaml_values import read_yaml

FORMS = {  # by pydantic's name of the fault, what is wanted instead
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "string_type": "a name",
    "int_type": "a whole number",
    "float_type": "a number",
    "too_short": "one entry or more",
}
NAMED_BY = (
    "lower-case letters, digits, '-', '_' and '.', 64 at most, beginning with a letter or digit"
)
LARGEST_SEED = 2**63 - 1  # exports keep seeds in 64 bits
SHARED = "x-"  # how keys begin under which a file keeps blocks that several places share
EXAMPLES = {"datasets": "[digits]", "splits": "[0, 1]", "seeds": "[0, 1]"}
EXAMPLES |= {"methods": "{softmax: {}}", "resources": "{cpus: 2}", "budget": "{gpu_hours: 100}"}


NESTED: dict[str, type[BaseModel]] = {"resources": Resources, "budget": Budget}


def _unique(values: Any) -> Any:
    if isinstance(values, list):
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there more than once")
    return values


def _dataset(name: Any) -> Any:
    if isinstance(name, str) and name not in BENCHMARKS:
        raise ValueError(unknown_name("dataset", name, BENCHMARKS))
    return name


def _free(name: Any) -> Any:
    if isinstance(name, str) and name in RESERVED:
        raise ValueError(f"'{name}' is {RESERVED[name]}. Give the sweep another name.")
    return name


class SweepSpec(BaseModel):
    """What to run: every method on every split of every dataset with every seed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True
    )
    name: Annotated[str, BeforeValidator(_free)] = Field(
        pattern=SWEEP_NAME,
        description="the sweep's name: lower-case letters, digits, '-', '_' and '.'",
    )
    protocol: str = Field("cac", description="published family of splits, 'random', or a file")
    datasets: Annotated[
        list[Annotated[str, BeforeValidator(_dataset)]], BeforeValidator(_unique)
    ] = Field(min_length=1, description="what is classified")
    splits: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST)]], BeforeValidator(_unique)] = (
        Field(min_length=1, description="numbers of the protocol's splits")
    )
    seeds: Annotated[
        list[Annotated[int, Field(ge=0, le=LARGEST_SEED)]], BeforeValidator(_unique)
    ] = Field([0], min_length=1, description="repetitions of every trial")
    recipe: Literal["common", "published"] = Field(
        "common", description="one network and schedule for all methods, or each paper's own"
    )
    backbone: Annotated[dict[str, Any], BeforeValidator(check_backbone)] = Field(
        {}, description="changes to the recipe's network, for all methods"
    )
    training: Annotated[dict[str, Any], BeforeValidator(check_training)] = Field(
        {}, description="changes to the recipe's training, for all methods"
    )
    methods: Annotated[dict[str, list[Entry]], BeforeValidator(expand_methods)] = Field(
        min_length=1,
        description="methods by name; a list in a setting is a grid; training, backbone and "
        "protocol change the spec's for one method",
    )
    resources: Resources = Field(Resources(), description="what one stage occupies")
    budget: Budget = Field(Budget(), description="what one launch may spend; default: no limit")

    _missing: tuple[Missing, ...] = PrivateAttr(())
    _splits: Splits | None = PrivateAttr(None)
    _names: Names | None = PrivateAttr(None)

    @property
    def grids(self) -> dict[str, list[MethodSettings]]:
        """By method, the grid points that are planned from the start."""
        return {
            name: [entry for entry in entries if isinstance(entry, MethodSettings)]
            for name, entries in self.methods.items()
        }

    @property
    def searches(self) -> list[Search]:
        """The searches, in the spec's order."""
        entries = (entry for entries in self.methods.values() for entry in entries)
        return [entry for entry in entries if isinstance(entry, Search)]

    @property
    def protocols(self) -> list[str]:
        """Its protocol, and those that a method's entry names instead."""
        own = (entry.protocol for entries in self.methods.values() for entry in entries)
        return [*dict.fromkeys((self.protocol, *filter(None, own)))]

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the file names and nothing implements yet; no other field has it."""
        return self._missing

    def split(self, dataset: str, protocol: str, index: int) -> ClassSplit:
        """One of a protocol's splits of a dataset."""
        return (self._splits or class_split)(dataset, protocol, index, self._names or beforehand)

    def with_names(self, names: Names) -> "SweepSpec":
        """This spec once it is known what the classes are called, which split files may name."""
        spec = self.model_copy()
        spec._names = names
        return spec

    def plain(self) -> dict[str, Any]:
        """This spec as values that `parse_spec` takes: every grid point written out."""
        values = self.model_dump(exclude={"methods"})
        values["methods"] = {
            name: [entry.plain() for entry in entries] for name, entries in self.methods.items()
        }
        return values


# -- files -----------------------------------------------------------------------------------------


def packaged_specs() -> dict[str, Path]:
    """The specs that come with the package, by name."""
    folder = Path(str(resources.files("sweeps.specs")))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def papers_specs() -> list[str]:
    """The names of those that make the papers' tables and figures."""
    papers = (name for name in packaged_specs() if name.startswith(("cac_", "pmal_")))
    return [name for name in papers if not name.endswith("_search")]


def find_spec(given: str) -> Path:
    """The file of a spec given by path or by the name of a packaged one."""
    path = expanded(Path(given))
    if path.suffix not in (".yaml", ".yml") and "/" not in given:
        specs = packaged_specs()
        if given not in specs:
            hint = did_you_mean(nearest(f"{given}.yaml", _specs_beside(path)))
            file = " Or give the path of a file that ends in .yaml."
            raise ConfigError(unknown_name("packaged spec", given, specs) + file + hint)
        return specs[given]
    if not path.is_file():
        names = ", ".join(packaged_specs())
        why = "is no file" if path.exists() else "does not exist"
        hint = did_you_mean(nearest(path.name, _specs_beside(path)))
        raise ConfigError(f"spec file {given} {why}.{hint} Packaged specs: {names}.")
    return path


def _specs_beside(path: Path) -> list[str]:
    """The names of the YAML files in a path's folder."""
    return sorted(each.name for each in path.parent.glob("*.y*ml"))


def load_spec(given: str) -> SweepSpec:
    """Read and check a spec.

    Raises:
        ConfigError: every problem of the file, each with its place.
    """
    path = find_spec(given)
    return parse_spec(read_yaml(path), str(path), splits_beside(path))


def parse_spec(values: Any, source: str, splits: Splits = class_split) -> SweepSpec:
    """A spec from plain values; `source` opens every message, `splits` finds the classes."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"{source}: a spec is a mapping with name, datasets, splits and methods.")
    values = {key: value for key, value in values.items() if not is_shared(key)}
    problems: list[str] = []
    spec = None
    try:
        kept, missing = leave_out(values)
        spec = SweepSpec.model_validate(kept)
        spec._missing, spec._splits = missing, splits
    except ValidationError as error:
        for detail in error.errors():
            problems += _sentences(detail)
    except ConfigError as error:
        problems += error.problems
    except RecursionError:
        problems.append("a value contains itself, or is nested too deeply.")
    own = {point.protocol for points in spec.methods.values() for point in points} if spec else ()
    for protocol in (values.get("protocol", "cac"), *sorted(filter(None, own))):
        problems += split_problems(values, protocol, splits)
    if spec is None or problems:
        raise ConfigError([f"{source}: {problem}" for problem in problems])
    return spec


def _how_to_write(wanted: str, given: Any) -> str:
    """A sentence, where it is a number that is only written otherwise."""
    if wanted == "int_type" and isinstance(given, float) and given.is_integer():
        return " Write it without a point."
    is_number = {"int_type": str.isdecimal, "float_type": _is_float}.get(wanted)
    if is_number and isinstance(given, str) and is_number(given):
        return " Write it without quotation marks."
    return ""


def _is_float(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_shared(key: Any) -> bool:
    """Whether a key only keeps what other places refer to."""
    return isinstance(key, str) and key.startswith(SHARED)


def _sentences(detail: Any) -> list[str]:
    """What pydantic found, in our words."""
    where = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        model = NESTED.get(str(detail["loc"][0])) if len(detail["loc"]) > 1 else SweepSpec
        known = (model or SweepSpec).model_fields
        return [unknown_name("key", where.rpartition(".")[2], known)]
    if detail["type"] == "missing":
        meaning = SweepSpec.model_fields[where].description
        return [f"key '{where}' is missing: {meaning}."]
    raised = detail.get("ctx", {}).get("error")
    if isinstance(raised, ConfigError):
        return [f"{where}: {problem}" for problem in raised.problems]
    message = str(raised) if raised else f"{detail['msg']}, not {detail['input']!r}."
    example = f", such as {EXAMPLES[where]}" if where in EXAMPLES else ""
    if detail["type"] in FORMS:
        message = f"must be {FORMS[detail['type']]}{example}, not {detail['input']!r}."
        message += _how_to_write(detail["type"], detail["input"])
    if where == "name" and detail["type"] in ("string_type", "string_pattern_mismatch"):
        is_number = isinstance(detail["input"], int | float)
        quotes = "; in quotes a number is a name" if is_number else ""
        message = f"must be {NAMED_BY}, not {detail['input']!r}{quotes}."
    return [f"{where}: {message}"]
