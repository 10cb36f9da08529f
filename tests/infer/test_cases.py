"""The specification in tests/cases: each block is interpreted, and then run under torch, so that it can't lie."""

import ast
import inspect
import re
from pathlib import Path

import pytest
import torch
from jaxtyping import AbstractArray

from shapeguard.infer.interpreter import analyse
from shapeguard.shapes.annotation import Fixed, Named, parse
from shapeguard.shapes.dim import evaluate
from shapeguard.shapes.expression import parse_dim
from shapeguard.source.file import Source

CASES = Path(__file__).parents[1] / "cases"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
HEAD = """import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
"""
PRIMES = (3, 5, 7, 11, 13, 17, 19, 23)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(CASES.glob("*.md"))
    for number, block in enumerate(BLOCK.findall(page.read_text()), 1)
]


def marks(code, kind):
    """The comments of a kind, by line."""
    found = re.compile(rf"#\s*{kind}:\s*(.*?)\s*$")
    lines = enumerate(code.splitlines(), 1)
    return {number: match[1] for number, line in lines if (match := found.search(line))}


@pytest.mark.parametrize("block", BLOCKS)
def test_block_is_inferred_as_it_says(block):
    code = HEAD + block
    analysis = analyse(Source("case.py", code))
    tree = ast.parse(code)
    targets = {
        node.lineno: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.Return | ast.AnnAssign) and node.value is not None
    }
    known = {(entry.span.line, entry.text): entry.shape for entry in analysis.expressions}
    for line, expected in marks(code, "revealed").items():
        shape = known.get((line, ast.get_source_segment(code, targets[line])))
        shown = "unknown" if shape is None else f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        assert shown == expected, f"line {line}: {code.splitlines()[line - 1]}"
    found = {entry.span.line: entry.name for entry in analysis.diagnostics}
    assert found == marks(code, "error")


class Probe(ast.NodeTransformer):
    """Hands the value of each line that reveals a shape to the test."""

    def __init__(self, lines):
        self.lines = lines

    def visit_Assign(self, node):
        return self.probed(node)

    def visit_Return(self, node):
        return self.probed(node)

    def probed(self, node):
        if node.lineno in self.lines:
            call = ast.Call(ast.Name("probe", ast.Load()), [ast.Constant(node.lineno), node.value], [])
            node.value = ast.copy_location(call, node.value)
            ast.fix_missing_locations(node)
        return node


@pytest.mark.parametrize("block", BLOCKS)
def test_block_runs_as_it_says(block):
    code = HEAD + block
    revealed, errors = marks(code, "revealed"), marks(code, "error")
    seen = {}

    def probe(line, value):
        seen.setdefault(line, tuple(value.shape))
        return value

    tree = Probe(revealed).visit(ast.parse(code))
    scope = {"probe": probe, "__name__": "case"}
    exec(compile(tree, "case.py", "exec"), scope)  # noqa: S102
    sizes = {}
    here = [value for value in scope.values() if inspect.isfunction(value) and value.__code__.co_filename == "case.py"]
    for function in here:
        arguments = [make(hint, sizes) for name, hint in function.__annotations__.items() if name != "return"]
        broken = [line for line, kind in errors.items() if kind in ("shape-mismatch", "wrong-permute")]
        inside = {line for line in broken if is_inside(line, function, code)}
        if inside:
            with pytest.raises((RuntimeError, IndexError, ValueError)):
                function(*arguments)
        else:
            function(*arguments)
    for line, shape in seen.items():
        text = revealed[line].strip("()")
        if text == "unknown":
            continue
        expected = [part.strip() for part in text.split(",") if part.strip()]
        assert len(expected) == len(shape)
        for word, size in zip(expected, shape, strict=True):
            if word != "?":
                assert evaluate(parse_dim(word), sizes) == size, f"line {line}: {revealed[line]} is {shape}"


def is_inside(line, function, code):
    node = next(n for n in ast.parse(code).body if getattr(n, "name", "") == function.__name__)
    return node.lineno <= line <= node.end_lineno


def make(hint, sizes):
    """A tensor for an annotation, each name with a prime of its own; a number for an int."""
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        shape = []
        for axis in parse(hint.dim_str).axes:
            if isinstance(axis, Named):
                shape.append(sizes.setdefault(axis.name, PRIMES[len(sizes)]))
            elif isinstance(axis, Fixed):
                shape.append(axis.size)
        integer = hint.dtype.__name__.startswith("Int")
        return torch.zeros(shape, dtype=torch.long) if integer else torch.zeros(shape)
    return 2
