"""Calling an operation: arguments that it has no parameters for are unknown to it, and its own failures stay failures."""

import pytest

from shapeguard.ops.demands import layer
from shapeguard.ops.registry import Op, find, renamed
from shapeguard.ops.values import UNKNOWN, tensor
from shapeguard.shapes.dim import Dim


def work(first, /, second=None, *rest, only=None):
    return first, second, rest, only


def fail(value):
    return len(value + 1)


def misuse(value):
    return work(value, nothing=value)


@pytest.mark.parametrize("make", [lambda function: Op(function, ("torch.work",), (), is_module=False), layer])
def test_arguments_that_do_not_fit_are_unknown(make):
    operation = make(work)
    call = operation if isinstance(operation, Op) else operation.forward

    assert call(1, 2, 3, only=4) == (1, 2, (3,), 4)
    assert call(1, second=2) == (1, 2, (), None)
    assert call() is UNKNOWN
    assert call(first=1) is UNKNOWN
    assert call(1, 2, second=2) is UNKNOWN
    assert call(1, other=2) is UNKNOWN


@pytest.mark.parametrize("function", [fail, misuse])
@pytest.mark.parametrize("make", [lambda function: Op(function, ("torch.work",), (), is_module=False), layer])
def test_an_error_inside_of_an_operation_is_raised(make, function):
    operation = make(function)
    call = operation if isinstance(operation, Op) else operation.forward

    with pytest.raises(TypeError):
        call("text")


def test_numpy_words_are_replaced_where_torch_has_another():
    operation = find("torch.sum")

    assert renamed({"axis": Dim(0), "keepdims": True}, operation) == {"dim": Dim(0), "keepdim": True}
    assert renamed({"dim": Dim(0)}, operation) == {"dim": Dim(0)}
    assert operation(tensor(2, 3), **renamed({"axis": Dim(0)}, operation)) == tensor(3, dtype=None)
