"""What a rule can ask of a file."""

import ast

import pytest

from shapeguard.lint.reading import Reading, argument, is_hiding, last_name, number, receiver
from shapeguard.source.file import Source


def reading(text):
    file = Reading(Source("case.py", text), dict)
    assert not file.source.errors
    return file


def called(text):
    """What the function that is called on the last line is, by its full name."""
    file = reading(text)
    call = max((each for each in file.all(ast.Call)), key=lambda each: (each.lineno, -each.col_offset))
    return file.full_name(call.func)


SOFTMAX = "torch.nn.functional.softmax"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("import torch\ntorch.nn.functional.softmax(x)", SOFTMAX),
        ("import torch.nn.functional\ntorch.nn.functional.softmax(x)", SOFTMAX),
        ("import torch.nn.functional as F\nF.softmax(x)", SOFTMAX),
        ("from torch.nn import functional as F\nF.softmax(x)", SOFTMAX),
        ("from torch.nn.functional import softmax\nsoftmax(x)", SOFTMAX),
        ("from torch.nn.functional import softmax as s\ns(x)", SOFTMAX),
        ("def f():\n    import torch.nn.functional as F\n    F.softmax(x)", SOFTMAX),
        ("from . import functional as F\nF.softmax(x)", None),
        ("F.softmax(x)", None),
        ("import torch.nn.functional as F\nF().softmax(x)", None),
        # Where the name is something else.
        ("import torch.nn.functional as F\ndef f(F):\n    F.softmax(x)", None),
        ("import torch.nn.functional as F\ndef f():\n    F = g()\n    F.softmax(x)", None),
        ("import torch.nn.functional as F\ndef f(F): pass\nF.softmax(x)", SOFTMAX),
        ("import torch.nn.functional as F\nclass A:\n    def F(self): pass\n    def g(self):\n        F.softmax(x)", SOFTMAX),
        ("import torch.nn.functional as F\n[F.softmax(x) for F in y]", None),
        ("import torch.nn.functional as F\nF = g(F)\nF.softmax(x)", None),
        ("from torch.nn.functional import softmax\ndef softmax(x): pass\nsoftmax(x)", None),
        ("try:\n    import torch.nn.functional as F\nexcept ImportError:\n    F = None\nF.softmax(x)", SOFTMAX),
        ("try:\n    import torch.nn.functional as F\nexcept ImportError:\n    from .mine import F\nF.softmax(x)", None),
        # Where it is imported as several things.
        ("import torch\nimport torch.nn\nimport torch.nn.functional\ntorch.nn.functional.softmax(x)", SOFTMAX),
        ("def f():\n    import jax.nn as F\ndef g():\n    import torch.nn.functional as F\n    F.softmax(x)", SOFTMAX),
        ("def f():\n    import torch.nn.functional as F\ndef g():\n    import jax.nn as F\n    F.softmax(x)", "jax.nn.softmax"),
        ("import jax.nn as F\nimport torch.nn.functional as F\nF.softmax(x)", SOFTMAX),
        ("if c:\n    import jax.nn as F\nelse:\n    import torch.nn.functional as F\nF.softmax(x)", None),
    ],
)  # fmt: skip
def test_full_name_is_what_the_imports_make_of_it(text, name):
    assert called(text) == name


def test_calls_of_torch_are_found_under_every_name():
    text = """\
import torch, jax
import torch.nn.functional as F
from torch import softmax as s, log_softmax
torch.softmax(1), F.softmax(2), s(3), log_softmax(4), jax.nn.softmax(5), x.softmax(6), softmax(7)
"""
    file = reading(text)
    found = [(call.args[0].value, name) for call, name in file.torch_calls("softmax")]
    assert sorted(found) == [(1, "softmax"), (2, "softmax"), (3, "softmax")]
    assert file.is_torch(next(file.calls("s")), "softmax")
    assert not any(file.is_torch(call, "softmax") for call in file.calls("log_softmax"))


@pytest.mark.parametrize(
    ("assignments", "made"),
    [
        ("self.lstm = nn.LSTM(1)", True),
        ("self.lstm: nn.LSTM = nn.LSTM(1)", True),
        ("self.lstm: nn.LSTM\n        self.lstm = nn.LSTM(1)", True),
        ("self.lstm = self.other = nn.LSTM(1)", True),
        ("self.lstm = nn.LSTM(1)\n        self.lstm = nn.GRU(1)", False),
        ("self.lstm = nn.LSTM(1)\n        self.lstm, self.other = make()", False),
        ("self.lstm = nn.LSTM(1)\n        self.lstm += 1", False),
        ("self.lstm = nn.LSTM(1)\n        del self.lstm", False),
        ("self.lstm = nn.LSTM(1)\n        for self.lstm in y: pass", False),
        ("self.lstm = nn.LSTM(1)\n        with y as self.lstm: pass", False),
        ("self.lstm, self.other = nn.LSTM(1), nn.GRU(1)", True),
        ("self.other = nn.LSTM(1)", False),
        ("self.lstm.hidden = nn.LSTM(1)", False),
    ],
)
def test_layer_is_the_call_that_makes_it_where_there_is_one(assignments, made):
    text = (
        f"class A:\n    def __init__(self):\n        {assignments}\n    def forward(self, x):\n        self.lstm(x)\n"
    )
    file = reading(text)
    call = next(each for each in file.calls("lstm") if isinstance(each.func, ast.Attribute))
    layer = file.layer(call.func)
    assert (layer is not None and last_name(layer.func) == "LSTM") == made


def test_layers_of_another_class_are_not_taken():
    text = """\
class A:
    def __init__(self):
        self.net = nn.LSTM(1)
        class B:
            def __init__(self):
                self.net = nn.GRU(1)
            def forward(self):
                self.net()
"""
    file = reading(text)
    layer = file.layer(next(file.calls("net")).func)
    assert layer is not None
    assert last_name(layer.func) == "GRU"


def test_layer_in_a_name():
    file = reading("net = nn.LSTM(1)\nnet(x)\nnet = 1\n")
    layer = file.layer(next(file.calls("net")).func)
    assert layer is next(file.calls("LSTM"))
    assert file.layer(ast.parse("f().g", mode="eval").body) is None


def test_what_stands_where():
    file = reading("class A:\n    async def f(self):\n        return [lambda: g(x)]\n")
    call = next(file.calls("g"))
    assert isinstance(file.function(call), ast.Lambda)
    assert isinstance(file.named_function(call), ast.AsyncFunctionDef)
    assert file.is_in(call, file.named_function(call))
    assert not file.is_in(call, call)
    assert isinstance(file.statement(call), ast.Return)
    assert file.class_of(call) is file.source.tree.body[0]
    assert [type(each) for each in file.around(call)] == [
        ast.Lambda,
        ast.List,
        ast.Return,
        ast.AsyncFunctionDef,
        ast.ClassDef,
        ast.Module,
    ]
    assert file.parent(file.source.tree) is None
    assert file.text(file.statement(call)) == "return [lambda: g(x)]"


def test_every_node_is_found_and_knows_what_is_around_it():
    text = "def f(p: a, /, q=r, *s, t=u, **z) -> m: pass\nx = {k: v, **w}; y = n[i:j], e < g\nwith a as b: del b\n"
    file = reading(text)
    for node in ast.walk(file.source.tree):
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.withitem):
            assert node in file.all(type(node))
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.arguments):
            assert all(file.parent(each) is node for each in ast.iter_child_nodes(node) if hasattr(each, "lineno"))


@pytest.mark.parametrize(
    ("call", "position", "name", "given"),
    [
        ("f(a, b)", 1, "dim", "b"),
        ("f(a, dim=b)", 1, "dim", "b"),
        ("f(*a, b)", 1, "dim", None),
        ("f(a, *b, dim=c)", 1, "dim", None),
        ("f(a, b, *c)", 1, "dim", "b"),
        ("f(a, **b)", 1, "dim", None),
        ("f(a)", 1, "dim", None),
    ],
)
def test_argument(call, position, name, given):
    found = argument(ast.parse(call, mode="eval").body, position, name)
    assert (None if found is None else ast.unparse(found)) == given


@pytest.mark.parametrize(
    ("call", "given"),
    [
        ("torch.sum(x, 1)", ["x", "1"]),
        ("torch.sum(dim=1, input=x)", ["x", "1"]),
        ("x.sum(1)", ["x", "1"]),
        ("x.sum(dim=1)", ["x", "1"]),
        ("x.sum()", ["x", None]),
        ("numpy.sum(x, 1)", [None, None]),
        ("sum(x, 1)", [None, None]),
    ],
)
def test_function_and_method_are_given_the_same(call, given):
    file = reading(f"import numpy, torch\n{call}\n")
    (found,) = file.calls("sum")
    arguments = (file.given(found, 0, "input"), file.given(found, 1, "dim"))
    assert [None if each is None else ast.unparse(each) for each in arguments] == given


def test_reads_of_a_value():
    file = reading("a = f(1)\ng(a)\nb = -a\nh(b)\n-f(2)\n")
    first, second = file.calls("f")
    assert [each.lineno for each in file.reads(first)] == [1, 2, 3]
    assert file.reads(second) == [second]


def test_reads_beyond_go_on_through_what_is_named():
    file = reading("a = f(1)\nb = -a\nc = g(b)\nh(c)\n")
    (call,) = file.calls("f")

    def onward(node):
        around = file.parent(node)
        return around if isinstance(around, ast.UnaryOp) else None

    found = list(file.reads_beyond(call, onward))
    assert [ast.unparse(each) for each, _ in found] == ["f(1)", "a", "-a", "b"]
    assert all(file.parent(each) is around for each, around in found)


@pytest.mark.parametrize(
    ("call", "hiding"), [("f(a, b=c)", False), ("f(*a)", True), ("f(a, **b)", True), ("f(g(*a))", False)]
)
def test_hidden_arguments(call, hiding):
    assert is_hiding(ast.parse(call, mode="eval").body) == hiding


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), ("-1", -1), ("+1", None), ("True", None), ("-True", None), ("x", None)]
)
def test_number_that_is_written(text, value):
    assert number(ast.parse(text, mode="eval").body) == value


def test_receiver_of_a_call():
    assert ast.unparse(receiver(ast.parse("x.y.f(1)", mode="eval").body)) == "x.y"
    assert receiver(ast.parse("f(1)", mode="eval").body) is None
