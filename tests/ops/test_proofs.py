"""Each operation's own examples, run on torch's meta device and on the operation: the same shape, or both refuse."""

import pkgutil

import pytest
import torch

from shapeguard.ops.registry import every_op
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim, as_int
from shapeguard.shapes.mismatch import Mismatch
from shapeguard.shapes.shape import Shape

CASES = [
    pytest.param(name, example, id=f"{name}: {example}") for name, op in every_op().items() for example in op.examples
]


def real_function(name):
    return pkgutil.resolve_name(name if not name.startswith("Tensor.") else f"torch.{name}")


def real_tensor(*sizes, dtype=torch.float32):
    return torch.zeros(sizes, dtype=dtype)


def abstract(value):
    """A value of the examples as the interpreter would hand it on."""
    if isinstance(value, torch.dtype):
        return Dtype(str(value).removeprefix("torch."))
    if isinstance(value, bool) or value is None or isinstance(value, float | str | Tensor):
        return value
    if isinstance(value, int):
        return Dim(value)
    if isinstance(value, list | tuple):
        return tuple(map(abstract, value))
    return value


def abstract_tensor(*sizes, dtype=torch.float32):
    return Tensor(Shape.of(*sizes), str(dtype).removeprefix("torch."))


def abstract_function(op):
    def call(*arguments, **named):
        result = op(*map(abstract, arguments), **{name: abstract(value) for name, value in named.items()})
        if isinstance(result, Module):
            return lambda *inputs, **more: result.forward(
                *map(abstract, inputs), **{name: abstract(value) for name, value in more.items()}
            )
        if op.is_module:
            # What can't be made isn't called.
            return lambda *_, **__: result
        return result

    return call


def described(value):
    """Shapes, dtypes and numbers in one form for both sides."""
    if isinstance(value, torch.Tensor):
        return (tuple(value.shape), str(value.dtype).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, list | tuple):
        return tuple(map(described, value))
    if isinstance(value, Tensor):
        return (tuple(map(as_int, value.shape.sizes)) if value.shape.axes is not None else "unknown", value.dtype)
    if isinstance(value, Dim):
        return as_int(value)
    if isinstance(value, torch.dtype):
        return Dtype(str(value).removeprefix("torch."))
    return value


def run(example, function, make):
    scope = {"f": function, "t": make, "torch": torch, "i64": torch.int64, "boolean": torch.bool}
    return eval(example, scope)  # noqa: S307 - the examples of this repository


@pytest.mark.parametrize(("name", "example"), CASES)
def test_example(name, example):
    op = every_op()[name]
    inferred = run(example, abstract_function(op), abstract_tensor)
    try:
        # Some checks are left out on the meta device, others on the CPU.
        for device in ("cpu", "meta") if isinstance(inferred, Mismatch) else ("meta",):
            with torch.device(device):
                real = run(example, real_function(name), real_tensor)
    except (RuntimeError, ValueError, LookupError, TypeError, AssertionError) as error:
        refusal = error
    else:
        refusal = None
    if refusal is not None:
        assert isinstance(inferred, Mismatch), f"torch refuses ({refusal}), and the op gives {inferred}"
        assert inferred.sentence()
    else:
        assert inferred is not UNKNOWN, "an example is there to show what is known"
        assert described(inferred) == described(real)
