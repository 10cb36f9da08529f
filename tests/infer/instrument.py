"""Modules whose every expression reports the tensors it gives while it runs: what a static checker is held against."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeAlias

Place: TypeAlias = tuple[int, int, int, int]
"""First line and column, last line and the column after it; from 1, columns in characters."""
Shape: TypeAlias = tuple[int, ...]
Call: TypeAlias = tuple[tuple[Place, Shape], ...]
"""What one call of a function gave, in the order in which it was seen first."""

_NEVER_TENSORS = (
    ast.Constant,
    ast.JoinedStr,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.Lambda,
    ast.Slice,
    ast.Starred,
)
_PROBE, _NEW_CALL, _CALL = "__probe__", "__new_call__", "__call_id__"


class Places:
    """Where nodes of one file stand, in characters."""

    def __init__(self, text: str) -> None:
        self.lines = [line.encode() for line in text.split("\n")]

    def of(self, node: ast.expr) -> Place:
        """The place of an expression."""
        end_line = node.end_lineno or node.lineno
        return (
            node.lineno,
            self._column(node.lineno, node.col_offset),
            end_line,
            self._column(end_line, node.end_col_offset or 0),
        )

    def _column(self, line: int, byte: int) -> int:
        return len(self.lines[line - 1][:byte].decode()) + 1


class _Prober(ast.NodeTransformer):
    """Each expression that is read in a function's body, handed through the probe."""

    def __init__(self, text: str) -> None:
        self.places = Places(text)
        self.in_function = False

    def visit(self, node: ast.AST) -> Any:
        wrapped = self.in_function and isinstance(node, ast.expr) and may_be_tensor(node)
        # The place is read first: the node's parts change below.
        place = self.places.of(node) if wrapped else None
        new = super().visit(node)
        if place is None:
            return new
        arguments = [ast.Constant(place), ast.Name(_CALL, ast.Load()), new]
        call = ast.Call(ast.Name(_PROBE, ast.Load()), arguments, [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Any:
        """Leave decorators, defaults and annotations: they are no part of a call."""
        outer, self.in_function = self.in_function, True
        body = [self.visit(statement) for statement in node.body]
        self.in_function = outer
        start = ast.Assign([ast.Name(_CALL, ast.Store())], ast.Call(ast.Name(_NEW_CALL, ast.Load()), [], []))
        ast.fix_missing_locations(ast.copy_location(start, node.body[0]))
        node.body = [*body[:1], start, *body[1:]] if ast.get_docstring(node, clean=False) else [start, *body]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        outer, self.in_function = self.in_function, False
        node.body = [self.visit(statement) for statement in node.body]
        self.in_function = outer
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        node.body = self.visit(node.body)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.target = self.visit(node.target)
        node.value = self.visit(node.value) if node.value is not None else None
        return node

    def visit_match_case(self, node: ast.match_case) -> Any:
        node.guard = self.visit(node.guard) if node.guard is not None else None
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute):
            # A bound method is no tensor; what it is bound to may be one.
            node.func.value = self.visit(node.func.value)
        elif not isinstance(node.func, ast.Name):
            node.func = self.visit(node.func)
        node.args = [self.visit(argument) for argument in node.args]
        node.keywords = [self.visit(keyword) for keyword in node.keywords]
        return node


def may_be_tensor(node: ast.expr) -> bool:
    """Whether an expression is read, and of a kind that can be a tensor."""
    if isinstance(node, _NEVER_TENSORS) or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    return not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super")


def instrument(text: str, path: str) -> CodeType:
    """The file's code with probes in it."""
    return compile(_Prober(text).visit(ast.parse(text)), path, "exec", dont_inherit=True)


class Recorder:
    """The tensors seen in one module at a time, call by call."""

    def __init__(self) -> None:
        from torch import Tensor

        self.tensor = Tensor
        self.watched = ""
        self.calls: dict[int, dict[tuple[Place, Shape], None]] = {}
        self.counter = itertools.count()

    @contextmanager
    def watching(self, module: str) -> Iterator[None]:
        """Record what happens in this module, from nothing."""
        self.watched, self.calls = module, {}
        try:
            yield
        finally:
            self.watched = ""

    def seen(self) -> list[Call]:
        """The calls, each kind once."""
        return list(dict.fromkeys(tuple(call) for call in self.calls.values()))

    def names_for(self, module: str) -> dict[str, Any]:
        """What an instrumented module needs in its scope."""

        def probe(place: Place, call: int, value: Any) -> Any:
            if self.watched == module and isinstance(value, self.tensor):
                self.calls.setdefault(call, {})[place, tuple(value.shape)] = None
            return value

        return {_PROBE: probe, _NEW_CALL: lambda: next(self.counter)}


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, recorder: Recorder) -> None:
        super().__init__(name, path)
        self.recorder = recorder

    def get_code(self, fullname: str) -> CodeType:
        # The cache of compiled files is passed by.
        path = self.get_filename(fullname)
        return instrument(Path(path).read_text(encoding="utf-8"), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(self.recorder.names_for(module.__name__))
        super().exec_module(module)


class Finder(importlib.abc.MetaPathFinder):
    """Loads the wanted modules with probes; a module with a path of its own needs not be importable otherwise."""

    def __init__(self, wanted: Mapping[str, Path | None], recorder: Recorder) -> None:
        self.wanted = wanted
        self.recorder = recorder

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in self.wanted:
            return None
        file = self.wanted[fullname]
        if file is None:
            plain = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            if plain is None or plain.origin is None:
                return None
            file = Path(plain.origin)
        return importlib.util.spec_from_file_location(
            fullname, file, loader=_Loader(fullname, str(file), self.recorder)
        )


@contextmanager
def instrumenting(wanted: Mapping[str, Path | None]) -> Iterator[Recorder]:
    """Import these modules with probes, where they aren't imported yet."""
    recorder = Recorder()
    finder = Finder(wanted, recorder)
    sys.meta_path.insert(0, finder)
    try:
        yield recorder
    finally:
        sys.meta_path.remove(finder)
