"""Modules as definitions: what each says, in a form that no comment changes, and what it needs.

Left out are docstrings, the arguments of what is raised, and what a `setting` declares of a field:
none of them can move a result, and the value that a setting has is in the stage's id.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

Import = tuple[str, str]  # a module, and what of it; "" for the module itself
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPOUND = (ast.If, ast.Try, ast.ExceptHandler, ast.With, ast.For, ast.While)


@dataclass(frozen=True)
class Part:
    """A definition, or what stands beside definitions."""

    text: str  # a digest
    names: frozenset[str]  # that it uses, its own local ones included
    asks: frozenset[str]  # members that it asks some object for
    calls_self: bool  # as a network is called, which runs its `forward`
    passes_on: bool  # to `super()`


@dataclass(frozen=True)
class Class:
    """A class by its members."""

    bases: tuple[str, ...]  # as written: "Method", "Softmax.Config"
    head: Part  # bases, which it does not use as names; decorators, and what binds no name
    members: dict[str, Part]
    nested: frozenset[str]  # of the members, those that are classes


@dataclass(frozen=True)
class Module:
    """A file."""

    imports: dict[str, Import]  # by the name under which it is known here
    functions: dict[str, Part]
    values: dict[str, Part]  # what is assigned
    classes: dict[str, Class]  # also nested ones: "Softmax.Config"
    body: Part  # statements that bind no name


def parse(text: str, name: str, is_package: bool) -> Module:
    """The module called `name` from its source."""
    tree = ast.parse(text)
    imports = dict(_imports(tree, name if is_package else name.rpartition(".")[0]))
    tree = _Bare().visit(tree)
    bound, rest = _sorted(tree.body)
    classes: dict[str, Class] = {}
    for key, nodes in bound.items():
        if isinstance(nodes[-1], ast.ClassDef):
            _add_class(nodes[-1], key, classes)
    parts = {key: _part(nodes) for key, nodes in bound.items() if key not in classes}
    functions = {key: part for key, part in parts.items() if isinstance(bound[key][-1], FUNCTIONS)}
    values = {key: part for key, part in parts.items() if key not in functions}
    return Module(imports, functions, values, classes, _part(rest))


def _add_class(node: ast.ClassDef, name: str, classes: dict[str, Class]) -> None:
    """Note a class and those in it."""
    bound, rest = _sorted(node.body)
    nested = {key for key, nodes in bound.items() if isinstance(nodes[-1], ast.ClassDef)}
    for key in nested:
        _add_class(bound[key][-1], f"{name}.{key}", classes)  # type: ignore[arg-type]
    # A field's place counts: what makes an object may give its fields by their order.
    fields = [key for key, nodes in bound.items() if isinstance(nodes[-1], ast.AnnAssign)]
    bases = tuple(ast.unparse(base) for base in node.bases)
    classes[name] = Class(
        bases=bases,
        head=_part([*node.keywords, *node.decorator_list, *rest], place=bases),
        members={
            key: _part(nodes, place=fields.index(key) if key in fields else None)
            for key, nodes in bound.items()
            if key not in nested
        },
        nested=frozenset(nested),
    )


def _sorted(body: Sequence[ast.stmt]) -> tuple[dict[str, list[ast.stmt]], list[ast.stmt]]:
    """Statements by the name that they bind, in their order, and those that bind none."""
    bound: dict[str, list[ast.stmt]] = {}
    rest = []
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        for name in (names := set(_bound_by(node))):
            bound.setdefault(name, []).append(node)
        if not names:
            rest.append(node)
    return bound, rest


def _bound_by(node: ast.AST) -> Iterator[str]:
    """Names that a statement gives a meaning."""
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
    elif isinstance(node, COMPOUND):
        for inner in ast.iter_child_nodes(node):
            yield from _bound_by(inner)


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[str, Import]]:
    """What each imported name stands for, also of imports inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, (alias.name, "")) if alias.asname else (top, (top, ""))
        elif isinstance(node, ast.ImportFrom):
            source = resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                yield alias.asname or alias.name, (source, alias.name)


def _part(nodes: Iterable[ast.AST], place: object = None) -> Part:
    """What some statements say, at their place, and need."""
    nodes = list(nodes)
    every = [each for node in nodes for each in ast.walk(node)]
    names = {each.id for each in every if isinstance(each, ast.Name)}
    calls = {each.func.id for each in every if _is_call_by_name(each)}  # type: ignore[attr-defined]
    text = repr([place, [_plain(node) for node in nodes]])
    return Part(
        text=hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
        names=frozenset(names),
        asks=frozenset(each.attr for each in every if isinstance(each, ast.Attribute)),
        calls_self="self" in calls,
        passes_on="super" in names,
    )


def _is_call_by_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _plain(node: Any) -> Any:
    """A tree as lists, without what is empty: every version of Python reads the same."""
    if isinstance(node, ast.AST):
        kept = [
            (name, _plain(value))
            for name, value in ast.iter_fields(node)
            if name != "ctx" and value is not None and value != []
        ]
        return [type(node).__name__, *kept]
    return [_plain(each) for each in node] if isinstance(node, list) else repr(node)


class _Bare(ast.NodeTransformer):
    """Takes out what can move no result."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Docstrings go, and other strings that nobody takes."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Words and causes go."""
        what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ast.Raise(exc=what, cause=None)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The default, range and meaning of a setting go."""
        value = node.value
        if isinstance(value, ast.Call) and ast.unparse(value.func).endswith("setting"):
            node.value = None
        return self.generic_visit(node)
