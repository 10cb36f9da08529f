"""Whatever a file holds, the checker says something or nothing, in time, and never fails."""

import ast
import random
import re
import sysconfig
import textwrap
import time
from functools import cache
from pathlib import Path

import pytest
import torch
import transformers

from shapeguard.catalog import CODES
from shapeguard.check import check_source
from shapeguard.infer.interpreter import analyse
from shapeguard.source.file import Source
from shapeguard.source.read import source_from

EVERYTHING = frozenset(each.code for each in CODES)
FAILED = "SG003"
LONGEST = 20.0
"""Seconds of the processor that a file may take."""
ROOT = Path(__file__).parents[2]


def failure_in(source):
    """What went wrong on a file, or None."""
    start = time.process_time()
    outcome = check_source(source, EVERYTHING)
    taken = time.process_time() - start
    failed = [f"{each.message} {each.notes}" for each in outcome.diagnostics if each.code == FAILED]
    if taken > LONGEST:
        failed.append(f"{taken:.1f} s")
    return "; ".join(failed) or None


def failures(sources):
    """Of many files, those on which the checker fails."""
    return {source.path: failed for source in sources if (failed := failure_in(source)) is not None}


@pytest.mark.parametrize(
    "code",
    [
        "class A:\n    distance = lambda x, y: x @ y\n",
        "class A:\n    __init__ = lambda self: None\n",
        "class A(A): pass\n",
        "def f(x): return f(x)\n",
        "def f(*a, **k): return f(*a, *a, **k)\n",
        "x = [[[[]]]]\nfor x[0] in x: del x\n",
        "import torch\ntorch.zeros(2)[...][None, ..., None][torch.ones(1)]\n",
        "import torch\nx = torch.zeros(2, 3)\nx.shape[7]\nx @ 3\n-x.T.view(-1, 0)\n",
        "async def f():\n    async with a as b, c: yield await d\n",
        "match x:\n    case [1, *rest]: y = rest\n",
        "def f(x):\n    global y\n    y: int = (z := x)\n    return {**y, 'a': [*z]}\n",
        "class A:\n    def f(self):\n        return super().f(self.g.h().i)\n",
        "class A:\n    def __init__(self, config):\n        self.d = getattr(config, '.', 1) // config.heads\n",
    ],
)
def test_odd_code_is_read(code):
    analyse(Source("odd.py", code))


def test_function_that_is_too_long_spends_its_budget():
    code = "def f(x):\n" + "    x = x + 1\n" * 30_000
    analysis = analyse(Source("long.py", code))
    assert analysis.exhausted == ("f",)


# Long, deep and growing code

LONG = 10_000
HEAD = "import torch\nfrom torch import nn\n\n\n"


def function(lines, parameters="x: torch.Tensor, n: int, m: int"):
    """A file with one function of these lines."""
    return f"{HEAD}def f({parameters}):\n" + textwrap.indent("\n".join(lines), "    ") + "\n    return x\n"


def nest(opening, depth, inside, closing=""):
    return opening * depth + inside + closing * depth


GENERATED = {
    "additions": function(["x = x + 1"] * LONG),
    "products of tensors": function(["x = torch.zeros(n, m)", *["x = x @ torch.ones(m, m)"] * LONG]),
    "joins that double": function(["x = torch.zeros(2, n)", *["x = torch.cat([x, x])"] * LONG]),
    "reshapes": function(["x = torch.zeros(n, m, 6)", *["x = x.view(n * m, 6).view(n, m, 2, 3).flatten(2)"] * LONG]),
    "names": function([f"x{number} = torch.zeros({number}, n)" for number in range(LONG)]),
    "calls of each other": HEAD
    + "".join(f"def f{number}(x):\n    return f{number + 1}(x) + f{number + 2}(x)\n\n\n" for number in range(1000)),
    "calls in a circle": HEAD + "def f(x):\n    return g(x) + g(x)\n\n\ndef g(x):\n    return f(x) @ f(x)\n",
    "classes in a chain": HEAD
    + "class A0(nn.Module):\n    def forward(self, x):\n        return x\n\n\n"
    + "".join(
        f"class A{number}(A{number - 1}):\n    def forward(self, x):\n        return super().forward(x)\n\n\n"
        for number in range(1, 1000)
    ),
    "modules in modules": HEAD
    + "class A0(nn.Module):\n    def forward(self, x):\n        return x\n\n\n"
    + "".join(
        f"class A{number}(nn.Module):\n    def __init__(self):\n        self.a = A{number - 1}()\n"
        f"        self.b = A{number - 1}()\n\n    def forward(self, x):\n        return self.a(self.b(x))\n\n\n"
        for number in range(1, 200)
    ),
    "conditions": function(["if n:", "    x = x + 1", "else:", "    x = x[None]"] * (LONG // 4)),
    "a long elif": function(["if n == 0:", "    pass"] + [f"elif n == {i}:\n    x = x[{i}]" for i in range(LONG // 2)]),
    "loops in loops": function(
        [f"{'    ' * depth}for i{depth} in x:" for depth in range(18)] + ["    " * 18 + "x = x[0]"]
    ),
    "tries in tries": function(
        [f"{'    ' * depth}try:" for depth in range(18)]
        + ["    " * 18 + "x = x[0]"]
        + [f"{'    ' * depth}finally:\n{'    ' * depth}    x = x + 1" for depth in reversed(range(18))]
    ),
    "a long sum": function(["y = " + " + ".join(["x"] * LONG)]),
    "a long sum of sizes": function(
        ["y = " + " + ".join(f"n.m{i}" for i in range(800)), "x = torch.zeros(y).view(y + 1)"], "x, n"
    ),
    "brackets in brackets": function(["y = " + nest("[", 80, "x", "]")]),
    "calls in calls": function(["y = " + nest("torch.relu(", 90, "x", ")")]),
    "a chain of methods": function(["y = x" + ".relu()" * LONG]),
    "a chain of subscripts": function(["y = x" + "[None]" * LONG]),
    "a chain of attributes": function(["y = x" + ".T" * LONG]),
    "lambdas in lambdas": function(["y = " + nest("(lambda a: ", 80, "x", ")(x)")]),
    "comprehensions in comprehensions": function(["y = " + nest("[", 40, "x", " for i in range(9)]")]),
    "a long list": function([f"y = torch.tensor([{', '.join(['[1, 2]'] * LONG)}])"]),
    "a long dictionary": function(["y = {" + ", ".join(f"'{number}': x" for number in range(LONG)) + "}", "y['9'].T"]),
    "a size that is squared": function(["n = n * n"] * LONG + ["x = torch.zeros(n)"]),
    "a number that is squared": function(["n = 3"] + ["n = n * n"] * LONG + ["x = torch.zeros(n)"]),
    "a number that is doubled": function(["n = 3"] + ["n = n + n"] * LONG + ["x = torch.zeros(n).view(n - 1)"]),
    "a polynomial that grows": function(["n = (n + m) * (n + 1)"] * LONG + ["x = torch.zeros(n)"]),
    "a sum that grows": function(
        [f"n = n + config.m{number}" for number in range(LONG)] + ["x = torch.zeros(n)"], "x, config, n: int"
    ),
    "divisions that grow": function(["n = (n + m) // (m + 1) + n % 7"] * LONG + ["x = torch.zeros(n)"]),
    "divisions in divisions": function(["n = (n * n + m) // (n + 1)"] * LONG + ["x = torch.zeros(n)"]),
    "strides": function(["x = torch.zeros(n, n)", *["x = x[::2, 1:-1]"] * LONG]),
    "a least that grows": function(
        [f"n = min(n + {number}, m - n)" for number in range(LONG)] + ["x = torch.zeros(n)"]
    ),
    "powers": function(["x = torch.zeros((n + m + 1) ** 7, ((n + m) ** 7) ** 7, 9 ** 9 ** 9 ** 9)"]),
    "a huge number": function([f"x = torch.zeros(0x{'F' * 8000}, n)", "y = x.view(3, n)"]),
    "an annotation that grows": function(
        ["y = x.view(3)"], 'x: Float[torch.Tensor, "(a+b+c+d+e+f)**99 (a+b)**(c)"]'
    ).replace("import torch\n", "import torch\nfrom jaxtyping import Float\n", 1),
    "an annotation of many axes": function(
        ["y = x.flatten()"], f'x: Float[torch.Tensor, "{" ".join(f"a{number}" for number in range(2000))}"]'
    ).replace("import torch\n", "import torch\nfrom jaxtyping import Float\n", 1),
}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_code_is_checked_in_time(name):
    assert failure_in(Source(f"{name}.py", GENERATED[name])) is None


# The standard library

LIBRARY = Path(sysconfig.get_paths()["stdlib"])
TESTS = LIBRARY / "test" if (LIBRARY / "test" / "test_ast.py").exists() else LIBRARY
SHARES = 8


def library_share(share, of):
    """Every `of`-th file of Python's own tests, or of its library where those aren't installed."""
    files = sorted(path for path in TESTS.rglob("*.py") if "site-packages" not in path.parts)
    read = (source_from(str(path), path.read_bytes()) for path in files[share::of])
    return [source for source in read if isinstance(source, Source)]


def test_some_of_the_library_is_checked():
    assert failures(library_share(0, 40)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_all_of_the_library_is_checked(share):
    assert failures(library_share(share, SHARES)) == {}


# Mutants: real code with a few changes

MUTANTS = 10_000
A_FEW = 250
LONGEST_PIECE = 90
IMPORTS = """import math
from typing import Optional
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
"""
HANDLES_TENSORS = re.compile(r"torch\.\w+\(|F\.|nn\.\w+\(|\.view\(|\.shape|\.size\(|@")
A_TENSOR = re.compile(r": (?:torch\.)?Tensor\b")
CLAIMS = ("b t d", "b t d", "b h t 64", "3 4", "n", "*batch d", "b 2*d t//2", "2 3 5 7")
WORD = re.compile(r"[A-Za-z_]\w*|\d+\.?\d*|\*\*|//|[-+*/%@<>=!]=?|[\[\](){},.:]")
OPERATORS = ("+", "-", "*", "/", "//", "%", "**", "@", "==", "<", "=", "and", "or", "if", "is", "in", ",", ".", ":")
NUMBERS = ("0", "1", "-1", "2", "3", "7", "64", "-100", "1.5", "10**30", "None", "True", "...", "[]", "()", "{}", "''")
STEPS = ("x[0]", "x.shape", "x.T", "x.view(-1)", "x.size(0)", "*x", "[*x]", "lambda: x", "{**x}", "x.sum(x)", "x or 1")
WRAPS = ("if x:", "for x in range(3):", "for i, x in y:", "while x:", "try:", "with x as y:", "class A:", "def f(x):")


@cache
def pieces():
    """Functions and modules of torch, transformers and the examples, and the specification, each short."""
    models = sorted((Path(transformers.__file__).parent / "models").glob("*/modeling_*.py"))[::12]
    layers = sorted((Path(torch.__file__).parent / "nn" / "modules").glob("*.py"))
    found = {}
    for path in (*layers, *models, *sorted((ROOT / "examples").glob("*.py"))):
        found.update(dict.fromkeys(filter(HANDLES_TENSORS.search, definitions_in(path.read_text(encoding="utf-8")))))
    blocks = []
    for page in sorted((ROOT / "tests" / "cases").glob("*.md")):
        blocks += re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    # As many of the one kind as of the other, since the specification is dense.
    return (*found, *blocks * max(1, len(found) // max(1, len(blocks))))


def definitions_in(text):
    """Each function and each class that is short enough, without its docstring."""
    tree = ast.parse(text)
    lines = text.split("\n")
    members = [member for each in tree.body if isinstance(each, ast.ClassDef) for member in each.body]
    for node in (*tree.body, *members):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.end_lineno - node.lineno <= LONGEST_PIECE:
            first = node.body[0]
            skipped = range(0)
            if ast.get_docstring(node) is not None and len(node.body) > 1:
                skipped = range(first.lineno, first.end_lineno + 1)
            kept = [lines[at - 1] for at in range(node.lineno, node.end_lineno + 1) if at not in skipped]
            yield textwrap.dedent("\n".join(kept))


def without_lines(text, draw):
    lines = text.split("\n")
    start = draw.randrange(len(lines))
    del lines[start : start + draw.choice((1, 1, 1, 2, 5))]
    return "\n".join(lines)


def repeated_line(text, draw):
    lines = text.split("\n")
    at = draw.randrange(len(lines))
    lines[at:at] = [lines[at]] * draw.choice((1, 2, 30))
    return "\n".join(lines)


def exchanged_lines(text, draw):
    lines = text.split("\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def word_in(text, draw):
    return draw.choice(list(WORD.finditer(text)))


def put(text, start, end, new):
    return text[:start] + new + text[end:]


def without_word(text, draw):
    word = word_in(text, draw)
    return put(text, *word.span(), "")


def repeated_word(text, draw):
    word = word_in(text, draw)
    return put(text, *word.span(), f"{word[0]} {word[0]}")


def exchanged_words(text, draw):
    one, other = sorted((word_in(text, draw), word_in(text, draw)), key=lambda word: word.start())
    if one.end() > other.start():
        return text
    return put(put(text, *other.span(), one[0]), *one.span(), other[0])


def other_word(text, draw):
    """Another name for a name, another number for a number, another operator for an operator."""
    word = word_in(text, draw)
    if word[0][0].isdigit():
        new = draw.choice(NUMBERS)
    elif word[0].isidentifier():
        names = [other[0] for other in WORD.finditer(text) if other[0].isidentifier()]
        new = draw.choice([*names, *NUMBERS])
    else:
        new = draw.choice(OPERATORS)
    return put(text, *word.span(), new)


def expressions_in(text):
    """The start and end of each expression that stands on one line of a text that can be parsed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return [
        (starts[node.lineno - 1] + node.col_offset, starts[node.lineno - 1] + node.end_col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and node.lineno == node.end_lineno
    ]


def other_expression(text, draw):
    """One expression in the place of another."""
    found = expressions_in(text)
    if not found:
        return text
    (start, end), (first, last) = draw.choice(found), draw.choice(found)
    return put(text, start, end, draw.choice((text[first:last], f"({text[first:last]})")))


def odd_expression(text, draw):
    """Something done to an expression."""
    found = expressions_in(text)
    if not found:
        return text
    start, end = draw.choice(found)
    return put(text, start, end, draw.choice(STEPS).replace("x", f"({text[start:end]})"))


def deep_expression(text, draw):
    """An expression inside many brackets, calls or subscripts."""
    found = expressions_in(text)
    if not found:
        return text
    start, end = draw.choice(found)
    before, after = draw.choice(
        (("(", ")"), ("[", "]"), ("torch.relu(", ")"), ("-", ""), ("", "[None]"), ("", ".T"), ("", "+1"))
    )
    depth = draw.choice((2, 8, 40))
    return put(text, start, end, before * depth + text[start:end] + after * depth)


def deep_block(text, draw):
    """Everything inside of blocks."""
    for _ in range(draw.choice((1, 2, 6))):
        head = draw.choice(WRAPS)
        text = f"{head}\n{textwrap.indent(text, '    ')}\n" + ("finally: pass\n" if head == "try:" else "")
    return text


def without_block(text, draw):
    """A block gone, or in the place of another."""
    try:
        statements = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    except (SyntaxError, ValueError, RecursionError):
        return text
    if not statements:
        return text
    node, other = draw.choice(statements), draw.choice(statements)
    lines = text.split("\n")
    block = textwrap.dedent("\n".join(lines[other.lineno - 1 : other.end_lineno]))
    new = draw.choice(("pass", block))
    lines[node.lineno - 1 : node.end_lineno] = textwrap.indent(new, " " * node.col_offset).split("\n")
    return "\n".join(lines)


def spliced(text, draw):
    """The beginning of one piece and the end of another."""
    lines, others = text.split("\n"), draw.choice(pieces()).split("\n")
    return "\n".join([*lines[: draw.randrange(len(lines)) + 1], *others[draw.randrange(len(others)) :]])


MUTATIONS = (
    without_lines,
    repeated_line,
    exchanged_lines,
    without_word,
    repeated_word,
    exchanged_words,
    other_word,
    other_word,
    other_word,
    other_expression,
    other_expression,
    other_expression,
    odd_expression,
    odd_expression,
    deep_expression,
    deep_block,
    without_block,
    without_block,
    spliced,
)


def is_python(text):
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def mutant(number):
    """A small file made from real ones; the same number gives the same file."""
    draw = random.Random(number)  # noqa: S311
    text = "\n\n\n".join(draw.choice(pieces()) for _ in range(draw.choice((1, 1, 2))))
    text = A_TENSOR.sub(lambda _: f': Float[Tensor, "{draw.choice(CLAIMS)}"]', text)
    for _ in range(draw.choice((1, 2, 3, 5))):
        for _ in range(10):
            mutation = draw.choice(MUTATIONS)
            changed = mutation(text, draw) if WORD.search(text) else draw.choice(pieces())
            # What can't be parsed is soon done with; one in twenty is enough.
            if is_python(changed) or draw.random() < 0.005:
                text = changed
                break
    return Source(f"mutant {number}", f"{IMPORTS}\n\n{text}\n")


def test_some_mutants_are_checked():
    assert failures(map(mutant, range(A_FEW))) == {}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("share", range(20))
def test_all_mutants_are_checked(share):
    assert failures(map(mutant, range(share, MUTANTS, 20))) == {}
