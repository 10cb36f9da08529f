"""Copies, files, other processes, other threads, and tools that read a function without calling it."""

import asyncio
import copy
import importlib.util
import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapeguard import ShapeError, expect, guard

REPOSITORY = Path(__file__).parents[3]
WRONG = "`y` axis 0 is 1, expected batch = 4"


def score(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
    return (x * y).sum(-1)


def right(batch=4, d=3):
    return torch.randn(batch, d), torch.randn(batch, d)


def wrong(batch=4, d=3):
    """The bare function would broadcast."""
    return torch.randn(batch, d), torch.randn(1, d)


def make_class():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.randn(3))

        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
            return (self.scale * x * y).sum(-1)

    return Net


MODULE = """
import torch
from torch import Tensor, nn
from jaxtyping import Float

@check
def score(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
    return (x * y).sum(-1)

class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3))

    def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return (self.scale * x * y).sum(-1)

class Net(Bare):
    @check
    def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return (self.scale * x * y).sum(-1)

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Bare()

    def forward(self, x, y):
        return self.inner(x, y) + 1
"""


def is_a_faithful_copy(check, copied, original):
    """Computes the same, checks the same."""
    with check.right():
        arguments = right()
        check.same(copied(*arguments), original(*arguments))
    with check.refused(WRONG):
        copied(*wrong())


def has_weights_of_its_own(check, copied, original):
    arguments = right()
    before = original(*arguments)
    with torch.no_grad():
        for weight in copied.parameters():
            weight.zero_()
    check.same(original(*arguments), before)
    after = copied(*arguments)
    check.require((after == after[0]).all(), "computes with the original's weights")


# Copies and files


@pytest.mark.case("Copies and files", "`pickle` of a checked function and of a module of a checked class")
def test_pickle(check, tmp_path):
    module = check.module(tmp_path / f"pickled_under_{check.name}.py", MODULE)
    net = module.Net()
    with check.right():
        function, copied = pickle.loads(pickle.dumps((module.score, net)))  # noqa: S301 - written here
    is_a_faithful_copy(check, function, module.score)
    is_a_faithful_copy(check, copied, net)


@pytest.mark.case("Copies and files", "`pickle` of one instance under guard")
@pytest.mark.parametrize("name", ["Bare", "Two"])
def test_pickle_of_an_instance(check, tmp_path, name):
    module = check.module(tmp_path / f"instance_pickled_under_{check.name}.py", MODULE)
    net = getattr(module, name)()
    check(net if name == "Bare" else net.inner)
    with check.right():
        copied = pickle.loads(pickle.dumps(net))  # noqa: S301 - written here
    is_a_faithful_copy(check, copied, net)
    has_weights_of_its_own(check, copied, net)


@pytest.mark.case("Copies and files", "`copy.deepcopy` of a checked function and of a module of a checked class")
def test_deepcopy(check):
    checked, net = check(score), check(make_class())()
    with check.right():
        function, copied = copy.deepcopy((checked, net))
    is_a_faithful_copy(check, function, checked)
    is_a_faithful_copy(check, copied, net)
    has_weights_of_its_own(check, copied, net)


@pytest.mark.case("Copies and files", "`copy.deepcopy` of one instance under guard")
def test_deepcopy_of_an_instance(check):
    instance = check(make_class()())
    with check.right():
        copied = copy.deepcopy(instance)
    is_a_faithful_copy(check, copied, instance)
    has_weights_of_its_own(check, copied, instance)


@pytest.mark.case("Copies and files", "`copy.copy` of one instance under guard, which gets other weights")
def test_shallow_copy(check):
    instance = check(make_class()())
    with check.right():
        copied = copy.copy(instance)
        copied._parameters = {"scale": nn.Parameter(torch.zeros(3))}
        check.same(copied(*right()), torch.zeros(4))
    with check.refused(WRONG):
        copied(*wrong())


def test_an_instance_under_guard_is_of_its_class_and_the_others_are_let_be():
    cls = make_class()
    instance, second, other = guard(cls()), guard(guard(cls())), cls()
    assert isinstance(instance, cls)
    assert type(instance) is type(second)
    assert (type(instance).__name__, type(instance).__module__) == (cls.__name__, cls.__module__)
    assert str(instance) == str(other)
    assert inspect.signature(instance.forward) == inspect.signature(other.forward)
    assert instance.state_dict().keys() == other.state_dict().keys()
    assert type(other) is cls
    assert other(*wrong()).shape == (4,)


def saved_and_loaded(check, net, path):
    with check.right():
        torch.save(net, path)
        copied = torch.load(path, weights_only=False)
    is_a_faithful_copy(check, copied, net)


@pytest.mark.case("Copies and files", "`torch.save` and `torch.load` of a module of a checked class")
def test_save(check, tmp_path):
    module = check.module(tmp_path / f"saved_under_{check.name}.py", MODULE)
    saved_and_loaded(check, module.Net(), tmp_path / "net.pt")


@pytest.mark.case("Copies and files", "`torch.save` and `torch.load` of one instance under guard")
def test_save_of_an_instance(check, tmp_path):
    module = check.module(tmp_path / f"instance_saved_under_{check.name}.py", MODULE)
    saved_and_loaded(check, check(module.Bare()), tmp_path / "net.pt")


@pytest.mark.case("Copies and files", "the `state_dict` has the bare module's names")
def test_state_dict(check):
    bare, net = make_class()(), check(make_class())()
    with check.right():
        net.load_state_dict(bare.state_dict())
        check.same(dict(net.state_dict()), dict(bare.state_dict()))


LOADING = """
import json, sys, torch, cloudpickle
with open(sys.argv[1], "rb") as file:
    checked = cloudpickle.load(file)
found = []
for function in checked:
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    assert function(x, y).shape == (4,), "another result"
    try:
        function(x, y[:1])
        found.append("")
    except TypeError as error:
        found.append(str(error))
print(json.dumps(found))
"""


def loaded_by_another_process(check, path, *targets):
    import cloudpickle

    with check.right():
        path.write_bytes(cloudpickle.dumps(targets))
    done = run("-c", LOADING, str(path))
    with check.right():
        if done.returncode:
            raise RuntimeError(done.stderr)
    for message in json.loads(done.stdout):
        with check.refused(WRONG):
            if message:
                raise TypeError("Type-check error: " + message)


@pytest.mark.case("Copies and files", "`cloudpickle` of a local function and class, loaded by another process")
def test_cloudpickle(check, tmp_path):
    @check
    def local(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return (x * y).sum(-1)

    loaded_by_another_process(check, tmp_path / "checked", local, check(make_class())())


@pytest.mark.case("Copies and files", "`cloudpickle` of one instance under guard, loaded by another process")
def test_cloudpickle_of_an_instance(check, tmp_path):
    loaded_by_another_process(check, tmp_path / "checked", check(make_class()()))


def test_expect_knows_the_names_after_cloudpickle():
    import cloudpickle

    @guard
    def misjudged(x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return expect(x.sum(-1), "d")

    for function in (misjudged, cloudpickle.loads(cloudpickle.dumps(misjudged))):
        with pytest.raises(ShapeError, match="axis 0 is 4, expected d = 3"):
            function(torch.randn(4, 3))


def run(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


# What tools read


@pytest.mark.case("Tools", "`inspect.signature`, annotations, name and docstring are the bare function's")
def test_signature(check):
    def documented(x: Float[Tensor, "batch d"], *rest: int, scale: float = 2.0, **more: str) -> Float[Tensor, "batch"]:
        """What it does."""
        return x.sum(-1) * scale

    checked = check(documented)
    check.require(inspect.signature(checked) == inspect.signature(documented), "another signature")
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        check.require(getattr(checked, name) == getattr(documented, name), f"another {name}")
    check.require(inspect.getsource(checked) == inspect.getsource(documented), "another source")
    cls = make_class()
    plain = inspect.signature(cls.forward)
    check.require(inspect.signature(check(cls).forward) == plain, "another signature")


TYPED = """
import torch
from jaxtyping import Float
from torch import Tensor, nn

@check
def total(x: Float[Tensor, "batch d"], scale: int) -> Float[Tensor, "batch"]:
    return x.sum(-1) * scale

class Net(nn.Module):
    @check
    def forward(self, x: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        return x.sum(-1)

reveal_type(total(torch.randn(4, 3), 2))
reveal_type(Net().forward(torch.randn(4, 3)))
total(torch.randn(4, 3), "two")
Net().forward()
"""


@pytest.mark.case("Tools", "pyright sees the bare signature")
@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
def test_pyright(check, tmp_path):
    path = tmp_path / "typed.py"
    path.write_text(check.source(TYPED))
    settings = {"include": [str(path)], "extraPaths": [str(REPOSITORY)], "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run("-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", str(tmp_path))
    found = json.loads(done.stdout)["generalDiagnostics"]
    revealed = [entry["message"] for entry in found if entry["severity"] == "information"]
    errors = [entry["message"] for entry in found if entry["severity"] == "error"]
    check.require(len(revealed) == 2 and all('"Tensor"' in message for message in revealed), "does not see the result")
    check.require(len(errors) == 2, "does not see the misuse")


@pytest.mark.case("Tools", "mypy sees the bare signature")
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy(check, tmp_path):
    path = tmp_path / "typed.py"
    path.write_text(check.source(TYPED))
    done = run("-m", "mypy", "--config-file=", "--cache-dir", str(tmp_path), "--follow-imports=silent", str(path))
    revealed = [line for line in done.stdout.splitlines() if "note: Revealed" in line]
    errors = [line for line in done.stdout.splitlines() if "error:" in line]
    check.require(len(revealed) == 2 and all("Tensor" in line for line in revealed), "does not see the result")
    check.require(len(errors) == 2, "does not see the misuse")


# Threads and coroutines


@pytest.mark.case("Concurrency", "threads, each with sizes of its own")
def test_threads(check):
    checked = check(score)
    finished, refusals = set(), {}

    def work(batch):
        try:
            for _ in range(50):
                checked(*right(batch))
            finished.add(batch)
            checked(*wrong(batch))
        except TypeError as error:
            refusals[batch] = error

    workers = [threading.Thread(target=work, args=(batch,)) for batch in range(2, 8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    check.require(finished == set(range(2, 8)), "false alarm")
    for batch in range(2, 8):
        with check.refused(f"`y` axis 0 is 1, expected batch = {batch}"):
            raise refusals[batch]


@pytest.mark.case("Concurrency", "`async def`, many calls under way at once")
def test_async(check):
    @check
    async def later(x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
        await asyncio.sleep(0)
        return (x * y).sum(-1)

    async def many():
        arguments = [right(batch) for batch in range(2, 8)]
        results = await asyncio.gather(*(later(x, y) for x, y in arguments))
        return all(torch.equal(result, score(*pair)) for result, pair in zip(results, arguments, strict=True))

    with check.right():
        check.require(asyncio.run(many()), "another result")
    with check.refused(WRONG):
        asyncio.run(later(*wrong()))


@pytest.mark.case("Concurrency", "generators and asynchronous generators")
def test_generators(check):
    @check
    def rows(x: Float[Tensor, "batch d"], width: int) -> Iterator[Float[Tensor, "d"]]:
        for row in x:
            yield row[:width]

    @check
    async def rows_later(x: Float[Tensor, "batch d"], width: int) -> AsyncIterator[Float[Tensor, "d"]]:
        for row in x:
            await asyncio.sleep(0)
            yield row[:width]

    async def all_rows(width):
        return [row async for row in rows_later(torch.randn(4, 3), width)]

    with check.right():
        check.require(len(list(rows(torch.randn(4, 3), 3))) == len(asyncio.run(all_rows(3))) == 4, "another result")
    with check.refused("`yield` axis 0 is 2, expected d = 3"):
        list(rows(torch.randn(4, 3), 2))
    with check.refused("`yield` axis 0 is 2, expected d = 3"):
        asyncio.run(all_rows(2))
