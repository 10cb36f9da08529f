"""Where tensors have no data yet, or more axes than they show: export, fx, jit, fake tensors, torch.func."""

import warnings
from contextlib import contextmanager

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.export import Dim
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx

WRONG = "`y` axis 0 is 1, expected batch = "


def score(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
    return (x * y).sum(-1)


def right(batch=4, d=3):
    return torch.randn(batch, d), torch.randn(batch, d)


def wrong(batch=4, d=3):
    """The bare function would broadcast."""
    return torch.randn(batch, d), torch.randn(1, d)


def make_net(check):
    @check
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.randn(3))

        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
            return (self.scale * x * y).sum(-1)

    return Net


# Export


def exported(check, *, strict):
    net = make_net(check)()
    batch = Dim("batch")
    sizes = {"x": {0: batch}, "y": {0: batch}}
    with check.right():
        program = torch.export.export(net, right(), dynamic_shapes=sizes, strict=strict)
        for size in (4, 7):
            arguments = right(size)
            check.same(program.module()(*arguments), (net.scale * arguments[0] * arguments[1]).sum(-1))
    with check.refused(WRONG):
        torch.export.export(make_net(check)(), wrong(), dynamic_shapes={"x": {0: batch}, "y": None}, strict=strict)


@pytest.mark.case("torch.export", "`strict=True`, the batch stays dynamic")
def test_strict(check):
    exported(check, strict=True)


@pytest.mark.case("torch.export", "`strict=False`, the batch stays dynamic")
def test_non_strict(check):
    exported(check, strict=False)


@pytest.mark.case("torch.export", "the exported graph has the bare module's operations and no others")
@pytest.mark.parametrize("strict", [True, False])
def test_the_graph_is_the_bare_module_s(check, strict):
    class Net(nn.Module):
        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
            return (x * y).sum(-1)

    graphs = []
    for make in (lambda: Net, lambda: check(Net)):
        net = make()()
        with check.right():
            program = torch.export.export(
                net, right(), dynamic_shapes={name: {0: Dim.AUTO} for name in "xy"}, strict=strict
            )
        graphs.append([(node.op, str(node.target)) for node in program.graph.nodes])
    check.require(graphs[0] == graphs[1], "other operations")


@pytest.mark.case("torch.export", "sizes that only the data decides (a boolean mask)")
@pytest.mark.parametrize("strict", [True, False])
def test_a_mask(check, strict):
    checked = check(score)

    class Chosen(nn.Module):
        def forward(self, x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
            return checked(x[mask], y[mask])

    mask = torch.tensor([True, False, True, True])
    with check.right():
        x, y = right()
        program = torch.export.export(Chosen(), (x, y, mask), strict=strict)
        check.same(program.module()(x, y, ~mask), score(x[~mask], y[~mask]))


# fx and jit


@pytest.mark.case("torch.fx", "`symbolic_trace` (it has no sizes to check)")
def test_symbolic_trace(check):
    with check.right():
        graph = torch.fx.symbolic_trace(check(score))
        arguments = right()
        check.same(graph(*arguments), score(*arguments))
    check.require(graph.code == torch.fx.symbolic_trace(score).code, "other graph")


@pytest.mark.case("torch.fx", "`symbolic_trace` of a module")
def test_symbolic_trace_of_a_module(check):
    net = make_net(check)()
    with check.right():
        arguments = right()
        check.same(torch.fx.symbolic_trace(net)(*arguments), net(*arguments))


def traced_by_make_fx(check, tracing_mode):
    with check.right():
        graph = make_fx(check(score), tracing_mode=tracing_mode)(*right())
        bare = make_fx(score, tracing_mode=tracing_mode)(*right())
        arguments = right()
        check.same(graph(*arguments), score(*arguments))
    check.require(str(graph.graph) == str(bare.graph), "other graph")
    with check.refused("`y` axis 0 is 1, expected batch = "):
        make_fx(check(score), tracing_mode=tracing_mode)(*wrong())
    return graph


@pytest.mark.case("torch.fx", '`make_fx`, `tracing_mode="real"`')
def test_make_fx_real(check):
    traced_by_make_fx(check, "real")


@pytest.mark.case("torch.fx", '`make_fx`, `tracing_mode="fake"`')
def test_make_fx_fake(check):
    traced_by_make_fx(check, "fake")


@pytest.mark.case("torch.fx", '`make_fx`, `tracing_mode="symbolic"`')
def test_make_fx_symbolic(check):
    graph = traced_by_make_fx(check, "symbolic")
    with check.right():
        arguments = right(7, 5)
        check.same(graph(*arguments), score(*arguments))


@contextmanager
def only_tracer_warnings():
    """The warnings of torch.jit.trace that nobody has asked to ignore; that it is deprecated we know."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter("ignore", DeprecationWarning)
        yield caught


@pytest.mark.case("torch.jit", "`trace`, without a warning")
def test_jit_trace(check):
    with only_tracer_warnings() as caught, check.right():
        graph = torch.jit.trace(check(score), right())
        arguments = right()
        check.same(graph(*arguments), score(*arguments))
    check.require(not caught, "TracerWarning")
    with only_tracer_warnings(), check.refused("`y` axis 0 is 1, expected batch = 4"):
        torch.jit.trace(check(score), wrong())


@pytest.mark.case("torch.jit", "`trace` of a module, run with another batch size")
def test_jit_trace_of_a_module(check):
    with only_tracer_warnings() as caught, check.right():
        net = make_net(check)()
        graph = torch.jit.trace(net, right())
        arguments = right(7)
        check.same(graph(*arguments), net(*arguments))
    check.require(not caught, "TracerWarning")


# Tensors without data


@pytest.mark.case("Tensors without data", "`FakeTensorMode`")
def test_fake_tensors(check):
    checked = check(score)
    with FakeTensorMode(), check.right():
        result = checked(*right())
    check.require(result.shape == (4,), "another result")
    with check.refused("`y` axis 0 is 1, expected batch = 4"), FakeTensorMode():
        checked(*wrong())


@pytest.mark.case("Tensors without data", "the meta device")
def test_meta_device(check):
    checked = check(score)
    with torch.device("meta"), check.right():
        result = checked(*right())
    check.require(result.shape == (4,), "another result")
    with check.refused("`y` axis 0 is 1, expected batch = 4"), torch.device("meta"):
        checked(*wrong())


# torch.func


@pytest.mark.case("torch.func", "`vmap` (the mapped axis is not seen)")
def test_vmap(check):
    mapped = vmap(check(score))
    with check.right():
        x, y = torch.randn(5, 4, 3), torch.randn(5, 4, 3)
        check.same(mapped(x, y), (x * y).sum(-1))
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        mapped(torch.randn(5, 4, 3), torch.randn(5, 1, 3))


@pytest.mark.case("torch.func", "`grad` and `jacrev`")
def test_grad(check):
    def loss(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, ""]:
        return (x * y).sum()

    checked = check(loss)
    with check.right():
        x, y = right()
        check.same(grad(checked)(x, y), y)
        check.same(jacrev(checked)(x, y), y)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        grad(checked)(*wrong())


@pytest.mark.case("torch.func", "`functional_call`")
def test_functional_call(check):
    net = make_net(check)()
    arguments = right()
    with check.right():
        check.same(functional_call(net, {"scale": torch.ones(3)}, arguments), score(*arguments))
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        functional_call(net, {"scale": torch.ones(3)}, wrong())


@pytest.mark.case("torch.func", "an ensemble: `stack_module_state` under `vmap` and `grad`")
def test_ensemble(check):
    make = make_net(check)
    nets = [make() for _ in range(5)]
    weights, buffers = stack_module_state(nets)
    arguments = right()

    def total(weights, buffers):
        return functional_call(nets[0], (weights, buffers), arguments).sum()

    with check.right():
        gradient = vmap(grad(total))(weights, buffers)["scale"]
        check.same(gradient, (arguments[0] * arguments[1]).sum(0).expand(5, 3))


@pytest.mark.case("torch.func", "`vmap` and `grad` inside `torch.compile`")
def test_func_under_compile(check):
    checked = check(score)

    def of_many(x, y):
        return vmap(grad(lambda x, y: checked(x, y).sum()))(x, y)

    compiled = torch.compile(of_many, backend="eager", fullgraph=True)
    with check.right():
        x, y = torch.randn(5, 4, 3), torch.randn(5, 4, 3)
        check.same(compiled(x, y), y)
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(torch.randn(5, 4, 3), torch.randn(5, 1, 3))
