"""Inside torch.compile a call means what it means outside: what is checked there is checked here, and nothing else."""

import dataclasses
import itertools
import subprocess
import sys
from typing import TypedDict

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter, EagerAndRecordGraphs

from shapeguard import ShapeError, guard

CAPTURE = torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True)


@pytest.fixture(autouse=True)
def _nothing_compiled():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def compiled(function, **options):
    return torch.compile(function, **{"backend": "eager", "fullgraph": True, **options})


def refused(sentence):
    """A refusal; the tracer wraps it in an exception of its own."""
    return pytest.raises(Exception, match=f"ShapeError.*{sentence}")


def z(*shape):
    return torch.zeros(shape)


@pytest.mark.parametrize("default", [None, 1.0, z(1)])
def test_an_argument_left_out_is_not_checked(default):
    @guard
    def f(x: Float[Tensor, "n"], m: Float[Tensor, "n"] = default) -> Float[Tensor, "n"]:
        return x if m is None else x * m

    assert compiled(f)(z(3)).shape == (3,)
    assert compiled(f)(z(3), z(3)).shape == (3,)
    with refused("`m` axis 0 is 1, expected n = 3"):
        compiled(f)(z(3), z(1))


def test_a_default_left_out_needs_no_more_frames():
    def f(x: Float[Tensor, "n"], m: Float[Tensor, "n"] = 1.0) -> Float[Tensor, "n"]:
        return x * m

    frames = []
    for function in (f, guard(f)):
        torch.compiler.reset()
        counter = CompileCounter()
        program = compiled(function, backend=counter)
        for size in (3, 4, 5):
            program(z(size))
            program(z(size), z(size))
        frames.append(counter.frame_count)
    assert frames[0] == frames[1]


def test_an_expression_reads_the_default():
    class Options:
        width = 3

    @guard
    def f(x: Float[Tensor, "batch {options.width}"], options: Options = Options()):  # noqa: B008
        return x * options.width

    assert compiled(f)(z(2, 3)).shape == (2, 3)
    with refused("axis 1 is 4, expected {options.width} = 3"):
        compiled(f)(z(2, 4))


@pytest.mark.parametrize("fullgraph", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_a_forward_reference(fullgraph, inside):
    def make():
        @guard
        def halves(x: Float[Tensor, "n"], m: "Float[Tensor, 'n'] | Pair" = 1.0) -> "Pair":
            return Pair(x, x[:3])

        @dataclasses.dataclass
        class Pair:
            a: Float[Tensor, "n"]
            b: Float[Tensor, "n"]

        return halves

    def program():
        checked = make()
        return compiled((lambda x: checked(x + 0)) if inside else checked, fullgraph=fullgraph)

    assert program()(z(3)).b.shape == (3,)
    with pytest.raises(Exception, match=r"`result.b` axis 0 is 3, expected n = 4"):
        program()(z(4))


def test_after_a_call_outside_a_forward_reference_is_still_checked():
    @guard
    def halves(x: Float[Tensor, "n"]) -> "Pair":
        return Pair(x, x[:3])

    @dataclasses.dataclass
    class Pair:
        a: Float[Tensor, "n"]
        b: Float[Tensor, "n"]

    program = compiled(halves)
    program(z(3))
    halves(z(3))
    program(z(3))
    with refused("`result.b` axis 0 is 3, expected n = 4"):
        program(z(4))


@pytest.mark.parametrize("dynamic", [True, False])
def test_an_array_or_a_number(dynamic):
    @guard
    def f(x: Float[Tensor, "b"] | float, y: Float[Tensor, "b"]):
        return x * y

    assert compiled(f, dynamic=dynamic)(2.0, z(3)).shape == (3,)
    assert compiled(f, dynamic=dynamic)(z(3), z(3)).shape == (3,)
    with refused("`y` axis 0 is 1, expected b = "):
        compiled(f, dynamic=dynamic)(z(3), z(1))


@pytest.mark.parametrize("dynamic", [True, False])
def test_an_expression_without_a_value(dynamic):
    @guard
    def f(x: Float[Tensor, "n"], w: Float[Tensor, "n//{k}"], k: int):
        return x.sum() + w.sum() + k

    program = compiled(f, dynamic=dynamic)
    program(z(6), z(3), 2)
    program(z(6), z(3), 0)
    with refused("`w` axis 0 is 2, expected n//{k} = 3"):
        program(z(7), z(2), 2)


def test_a_size_without_a_value():
    @guard
    def f(x: Float[Tensor, "n"], y: Float[Tensor, "k"], w: Float[Tensor, "n%k"]):
        return x.sum() + y.sum() + w.sum()

    compiled(f)(z(6), z(0), z(3))
    compiled(f)(z(6), z(4), z(2))
    with refused("`w` axis 0 is 3, expected n%k = 2"):
        compiled(f)(z(6), z(4), z(3))


@pytest.mark.parametrize("dynamic", [True, None])
def test_sizes_that_the_instance_has_kept(dynamic):
    @guard(self_dims="d")
    class Scale(nn.Module):
        def __init__(self, weight: Float[Tensor, "d"]):
            super().__init__()
            self.weight = nn.Parameter(weight)

        def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return x * self.weight

    program = compiled(Scale(z(3)), dynamic=dynamic)
    program(z(2, 3))
    with refused("`x` axis 1 is 1, expected d = 3"):
        program(z(2, 1))


def test_sizes_that_an_instance_has_not_kept_yet():
    @guard(self_dims="d")
    class Double:
        def __call__(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return x * 2

    fresh, used = Double(), Double()
    used(z(2, 3))
    assert compiled(fresh)(z(2, 4)).shape == (2, 4)
    with refused("`x` axis 1 is 4, expected d = 3"):
        compiled(used)(z(2, 4))


@dataclasses.dataclass
class Both:
    a: Float[Tensor, "n"]
    b: Float[Tensor, "n"]


class Named(TypedDict):
    a: Float[Tensor, "n"]
    b: Float[Tensor, "n"]


@pytest.mark.parametrize(
    ("hint", "make"),
    [(Both, Both), (Named, lambda a, b: Named(a=a, b=b)), (list[Float[Tensor, "n"]], lambda a, b: [a, b])],
)
def test_a_container_or_none(hint, make):
    @guard
    def given(x: hint | None):
        return torch.tensor(0) if x is None else torch.tensor(1)

    @guard
    def result(a: Float[Tensor, "_"], b: Float[Tensor, "_"]) -> hint | None:
        return make(a, b) if len(a) else None

    assert compiled(given)(None) == 0
    assert compiled(given)(make(z(3), z(3))) == 1
    assert compiled(result)(z(0), z(3)) is None
    compiled(result)(z(3), z(3))
    with refused("`x.* axis 0 is 1, expected n = 3"):
        compiled(given)(make(z(3), z(1)))
    with refused("`result.* axis 0 is 1, expected n = 3"):
        compiled(result)(z(3), z(1))


SHAPES = [(), (1,), (3,), (2, 1), (4, 3), (2, 3, 1)]


@torch._dynamo.config.patch(recompile_limit=len(SHAPES) ** 2)
@pytest.mark.parametrize("texts", [("*#b", "*#b", "*#b"), ("*#b", "*b", "*#b"), ("*b", "*#b", "*b")])
def test_axes_that_broadcast(texts):
    first, second, third = texts

    @guard
    def f(x: Float[Tensor, first], y: Float[Tensor, second], w: Float[Tensor, third]):
        return x.sum() + y.sum() + w.sum()

    @torch.compile(backend="eager", dynamic=False)
    def program(x, y, w):
        try:
            f(x, y, w)
        except ShapeError:
            return x + 1, False
        return x + 1, True

    for x, y in itertools.product(SHAPES, SHAPES):
        try:
            f(z(*x), z(*y), z(2, 3))
            accepted = True
        except ShapeError:
            accepted = False
        assert program(z(*x), z(*y), z(2, 3))[1] == accepted, (x, y)


@CAPTURE
@pytest.mark.parametrize("texts", [("n", "#n"), ("*n", "*#n")])
def test_a_size_that_only_the_data_decides_may_be_one(texts):
    exact, loose = texts

    @guard
    def f(x: Float[Tensor, exact], y: Float[Tensor, loose]):
        return x + y.sum()

    program = compiled(lambda x, mask: f(x, x[mask]), backend="aot_eager")
    for mask in ([True, False, False], [True, True, True]):
        assert program(z(3), torch.tensor(mask)).shape == (3,)


def test_an_integer_that_the_program_was_given_is_named():
    @guard
    def f(x: Float[Tensor, "b {k}"], k: int):
        return x * k

    with refused("`x` axis 1 is 4, expected {k} = 3"):
        compiled(f, dynamic=True)(z(2, 4), 3)


@pytest.mark.parametrize("dynamic", [True, False, None])
def test_the_graph_is_the_bare_function_s(dynamic):
    class Block:
        width = 3

        def call(
            self,
            x: Float[Tensor, "*#b d"],
            y: Float[Tensor, "*#b d"],
            w: Float[Tensor, "d"] = 1.0,
            both: Both | None = None,
        ) -> Float[Tensor, "*#b d"]:
            return x * y * w

    graphs = []
    for method in (Block.call, guard(self_dims="d")(Block.call)):
        torch.compiler.reset()
        recorder = EagerAndRecordGraphs()
        block = Block()
        block._shapeguard_dims = {"d": 3}
        program = compiled(lambda *given, method=method, block=block: method(block, *given), backend=recorder)
        for batch in (4, 5, 6):
            program(z(batch, 3), z(2, 1, 3))
        graphs.append([[(node.op, str(node.target)) for node in each.graph.nodes] for each in recorder.graphs])
    assert graphs[0] == graphs[1]


def test_expect_loads_no_compiler():
    program = (
        "import sys, torch\nfrom jaxtyping import Float\nfrom shapeguard import expect, guard\n"
        "def f(x: Float[torch.Tensor, 'n'], y: 'Later' = None): return expect(x, 'n')\n"
        "guard(f)(torch.zeros(2)) if 'Later' in globals() else guard(f)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
