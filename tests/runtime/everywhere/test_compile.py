"""torch.compile follows a guarded function into the graph that the bare one has."""

import shutil
from collections.abc import Iterator

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter, EagerAndRecordGraphs

from shapeguard import expect, guard, switch

CAPTURE = torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True)


def score(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
    return (x * y).sum(-1)


def right(batch=4, d=3):
    return torch.randn(batch, d), torch.randn(batch, d)


def wrong(batch=4, d=3):
    """The bare function would broadcast."""
    return torch.randn(batch, d), torch.randn(1, d)


def goes_through(check, compiled):
    with check.right():
        arguments = right()
        check.same(compiled(*arguments), score(*arguments))


@pytest.mark.case("torch.compile", "default")
def test_default(check):
    compiled = torch.compile(check(score), backend="eager")
    goes_through(check, compiled)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())
    goes_through(check, compiled)


@pytest.mark.case("torch.compile", "`fullgraph=True`")
def test_fullgraph(check):
    compiled = torch.compile(check(score), backend="eager", fullgraph=True)
    goes_through(check, compiled)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())
    goes_through(check, compiled)


@pytest.mark.case("torch.compile", '`backend="aot_eager"`')
def test_aot_eager(check):
    compiled = torch.compile(check(score), backend="aot_eager", fullgraph=True)
    goes_through(check, compiled)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())


# torch's own word, when inductor is first imported
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.skipif(shutil.which("gcc") is None and shutil.which("clang") is None, reason="inductor needs a compiler")
@pytest.mark.case("torch.compile", '`backend="inductor"`')
def test_inductor(check):
    compiled = torch.compile(check(score), fullgraph=True)
    goes_through(check, compiled)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())


@pytest.mark.case("torch.compile", "no graph break, recompilation or frame that the bare function has not")
def test_no_more_frames_than_the_bare_function(check):
    frames = []
    for function in (score, check(score)):
        torch.compiler.reset()
        counter = CompileCounter()
        compiled = torch.compile(function, backend=counter)
        with check.right():
            for batch, d in [(4, 3), (5, 3), (6, 3), (6, 5), (7, 6), (9, 8)]:
                compiled(*right(batch, d))
        frames.append(counter.frame_count)
    check.require(frames[0] == frames[1], f"{frames[1]} graphs for {frames[0]}")


@pytest.mark.case("torch.compile", "the compiled graph has the bare function's operations and no others")
@pytest.mark.parametrize("dynamic", [None, True, False])
def test_the_graph_is_the_bare_function_s(check, dynamic):
    def flat(
        x: Float[Tensor, "batch t d"], mask: Float[Tensor, "#batch t"], w: Float[Tensor, "2*d out"]
    ) -> Float[Tensor, "batch*t out"]:
        both = torch.cat([x, x * mask[..., None]], -1)
        return both.flatten(0, 1) @ w

    graphs = []
    for function in (flat, check(flat)):
        torch.compiler.reset()
        recorder = EagerAndRecordGraphs()
        compiled = torch.compile(function, backend=recorder, fullgraph=True, dynamic=dynamic)
        with check.right():
            for batch in (4, 5):
                arguments = torch.randn(batch, 2, 3), torch.randn(batch, 2), torch.randn(6, 7)
                check.same(compiled(*arguments), flat(*arguments))
        operations = [
            [(node.op, str(node.target)) for node in graph.graph.nodes if node.op.startswith("call")]
            for graph in recorder.graphs
        ]
        graphs.append(operations)
    check.require(graphs[0] == graphs[1], "other operations")


@pytest.mark.case("torch.compile", "sizes known only as symbols (`dynamic=True`)")
def test_dynamic(check):
    compiled = torch.compile(check(score), backend="eager", fullgraph=True, dynamic=True)
    goes_through(check, compiled)
    with check.right():
        compiled(*right(7, 5))
    with check.refused("`y` axis 0 is 1, expected batch = "):
        compiled(*wrong(6))
    with check.refused("`y` axis 1 is ", "expected d = "):
        compiled(torch.randn(4, 3), torch.randn(4, 1))


@pytest.mark.case("torch.compile", "sizes that only the data decides (a boolean mask)")
@CAPTURE
def test_a_mask(check):
    checked = check(score)

    def chosen_rows(x, y, mask):
        return checked(x[mask], y[mask])

    compiled = torch.compile(chosen_rows, backend="eager", fullgraph=True)
    mask = torch.tensor([True, False, True, True])
    with check.right():
        x, y = right()
        check.same(compiled(x, y, mask), score(x[mask], y[mask]))


@pytest.mark.case("torch.compile", "a mismatch that only the data decides is found when the program runs")
@CAPTURE
def test_two_masks(check):
    def total(x: Float[Tensor, "rows d"], y: Float[Tensor, "rows d"]) -> Float[Tensor, ""]:
        return x.sum() * y.sum()

    checked = check(total)

    def of_chosen_rows(x, y, first, second):
        return checked(x[first], y[second])

    compiled = torch.compile(of_chosen_rows, backend="aot_eager", fullgraph=True)
    three, other_three = torch.tensor([True, False, True, True]), torch.tensor([True, True, True, False])
    with check.right():
        x, y = right()
        check.same(compiled(x, y, three, other_three), total(x[three], y[other_three]))
    with check.refused():
        compiled(x, y, three, ~other_three)


@pytest.mark.case("torch.compile", "backward")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_backward(check, backend):
    compiled = torch.compile(check(score), backend=backend, fullgraph=True)
    gradients = []
    x, y = right()
    with check.right():
        for function in (score, compiled):
            leaf = x.clone().requires_grad_()
            function(leaf, y).sum().backward()
            gradients.append(leaf.grad)
        check.same(gradients[1], gradients[0])


@pytest.mark.case("torch.compile", "a wrong result is refused")
def test_a_wrong_result(check):
    def pooled(x: Float[Tensor, "batch t d"]) -> Float[Tensor, "batch d"]:
        return x.mean(0 if len(x) > 4 else 1)

    compiled = torch.compile(check(pooled), backend="eager", fullgraph=True, dynamic=False)
    with check.right():
        compiled(torch.randn(4, 2, 3))
    with check.refused("axis 0 is 2, expected batch = 5"):
        compiled(torch.randn(5, 2, 3))


def make_net(check):
    @check
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(11, 6)
            self.head = nn.Linear(6, 2)

        def forward(
            self, tokens: Int[Tensor, "batch seq"], mask: Float[Tensor, "batch seq"] | None = None
        ) -> Float[Tensor, "batch seq 2"]:
            hidden = self.embed(tokens)
            return self.head(hidden if mask is None else hidden * mask[..., None])

    return Net


@pytest.mark.case("torch.compile", "a module, by `torch.compile(model)` and by `model.compile()`")
@pytest.mark.parametrize("in_place", [False, True])
def test_a_module(check, in_place):
    net = make_net(check)()
    tokens = torch.randint(11, (4, 5))
    plain = net.head(net.embed(tokens))
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    if in_place:
        net.compile(backend="eager", fullgraph=True)
        compiled = net
    with check.right():
        check.same(compiled(tokens), plain)
        check.same(compiled(tokens, torch.ones(4, 5)), plain)
    with check.refused("`mask` axis 0 is 1, expected batch = 4"):
        compiled(tokens, torch.ones(1, 5))


@pytest.mark.case("torch.compile", "one instance under guard, with modules inside it")
def test_one_instance(check):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(3, 3)

        def forward(self, x: Float[Tensor, "batch d"], scale: Float[Tensor, "batch"]) -> Float[Tensor, "batch d"]:
            return self.up(x) * scale[:, None]

    block = Block()
    x, scale = torch.randn(4, 3), torch.randn(4)
    plain = block(x, scale)
    compiled = torch.compile(check(block), backend="eager", fullgraph=True)
    with check.right():
        check.same(compiled(x, scale), plain)
    with check.refused("`scale` axis 0 is 1, expected batch = 4"):
        compiled(x, torch.randn(1))


@pytest.mark.case("torch.compile", "a graph break in the body")
def test_a_graph_break_in_the_body(check):
    def noisy(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        product = x * y
        torch._dynamo.graph_break()
        return product.sum(-1)

    compiled = torch.compile(check(noisy), backend="eager")
    goes_through(check, compiled)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())
    goes_through(check, compiled)


@pytest.mark.case("torch.compile", "a checked function inside a compiled one, its refusal caught outside")
def test_inside_a_compiled_function(check):
    checked = check(score)

    def objective(x, y):
        return nn.functional.logsigmoid(checked(x + 1, y)).mean()

    compiled = torch.compile(objective, backend="eager", fullgraph=True)
    with check.right():
        x, y = right()
        check.same(compiled(x, y), nn.functional.logsigmoid(score(x + 1, y)).mean())
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())


@pytest.mark.case("torch.compile", "a generator, which the compiler follows")
def test_a_generator(check):
    def rows(x: Float[Tensor, "batch d"], width: int) -> Iterator[Float[Tensor, "d"]]:
        for row in x:
            yield row[:width]
        return width

    checked = check(rows)

    def total(x, width):
        generator = checked(x, width)
        result = next(generator) * 2
        for row in generator:
            result = result + row
        return result

    compiled = torch.compile(total, backend="eager", fullgraph=True)
    with check.right():
        x, _ = right()
        check.same(compiled(x, 3), x.sum(0) + x[0])
    with check.refused("`yield` axis 0 is 2, expected d = 3"):
        compiled(x, 2)


@pytest.mark.parametrize("fixed", [None, "once"])
def test_in_mode_once_a_compiled_program_is_checked(fixed):
    checked = guard(score, mode=fixed)
    with switch("once"):
        compiled = torch.compile(checked, backend="eager", fullgraph=True)
        compiled(*right())
        with pytest.raises(Exception, match="`y` axis 0 is 1, expected batch = 4"):
            compiled(*wrong())


def test_expect_sees_the_names_of_the_compiled_call(check):
    def projected(x: Float[Tensor, "batch d"], w: Float[Tensor, "d out"]) -> Float[Tensor, "batch out"]:
        return expect(x @ w, "batch out")

    def misjudged(x: Float[Tensor, "batch d"], w: Float[Tensor, "d out"]) -> Float[Tensor, "batch out"]:
        return expect(x @ w, "batch d")

    arguments = torch.randn(4, 3), torch.randn(3, 5)
    compiled = torch.compile(check(projected), backend="eager", fullgraph=True)
    with check.right():
        check.same(compiled(*arguments), projected(*arguments))

    def misdoubled(x: Float[Tensor, "batch d"], w: Float[Tensor, "d out"]) -> Float[Tensor, "batch out"]:
        return expect(x @ w, "batch 2*d")

    with check.refused("axis 1 is 5, expected d = 3"):
        torch.compile(check(misjudged), backend="eager", fullgraph=True)(*arguments)
    with check.refused("axis 1 is 5, expected 2*d = 6"):
        torch.compile(check(misdoubled), backend="eager", fullgraph=True)(*arguments)


def test_switched_off_nothing_is_checked_and_nothing_recompiled(check):
    counter = CompileCounter()
    compiled = torch.compile(check(score), backend=counter, fullgraph=True, dynamic=True)
    with switch("off"):
        compiled(*wrong())
        compiled(*wrong(5))
    assert counter.frame_count == 1
    compiled(*right())
    with check.refused("`y` axis 0 is 1"):
        compiled(*wrong())
