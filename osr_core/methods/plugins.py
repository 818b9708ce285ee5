"""Methods of other packages: the entry points of the group `osr_sweeps.methods`, name -> class.

They are looked for at the first look-up and imported when they are asked for, never while this
package is being imported: a plugin imports this package itself.
"""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from itertools import product

from osr_core.errors import ConfigError, unknown_name
from osr_core.kinds import GENERAL, Kind
from osr_core.methods.base import ImageMethod, MethodConfig

GROUP = "osr_sweeps.methods"


class Methods(Mapping[str, type[ImageMethod]]):
    """Our own methods by name, then those of plugins that can be used."""

    def __init__(self, own: Mapping[str, type[ImageMethod]]) -> None:
        self.own = own
        self.loaded: dict[str, type[ImageMethod]] = {}
        self.broken: dict[str, str] = {}  # why, by name

    def named(self, name: str) -> type[ImageMethod]:
        """The method's class.

        Raises:
            ConfigError: there is none, or the plugin that has it cannot be used, with the reason,
                such as another method's title; or a plugin takes a name that is taken.
        """
        if name not in self:
            raise ConfigError(self.broken.get(name) or self._unknown(name))
        return self[name]

    def _unknown(self, name: str) -> str:
        listed = unknown_name("method", name, self)
        return f"{listed} A method of your own must be installed where osr is."

    @cached_property
    def plugins(self) -> dict[str, EntryPoint]:
        """What other packages declare, by name, not imported yet."""
        found: dict[str, EntryPoint] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
            holder = "osr-sweeps" if entry.name in self.own else origin(found.get(entry.name))
            if holder:
                raise ConfigError(
                    f"method '{entry.name}' of {origin(entry)} has the name of a method of "
                    f"{holder}. Give it another name, or uninstall one of the two."
                )
            found[entry.name] = entry
        return found

    def _load_all(self) -> None:
        """Whatever is asked for, so that the same plugin always has the title that two want."""
        for entry in self.plugins.values():
            self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        if entry.name in self.loaded or entry.name in self.broken:
            return
        try:
            found = entry.load()
            problem = (
                problem_of(found, entry.name)
                or self._title_problem(found.title)
                or self._kind_problem(found)
            )
        except Exception as error:  # whatever another package does on import
            problem = f"{type(error).__name__}: {error}"
        if problem:
            whose = f"method '{entry.name}' of {origin(entry)} ({entry.value})"
            self.broken[entry.name] = f"{whose} cannot be used: {problem}"
        else:
            self.loaded[entry.name] = found

    def _title_problem(self, title: str) -> str:
        """What is wrong with a further method's title; empty if nothing is."""
        for other in (*self.own.values(), *self.loaded.values()):
            if other.title.casefold() == title.casefold():
                return (
                    f"its title '{title}' is that of method '{other.name}', and tables put all "
                    "trials of a title into one row. Give its class a title of its own."
                )
        return ""

    def _kind_problem(self, method: type[ImageMethod]) -> str:
        """What is wrong with the kinds of stages that a further method brings; empty if nothing."""
        others = {**self.own, **self.loaded}.values()
        known: list[tuple[Kind, object]] = [(kind, None) for kind in GENERAL.values()]
        known += [pair for other in others for pair in other.kinds.items()]
        for pair, other in product(method.kinds.items(), known):
            if pair != other and (shared := pair[0].shared_with(other[0])):
                return (
                    f"its kind of stage '{pair[0]}' has {shared} of another one, '{other[0]}', and "
                    "a result or an exported file must stand for one of them. Give it a name of "
                    f"its own, such as one that begins with '{method.name}.'."
                )
        return ""

    def kinds(self) -> dict[str, Kind]:
        """Every kind of stage by name: the general ones, and those that methods bring."""
        brought = {kind.name: kind for method in self.values() for kind in method.kinds}
        return {**GENERAL, **brought}

    def __getitem__(self, name: str) -> type[ImageMethod]:
        if name in self.plugins:  # looks for clashes first, whatever is asked for
            self._load_all()
        return self.own[name] if name in self.own else self.loaded[name]

    def __iter__(self) -> Iterator[str]:
        self._load_all()
        return iter([*self.own, *self.loaded])

    def __len__(self) -> int:
        return len(list(iter(self)))


def origin(entry: EntryPoint | None) -> str:
    """The package that declares an entry point, with its version; empty for None."""
    if entry is None:
        return ""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def problem_of(found: object, name: str) -> str:
    """What keeps an object from being a method called `name`; empty if nothing does."""
    if not (isinstance(found, type) and issubclass(found, ImageMethod)):
        return (
            f"it is {found!r}, not a subclass of osr_core.methods.ImageMethod, "
            "as osr_core.methods.Method is."
        )
    if lacking := [
        each for each in ("name", "title", "source", "terms") if not hasattr(found, each)
    ]:
        return f"its class lacks {', '.join(lacking)}."
    if found.name != name:
        return f"its class calls itself '{found.name}'."
    if inspect.isabstract(found):
        return f"its class lacks {', '.join(sorted(found.__abstractmethods__))}."
    return settings_problem(found.Config)


def settings_problem(config: type) -> str:
    """What keeps a class from being a method's `Config`; empty if nothing does."""
    decorated = "__dataclass_fields__" in vars(config) or not inspect.get_annotations(config)
    if not issubclass(config, MethodConfig) or not decorated:
        return (
            "its Config must be a class below osr_core.methods.base.MethodConfig, decorated with "
            "@dataclass(frozen=True, kw_only=True)."
        )
    if bare := [field.name for field in fields(config) if "meaning" not in field.metadata]:
        return (
            f"its Config's {', '.join(bare)} must be made by osr_core.config.setting, as in "
            f'{bare[0]}: float = setting(0.5, "what it means").'
        )
    return ""
