"""What a training run puts around a model: dtypes, autocast, hooks, checkpoints, loaders."""

import pytest
import torch
from jaxtyping import Bool, Complex, Float, Int, UInt8
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, default_collate


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
            self.up = nn.Linear(3, 3)

        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return self.up(x) * y

    return Net


# Dtypes


@pytest.mark.case("Dtypes", "`Float` takes float16, bfloat16, float32 and float64")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_float(check, dtype):
    with check.right():
        result = check(score)(*(part.to(dtype) for part in right()))
    check.require(result.dtype == dtype, "another dtype")


@pytest.mark.case("Dtypes", "`Int` refuses floats, `Float` refuses integers, `Bool` refuses both")
def test_families(check):
    @check
    def chosen(x: Float[Tensor, "n"], at: Int[Tensor, "m"], keep: Bool[Tensor, "m"]) -> Float[Tensor, "_"]:
        return x[at.long()[keep.bool()]]

    x, at, keep = torch.randn(5), torch.tensor([0, 3]), torch.tensor([True, False])
    with check.right():
        check.same(chosen(x, at, keep), x[:1])
        check.same(chosen(x, at.to(torch.int32), keep), x[:1])
    with check.refused("`at`", "float32"):
        chosen(x, at.float(), keep)
    with check.refused("`x`", "int64"):
        chosen(x.long(), at, keep)
    with check.refused("`keep`", "int64"):
        chosen(x, at, keep.long())


@pytest.mark.case("Dtypes", "`UInt8` and `Complex`")
def test_other_families(check):
    @check
    def of_picture(picture: UInt8[Tensor, "h w"]) -> Complex[Tensor, "h w"]:
        return torch.fft.fft2(picture.float())

    picture = torch.randint(255, (4, 6), dtype=torch.uint8)
    with check.right():
        check.same(of_picture(picture), torch.fft.fft2(picture.float()))
    with check.refused("`picture`", "float32"):
        of_picture(picture.float())


@pytest.mark.case("Dtypes", "autocast: `Float` takes the bfloat16 that a layer returns")
def test_autocast(check):
    net = make_net(check)()
    with check.right(), torch.autocast("cpu", torch.bfloat16):
        result = net(torch.randn(4, 3), torch.randn(4, 3).bfloat16())
    check.require(result.dtype == torch.bfloat16, "another dtype")
    with check.refused("`y` axis 0 is 1, expected batch = 4"), torch.autocast("cpu", torch.bfloat16):
        net(*wrong())


@pytest.mark.case("Dtypes", "autocast inside `torch.compile`")
def test_autocast_under_compile(check):
    net = torch.compile(make_net(check)(), backend="aot_eager", fullgraph=True)
    with check.right(), torch.autocast("cpu", torch.bfloat16):
        result = net(torch.randn(4, 3), torch.randn(4, 3).bfloat16())
    check.require(result.dtype == torch.bfloat16, "another dtype")
    with check.refused("`y` axis 0 is 1, expected batch = 4"), torch.autocast("cpu", torch.bfloat16):
        net(*wrong())


# Hooks and checkpoints


@pytest.mark.case("Training", "backward")
def test_backward(check):
    with check.right():
        x, y = right()
        leaf = x.clone().requires_grad_()
        check(score)(leaf, y).sum().backward()
        check.same(leaf.grad, y)


@pytest.mark.case("Training", "forward hooks, which may replace what goes in and comes out")
def test_forward_hooks(check):
    net = make_net(check)()
    seen = []
    net.register_forward_pre_hook(lambda module, arguments: (arguments[0] * 2, arguments[1]))
    net.register_forward_hook(lambda module, arguments, result: seen.append(result.shape) or result + 1)
    with check.right():
        x, y = right()
        check.same(net(x, y), net.up(x * 2) * y + 1)
    check.require(seen == [(4, 3)], "hook not called")
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        net(*wrong())


@pytest.mark.case("Training", "full backward hooks")
def test_backward_hooks(check):
    net = make_net(check)()
    seen = []
    net.register_full_backward_hook(lambda module, inner, outer: seen.append((inner[0].shape, outer[0].shape)))
    net.register_full_backward_pre_hook(lambda module, outer: seen.append(outer[0].shape))
    with check.right():
        x, y = right()
        net(x.requires_grad_(), y).sum().backward()
    check.require(seen == [(4, 3), ((4, 3), (4, 3))], "hook not called")
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        net(*wrong())


@pytest.mark.case("Training", "`torch.utils.checkpoint`, both variants")
@pytest.mark.parametrize("use_reentrant", [True, False])
def test_checkpoint(check, use_reentrant):
    net = make_net(check)()
    gradients = []
    x, y = right()
    with check.right():
        for call in (net, lambda *arguments: checkpoint(net, *arguments, use_reentrant=use_reentrant)):
            net.zero_grad()
            call(x.requires_grad_(), y).sum().backward()
            gradients.append(net.up.weight.grad)
        check.same(gradients[1], gradients[0])
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        checkpoint(net, *(part.requires_grad_() for part in wrong()), use_reentrant=use_reentrant)


@pytest.mark.case("Training", "`torch.utils.checkpoint` inside `torch.compile`")
def test_checkpoint_under_compile(check):
    net = make_net(check)()

    def step(x, y):
        return checkpoint(net, x, y, use_reentrant=False)

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    with check.right():
        x, y = right()
        check.same(compiled(x, y), net.up(x) * y)
        compiled(x, y).sum().backward()
    with check.refused("`y` axis 0 is 1, expected batch = 4"):
        compiled(*wrong())


@pytest.mark.case("Training", "`torch.no_grad` and `torch.inference_mode`")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(check, mode):
    checked = check(score)
    with check.right(), mode():
        arguments = right()
        check.same(checked(*arguments), score(*arguments))
    with check.refused("`y` axis 0 is 1, expected batch = 4"), mode():
        checked(*wrong())


# Loaders


def make_pairs(check, d):
    class Pairs(Dataset):
        def __len__(self):
            return 6

        @check
        def __getitem__(self, index: int) -> Float[Tensor, "3"]:
            return torch.full((d,), float(index))

    return Pairs()


@pytest.mark.case("Training", "`DataLoader` with workers: a checked dataset and a checked collate function")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_loader(check):
    @check
    def collate(items: list[Float[Tensor, "d"]]) -> Float[Tensor, "batch d"]:
        return default_collate(items)

    @check
    def flat(items: list[Float[Tensor, "d"]]) -> Float[Tensor, "batch d"]:
        return default_collate(items).flatten()

    with check.right():
        loader = DataLoader(make_pairs(check, 3), batch_size=2, num_workers=2, collate_fn=collate)
        check.same(torch.cat(list(loader))[:, 0], torch.arange(6.0))
    with check.refused("`result` axis 0 is 4, expected 3"):
        list(DataLoader(make_pairs(check, 4), batch_size=2, num_workers=1))
    with check.refused("`result` has 1 ax"):
        list(DataLoader(make_pairs(check, 3), batch_size=2, num_workers=1, collate_fn=flat))
