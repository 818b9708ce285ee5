"""What source code a stage's result rests on, as a digest: it tells of changes without a version.

From the stage's function on, a definition is reached where reached code names it, and a member of a
reached class where reached code asks any object for a member of that name. So the sign of a score
is reached by `score` and not by `fit`, and another method's file by neither. A list of all methods,
networks or readers is not followed: a stage needs those that its config names.
"""

import importlib.util
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple, Protocol

from osr_core.backbones import backbone_named
from osr_core.data import READERS
from osr_core.errors import ConfigError
from osr_core.execution import known_kind
from osr_core.identity import digest
from osr_core.kinds import CALIBRATE, FIT
from osr_core.methods import METHODS, PARTS
from osr_core.precision import whole_float32
from osr_core.syntax import Class, Module, Part, parse

Name = tuple[str, str]  # a module, and a definition in it: "Fit", "Softmax.Config"; "" for itself

LISTS = ("osr_core.backbones", "osr_core.data", "osr_core.methods")
LEARNER: Name = ("osr_core.methods.learner", "Learner")
WORDS = {"name", "title", "source", "version"}  # what a method says of itself, or its stages' ids
VALIDATE: Name = ("osr_core.training", "validate")  # what the loop does only with held-out images
VALIDATION = "validation"  # what it asks a method for


class Read(Protocol):
    """How a module's source is read."""

    def __call__(self, module: str) -> tuple[str, bool] | None:
        """The source, and whether it is a package's; None for what is no module in Python."""


def read_source(module: str) -> tuple[str, bool] | None:
    """As a `Read`, from where Python would import the module."""
    try:
        spec = importlib.util.find_spec(module)
        text = spec.loader.get_source(module)  # type: ignore[union-attr]
    except (ImportError, ValueError, AttributeError):
        return None
    return None if text is None else (text, spec.submodule_search_locations is not None)  # type: ignore[union-attr]


class Sources:
    """The source that stages rest on, as `read` gives it; each module is read once.

    With the first module of a package all are read that this process has imported: it goes on to
    run them as they are, whatever becomes of their files.
    """

    def __init__(self, read: Read = read_source) -> None:
        self._read = read
        self._texts: dict[str, tuple[str, bool] | None] = {}
        self._modules: dict[str, Module | None] = {}
        self._digests: dict[Start, str] = {}

    def module(self, name: str) -> Module | None:
        """A module by its full name, if there is one."""
        if name not in self._modules:
            found = self._text(name)
            self._modules[name] = found and parse(found[0], name, found[1])
        return self._modules[name]

    def _text(self, name: str) -> tuple[str, bool] | None:
        package = name.partition(".")[0]
        if package not in self._texts:
            imported = [each for each in [*sys.modules] if each.startswith(f"{package}.")]
            self._texts |= {each: self._read(each) for each in (package, *imported)}
        if name not in self._texts:
            self._texts[name] = self._read(name)
        return self._texts[name]

    def of(self, identity: Mapping[str, Any]) -> str:
        """The digest for a stage; "" where not all of what runs it has a source."""
        start = start_of(identity)
        if start not in self._digests:
            self._digests[start] = Reach(self, start).digest()
        return self._digests[start]


class Start(NamedTuple):
    """Where the way to a stage's source begins; many stages have the same."""

    roots: tuple[Name, ...]
    asks: frozenset[str] = frozenset()  # members that objects are asked for in any case
    validates: bool = True


def start_of(identity: Mapping[str, Any]) -> Start:
    """A stage's function, and what its config names; for kinds that are not here, nothing."""
    config = identity["config"]
    known = known_kind(identity["kind"], config)
    if known is None:
        return Start(())
    kind, function = known
    named = (function, *named_in(config), *(() if kind.trains else (whole_float32,)))
    roots = tuple((each.__module__, each.__qualname__) for each in named)
    # The loop and a calibration ask a method for its losses and embeddings, and never call it.
    asks = frozenset[str]() if kind in (FIT, CALIBRATE) else frozenset({"forward"})
    return Start(roots, asks, config.get("training", {}).get("validation", 1) > 0)


def named_in(config: Mapping[str, Any]) -> Iterator[Any]:
    """The classes that a stage's config names: of its method, its network and its data."""
    for listed in (METHODS, PARTS):
        if (name := config.get("method", {}).get("name")) in listed:
            yield listed[name]
    with suppress(ConfigError):
        yield backbone_named(config.get("backbone", {}).get("name"))
    task, test = config.get("task", {}), config.get("test", {})
    names = (task.get("dataset"), test.get("known_from"), test.get("unknown_from"))
    yield from (type(READERS[name]) for name in dict.fromkeys(names) if name in READERS)


@cache
def sources() -> Sources:
    """Of this process, which runs the source as it was when it began."""
    return Sources()


def source_of(identity: Mapping[str, Any]) -> str:
    """The digest of the source that a stage's result rests on; "" if it is not known."""
    return sources().of(identity)


def is_of_other_source(identity: Mapping[str, Any], source: str) -> bool:
    """Whether a result, which was made by `source`, is of other source than this process runs.

    It is not where one of the two is not known.
    """
    here = source_of(identity)
    return bool(source and here and source != here)


class Reach:
    """What is reached from some definitions, in their packages and in this one."""

    def __init__(self, sources: Sources, start: Start) -> None:
        self.sources, self.roots = sources, start.roots
        self.packages = {"osr_core", *(module.partition(".")[0] for module, _ in start.roots)}
        self.skipped = () if start.validates else (VALIDATE,)
        self.unasked = set() if start.validates else {VALIDATION}
        self.asks = set(start.asks)
        self.classes: dict[Name, set[str]] = {}  # with members that only this one is asked for
        self.found: dict[Name, Part] = {}  # a member's name has its class's before it
        self.todo: list[tuple[str, Part]] = []  # found and not looked into, each with its module

    def digest(self) -> str:
        """Of all that is reached; "" if there is no root, or one has no source."""
        if not self.roots or not all(self._begin(*root) for root in self.roots):
            return ""
        while self.todo:
            while self.todo:
                module, part = self.todo.pop()
                self.asks |= part.asks - self.unasked
                for name in part.names:
                    self._reach(self._find(module, name), part.asks)
            for cls in list(self.classes):
                self._look_up(cls)
        return digest({".".join(name): part.text for name, part in self.found.items()})

    def _begin(self, module: str, name: str) -> bool:
        """Reach a root; False if it has no source."""
        here = self._module(module)
        owner, _, member = name.rpartition(".")
        if here is not None and owner in here.classes and name not in here.classes:
            self.classes.setdefault((module, owner), set()).add(member)
            self._look_up((module, owner))
            return True
        target = self._find(module, name)
        self._reach(target, ())
        return target is not None

    # -- what names stand for --------------------------------------------------------------------

    def _module(self, name: str) -> Module | None:
        return self.sources.module(name) if name.partition(".")[0] in self.packages else None

    def _find(self, module: str, name: str, tried: frozenset[Name] = frozenset()) -> Name | None:
        """What a name in a module stands for, if that is within reach."""
        here = self._module(module)
        if here is None or (module, name) in tried:
            return None
        if name in here.functions or name in here.values or name in here.classes:
            return module, name
        if name in here.imports:
            source, what = here.imports[name]
            return self._inside(source, what, tried | {(module, name)}) if what else (source, "")
        return None

    def _inside(self, module: str, name: str, tried: frozenset[Name] = frozenset()) -> Name | None:
        """What another module means by `module.name`."""
        found = self._find(module, name, tried)
        is_module = found is None and self._module(f"{module}.{name}") is not None
        return (f"{module}.{name}", "") if is_module else found

    def _line(self, cls: Name) -> dict[Name, Class]:
        """A class and its bases, each before its own bases, as Python looks members up."""
        line: list[tuple[Name, Class]] = []

        def add(name: Name) -> None:
            here = self._module(name[0])
            if here is not None and name[1] in here.classes:
                line.append((name, here.classes[name[1]]))
                for written in here.classes[name[1]].bases:
                    if (base := self._base(name[0], written)) is not None:
                        add(base)

        add(cls)
        last = dict(reversed(line))  # what two have for a base comes after both
        return dict(reversed(last.items()))

    def _base(self, module: str, written: str) -> Name | None:
        """What a base such as "Softmax.Config" names."""
        first, *rest = written.split(".")
        target = self._find(module, first)
        for name in rest:
            if target is not None and target[1]:
                target = target[0], f"{target[1]}.{name}"
            elif target is not None:
                target = self._inside(target[0], name)
        return target

    # -- what is reached -------------------------------------------------------------------------

    def _reach(self, target: Name | None, asks: Collection[str]) -> None:
        """Note a definition; of a module, those that it is asked for."""
        here = None if target is None else self._module(target[0])
        if target is None or here is None or target in self.skipped:
            return
        module, name = target
        if not name:
            for ask in asks:
                if (inner := self._inside(module, ask)) != target:
                    self._reach(inner, asks)
            return
        if name in here.classes and target not in self.classes:
            self.classes[target] = set()
            self._look_up(target)
        elif name in here.functions:
            self._note(target, here.functions[name])
        elif name in here.values and module not in LISTS:
            self._note(target, here.values[name])
        if module not in LISTS:
            self._note((module, ""), here.body)

    def _note(self, name: Name, part: Part) -> None:
        if name not in self.found:
            self.found[name] = part
            self.todo.append((name[0], part))

    def _look_up(self, cls: Name) -> None:
        """Note the members of a class that it is asked for, and its bases' where it has none."""
        line = self._line(cls)
        asks = self.asks | self.classes[cls]
        # A network's `forward` runs where the network is called, as by another one.
        asks = asks - WORDS if LEARNER in line else asks | {"forward"}
        for (module, name), each in line.items():
            self._note((module, f"{name}."), each.head)
        members = {name for each in line.values() for name in (*each.members, *each.nested)}
        for member in members:
            if member in asks or member.startswith("__"):
                self._note_member(cls, line, member)

    def _note_member(self, cls: Name, line: Mapping[Name, Class], member: str) -> None:
        for (module, name), each in line.items():
            if member in each.nested:
                self._reach((module, f"{name}.{member}"), ())
                return
            if member in each.members:
                part = each.members[member]
                self._note((module, f"{name}.{member}"), part)
                if part.calls_self and "forward" not in self.classes[cls]:
                    self.classes[cls].add("forward")
                    self._note_member(cls, line, "forward")
                if not part.passes_on:
                    return
