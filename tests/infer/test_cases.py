"""The specification in tests/cases: each block is interpreted, and then run under torch, so that it can't lie.

tests/cases/README.md says what the marks in a block mean.
"""

import ast
import dataclasses
import inspect
import itertools
import re
import sys
import traceback
import types
import typing
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest
import torch
from jaxtyping import AbstractArray

from shapeguard.infer.interpreter import analyse
from shapeguard.shapes.annotation import Fixed, Named, Symbolic, parse
from shapeguard.shapes.dim import evaluate, names
from shapeguard.shapes.expression import parse_dim
from shapeguard.source.file import Source

CASES = Path(__file__).parents[1] / "cases"
BLOCK = re.compile(r"^```python(?P<info>[^\n]*)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"\s*#\s*(revealed|error):\s*(.*?)\s*$")
AXIS = re.compile(r"(?:[^,()]|\((?:[^()]|\([^()]*\))*\))+")
SETTING = re.compile(r"([\w.]+)=(\d+|\([^)]*\))")
HEAD = """import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor, nn
"""
PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59)
REVEALING = (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)
REFUSED = ("shape-mismatch", "wrong-permute", "wrong-unpacking", "axis-out-of-range")
BLOCKS = [
    pytest.param(found["info"].strip(), found["code"], id=f"{page.stem}-{number}")
    for page in sorted(CASES.glob("*.md"))
    for number, found in enumerate(BLOCK.finditer(page.read_text()), 1)
]


def read(block):
    """A block's code without its marks, and the marks by kind and line."""
    marks = {"revealed": {}, "error": {}}
    lines = (HEAD + block).splitlines()
    for number, line in enumerate(lines, 1):
        if found := MARK.search(line):
            marks[found[1]][number] = found[2]
    return "\n".join(MARK.sub("", line) for line in lines) + "\n", marks["revealed"], marks["error"]


@pytest.mark.parametrize(("info", "block"), BLOCKS)
def test_block_is_inferred_as_it_says(info, block):
    code, revealed, errors = read(block)
    analysis = analyse(Source("case.py", code), guessing=info.startswith("guessing"))
    targets = {
        node.lineno: node.value
        for node in ast.walk(ast.parse(code))
        if isinstance(node, REVEALING) and node.value is not None
    }
    known = {(entry.span.line, entry.text): entry.shape for entry in analysis.expressions}
    lines = code.splitlines()
    shown = {}
    for line in revealed:
        shape = known.get((line, ast.get_source_segment(code, targets[line])))
        shown[line] = "unknown" if shape is None else f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
    assert [f"{lines[line - 1]}  # {each}" for line, each in shown.items()] == [
        f"{lines[line - 1]}  # {each}" for line, each in revealed.items()
    ]
    assert {entry.span.line: entry.name for entry in analysis.diagnostics} == errors
    assert not analysis.exhausted


class Probe(ast.NodeTransformer):
    """Hands the value of each line that reveals a shape to the test."""

    def __init__(self, lines):
        self.lines = lines

    def visit(self, node):
        super().generic_visit(node)
        if isinstance(node, REVEALING) and node.lineno in self.lines and node.value is not None:
            call = ast.Call(ast.Name("probe", ast.Load()), [ast.Constant(node.lineno), node.value], [])
            node.value = ast.copy_location(call, node.value)
            ast.fix_missing_locations(node)
        return node


@pytest.mark.parametrize(("info", "block"), BLOCKS)
def test_block_runs_as_it_says(info, block, monkeypatch):
    if "not run:" in info:
        pytest.skip(info)
    code, revealed, errors = read(block)
    run = Run(dict(SETTING.findall(info)), code)
    refused = {line for line, kind in errors.items() if kind in REFUSED}
    called, reached = set(), set()
    seen = []

    def probe(line, value):
        if value is not None:
            seen.append((line, tuple(value.shape)))
        return value

    def look():
        """Hold what was seen in one call to what is said of it."""
        chosen = {}
        for line, shape in seen:
            words = None if revealed[line] == "unknown" else AXIS.findall(revealed[line][1:-1])
            said = shape if words is None else run.shape([word.strip() for word in words], shape, chosen)
            assert said == shape, f"line {line}: {revealed[line]} is {shape}"
        reached.update(line for line, _ in seen)
        seen.clear()

    monkeypatch.setitem(sys.modules, "case", run.module)
    run.module.probe = probe
    torch.manual_seed(0)
    exec(compile(Probe(revealed).visit(ast.parse(code)), "case.py", "exec"), vars(run.module))  # noqa: S102
    look()
    for call, body in run.calls():
        called |= body
        inside = refused & body
        with pytest.raises((RuntimeError, IndexError, ValueError, TypeError)) if inside else nullcontext() as raised:
            call()
        if inside:
            assert inside & {frame.lineno for frame in traceback.extract_tb(raised.tb) if frame.filename == "case.py"}
        look()
    assert refused <= called
    behind = {line for line in revealed for other in refused if line > other}
    assert revealed.keys() - reached <= behind, "a line that reveals a shape is never run"


class Run:
    """A block as a module, and the sizes that its names have this time."""

    def __init__(self, settings, code):
        self.module = types.ModuleType("case")
        self.code = code
        self.given = {name: value for name, value in settings.items() if value.startswith("(")}
        self.sizes = {name: int(value) for name, value in settings.items() if value.isdigit()}

    def size(self, word):
        """The size that a word says; a name that is met for the first time gets a prime of its own."""
        size = parse_dim(word)
        for name in sorted(names(size) - self.sizes.keys()):
            self.sizes[name] = PRIMES[len(self.sizes)]
        return evaluate(size, self.sizes)

    def shape(self, words, shape, chosen):
        """The shape that words say; names that the call itself has chosen are the sizes of their first appearance."""
        for word, size in zip(words, shape, strict=False):
            if word.isidentifier() and word not in self.sizes:
                chosen.setdefault(word, size)
        known = chosen | self.sizes
        return tuple(
            shape[position] if word == "?" and position < len(shape) else evaluate(parse_dim(word), known)
            for position, word in enumerate(words)
        )

    def calls(self):
        """What is called, with all that is told apart in its arguments, and the lines of its body."""
        for node in ast.parse(self.code).body:
            value = vars(self.module).get(getattr(node, "name", ""))
            if inspect.isfunction(value):
                yield from self.calls_of(value, node)
            elif inspect.isclass(value):
                for member in node.body:
                    method = vars(value).get(getattr(member, "name", ""))
                    if inspect.isfunction(method) and not method.__name__.startswith("__"):
                        yield from self.calls_of(method, member, value)

    def calls_of(self, function, node, owner=None):
        parameters = list(inspect.signature(function).parameters.values())[owner is not None :]
        if any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters):
            return
        given = [self.values_of(each) for each in parameters]
        if None in given:
            return
        for arguments in itertools.product(*given):
            keywords = {each.name: value for each, value in zip(parameters, arguments, strict=True)}
            lines = set(range(node.lineno, node.end_lineno + 1))
            bound = [function] if owner is None else [getattr(each, node.name) for each in self.instances(owner)]
            for call in bound:
                yield partial(call, **keywords), lines

    def values_of(self, parameter):
        """What a parameter takes, one after another; None for one of which nothing is said."""
        if parameter.name in self.given:
            return [self.tensor(self.given[parameter.name].strip("()"))]
        values = self.made(parameter.annotation, parameter.name)
        if parameter.default is None and values and None not in values:
            return [*values, None]
        if parameter.annotation is int and parameter.default is not parameter.empty:
            self.sizes[parameter.name] = parameter.default
            return [parameter.default]
        return [parameter.default] if values is None and parameter.default is not parameter.empty else values

    def made(self, hint, name):
        """The values that stand for an annotation."""
        if isinstance(hint, str):
            hint = eval(hint, vars(self.module))  # noqa: S307
        options = typing.get_args(hint)
        if typing.get_origin(hint) in (list, tuple):
            items = [self.made(option, name) for option in options if option is not ...]
            return (
                None if None in items else [[items[0][0]] * 2 if len(items) == 1 else tuple(each[0] for each in items)]
            )
        if options:
            kinds = [[None] if option is type(None) else self.made(option, name) for option in options]
            return None if None in kinds else [value for kind in kinds for value in kind]
        if not isinstance(hint, type) or hint in (inspect.Parameter.empty, torch.Tensor):
            return None
        if issubclass(hint, AbstractArray):
            return [self.tensor(hint.dim_str, hint.dtype.__name__)]
        plain = {bool: [False, True], float: [0.5], str: ["mean"]}
        if hint in plain:
            return plain[hint]
        return [self.size(name)] if hint is int else self.instances(hint, name) if hint.__module__ == "case" else None

    def tensor(self, text, dtype="Float"):
        """A tensor for a shape string."""
        shape = []
        for axis in parse(text.replace(",", " ")).axes:
            if isinstance(axis, Named | Symbolic):
                shape.append(self.size(axis.name if isinstance(axis, Named) else axis.expression))
            else:
                shape.append(axis.size if isinstance(axis, Fixed) else 4)
        kind = torch.bool if dtype == "Bool" else torch.long if dtype.startswith("Int") else torch.float
        return torch.ones(shape, dtype=kind)

    def instances(self, cls, name=None):
        """Instances, each whole number in them a size: by the field, or by what the constructor calls it."""
        if dataclasses.is_dataclass(cls) and name is not None:
            given = {field.name: self.made(field.type, f"{name}.{field.name}") for field in dataclasses.fields(cls)}
        else:
            given = {
                each.name: self.settings_of(each)
                for each in list(inspect.signature(cls.__init__).parameters.values())[1:]
                if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            }
        return [cls(**dict(zip(given, values, strict=True))) for values in itertools.product(*given.values())]

    def settings_of(self, parameter):
        """What a constructor takes: a parameter of which nothing is said is a size."""
        if parameter.name == "config" and parameter.annotation is parameter.empty:
            return [Settings(self, "config")]
        return self.values_of(parameter) or [self.size(parameter.name)]


class Settings:
    """A configuration: every setting is a size."""

    def __init__(self, run, name):
        self._run = run
        self._name = name

    def __getattr__(self, name):
        return self._run.size(f"{self._name}.{name}")
