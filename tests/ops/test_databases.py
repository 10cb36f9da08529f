"""The sample calls of torch's own test suite, made on torch and on our operations, which must not contradict it.

torch keeps its samples in private modules, for operations and for layers, among them calls that it refuses. How far we
agree stands in agreement.csv, a row for each operation and each layer:

    samples   calls that torch takes
    whole     of those, the ones of which we know every size and dtype
    shapes    the ones of which we know every size but not every dtype
    ranks     the ones of which some sizes are not known
    unknown   the ones of which some rank is not known
    refused   calls that torch refuses: samples of refusals, and samples of which one tensor has been altered
    caught    of those, the ones that we refuse

Altered samples that torch takes contradict us as others do, but for the operations in STRICTER.

Write the table with

    pytest tests/ops/test_databases.py -m slow --write-agreement
"""

import csv
import pkgutil
import random
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import torch

from shapeguard.ops.indexing import ELLIPSIS, Slice, subscript
from shapeguard.ops.registry import Op, every_op
from shapeguard.ops.values import UNKNOWN, Dtype, Module, Tensor
from shapeguard.shapes.dim import Dim, as_int, substitute
from shapeguard.shapes.mismatch import Mismatch, OrderMismatch, Scrambled
from shapeguard.shapes.shape import Shape

STRICTER = {
    # Without elements torch looks at little.
    *("torch.cholesky", "torch.index_copy", "torch.nn.BatchNorm1d", "torch.nn.BatchNorm2d", "torch.nn.BatchNorm3d"),
    # As many elements will do, whatever their axes.
    *("torch.nn.functional.batch_norm", "torch.nn.functional.multi_margin_loss", "torch.nn.MultiMarginLoss"),
    *("torch.nn.functional.multilabel_margin_loss", "torch.nn.MultiLabelMarginLoss"),
    *("torch.nn.functional.nll_loss", "torch.nn.NLLLoss"),
    # It reads beyond the end of what it is given.
    "torch.nn.functional.scaled_dot_product_attention",
    # More axes are taken where each is to become 1.
    "torch.nn.functional.adaptive_avg_pool3d",
    # Padding by less than nothing is checked after the fact.
    "torch.nn.functional.pad",
}
MOST = 8
"""How many samples of an operation are altered."""
TABLE = Path(__file__).with_name("agreement.csv")
COLUMNS = ("samples", "whole", "shapes", "ranks", "unknown", "refused", "caught")
REFUSALS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, NotImplementedError, AttributeError)


@dataclass(frozen=True)
class Call:
    """One call, of a function or, where `made_with` says what the layer is made with, of a layer.

    A layer whose arguments are None is only made.
    """

    arguments: tuple | None
    named: dict
    made_with: tuple | None = None


# How the arguments of a call are seen: what of a tensor is told to the operation.


def with_numbers(value):
    return Tensor(Shape.of(*value.shape), name_of(value.dtype))


def with_symbols(value):
    return Tensor(Shape.of(*(Dim(f"n{size}") if size > 1 else size for size in value.shape)), name_of(value.dtype))


def with_ranks(value):
    # An axis is taken to have elements unless it is known to have none.
    return Tensor(Shape.of(*(None if size else 0 for size in value.shape)))


def with_nothing(_):
    return Tensor(Shape.unknown())


VIEWS = (with_numbers, with_symbols, with_ranks, with_nothing)


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def abstract(value, view):
    match value:
        case torch.Tensor():
            return view(value)
        case torch.dtype():
            return Dtype(name_of(value))
        case bool() | None | float() | str() | Tensor() | Dim():
            return value
        case int():
            return Dim(value)
        case list() | tuple():
            return tuple(abstract(entry, view) for entry in value)
        case slice():
            return Slice(*(abstract(part, view) for part in (value.start, value.stop, value.step)))
        case _:
            return ELLIPSIS if value is Ellipsis else UNKNOWN


def infer(op, call, view):
    def seen(arguments, named):
        return (
            tuple(abstract(value, view) for value in arguments),
            {name: abstract(value, view) for name, value in named.items()},
        )

    if call.made_with is None:
        arguments, named = seen(call.arguments, call.named)
        return op(*arguments, **named)
    arguments, named = seen(*call.made_with)
    made = op(*arguments, **named)
    if call.arguments is None or not isinstance(made, Module):
        return made
    arguments, named = seen(call.arguments, call.named)
    return made.forward(*arguments, **named)


def real_function(name):
    return pkgutil.resolve_name(name if not name.startswith("Tensor.") else f"torch.{name}")


def copied(value):
    """The argument, which a call in place would change."""
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return value.detach().clone()
    return type(value)(map(copied, value)) if type(value) in (list, tuple) else value


def carry_out(function, call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if call.made_with is not None:
            arguments, named = call.made_with
            function = function(*arguments, **named)
            if call.arguments is None:
                return None
        return function(*map(copied, call.arguments), **{name: copied(value) for name, value in call.named.items()})


def compare(inferred, real):
    """How far what is inferred of a result is known, as a column of the table; AssertionError where it is wrong."""
    assert not isinstance(inferred, Mismatch), f"torch takes it, but {inferred.sentence()}"
    if inferred is UNKNOWN:
        return "unknown"
    if isinstance(real, torch.Tensor):
        return compare_tensors(inferred, real)
    if isinstance(real, list | tuple):
        assert isinstance(inferred, tuple), f"{inferred} for {len(real)} values"
        assert len(inferred) == len(real), f"{len(inferred)} values, not {len(real)}"
        found = {compare(*pair) for pair in zip(inferred, real, strict=True)}
        return next((column for column in ("unknown", "ranks", "shapes") if column in found), "whole")
    if isinstance(real, torch.dtype):
        real = Dtype(name_of(real))
    if isinstance(inferred, Dim):
        inferred = evaluated(inferred)
    assert inferred == real, f"{inferred}, not {real}"
    return "whole"


def compare_tensors(inferred, real):
    assert isinstance(inferred, Tensor), f"{inferred} for a tensor"
    wrong = f"{inferred.shape} of {inferred.dtype}, not {tuple(real.shape)} of {real.dtype}"
    assert inferred.dtype in (None, name_of(real.dtype)), wrong
    if inferred.shape.axes is None:
        return "unknown"
    assert inferred.shape.rank == real.dim(), wrong
    sizes = [None if size is None else evaluated(size) for size in inferred.shape.sizes]
    for size, known, wanted in zip(inferred.shape.sizes, sizes, real.shape, strict=True):
        # The division of a symbol is taken to leave no remainder.
        assert known in (None, wanted) or "//" in str(size), wrong
    if None in sizes:
        return "ranks"
    return "whole" if inferred.dtype is not None else "shapes"


def evaluated(dim):
    return as_int(substitute(dim, {f"n{size}": size for size in range(2000)}))


def doubts(value):
    """What the operation says may be wrong with a result, other than what torch does not see."""
    if isinstance(value, tuple):
        return [doubt for entry in value for doubt in doubts(entry)]
    doubt = value.shape.doubt if isinstance(value, Tensor) else None
    return [] if doubt is None or isinstance(doubt, Scrambled | OrderMismatch) else [doubt]


def compare_calls(name, op, calls, counts):
    """Count how far a call is known, and yield what is contradicted."""
    function = real_function(name)
    for call, kind in calls:
        if name.startswith("Tensor.") and not is_method_call(call):
            continue
        try:
            real = carry_out(function, call)
        except REFUSALS:
            # What is no sample of a refusal may be a sample for a function of torch's tests alone.
            if kind != "sample":
                counts["refused"] += 1
                counts["caught"] += isinstance(infer(op, call, with_numbers), Mismatch)
            continue
        if not is_dense(real) or (kind == "altered" and name in STRICTER):
            continue
        for view in VIEWS if kind == "sample" else VIEWS[:1]:
            inferred = infer(op, call, view)
            try:
                column = compare(inferred, real)
                if kind == "sample" and view is with_numbers:
                    counts.update(("samples", column))
                    assert not doubts(inferred), f"torch takes it, but {doubts(inferred)[0].sentence()}"
            except AssertionError as error:
                yield f"{name} of {shown(call)} {view.__name__}: {error}"


def is_method_call(call):
    return isinstance(call.arguments[0], torch.Tensor) and "out" not in call.named


def is_dense(value):
    if isinstance(value, list | tuple):
        return all(map(is_dense, value))
    return not isinstance(value, torch.Tensor) or (value.layout == torch.strided and not value.is_nested)


def shown(call):
    def show(value):
        if isinstance(value, torch.Tensor):
            return f"t{tuple(value.shape)} of {name_of(value.dtype)}"
        return f"[{', '.join(map(show, value))}]" if isinstance(value, list | tuple) else repr(value)

    given = [*(call.made_with[0] if call.made_with else ()), *(call.arguments or ())]
    named = {**(call.made_with[1] if call.made_with else {}), **call.named}
    return ", ".join([*map(show, given), *(f"{name}={show(value)}" for name, value in named.items())])


# The two databases of torch.


@cache
def databases():
    """The entries of both databases by the name that they have in our table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
        from torch.testing._internal.common_modules import module_db
    entries = {}
    for info in op_db:
        if names_of(info):
            variant = f" ({info.variant_test_name})" if info.variant_test_name else ""
            entries[f"{info.name}{variant}"] = info
    for info in module_db:
        name = f"nn.{info.module_cls.__name__}"
        if f"torch.{name}" in every_op():
            entries[name] = info
    return entries


def names_of(info):
    """The names of our operations that an entry for a function is about, one for each operation."""
    if info.name == "__getitem__":
        return ["Tensor.__getitem__"]
    words = [info.name, *(alias.name for alias in info.aliases)]
    candidates = [f"torch.{word}" for word in words]
    if info.method_variant is not None:
        candidates += [f"Tensor.{word}" for word in words]
    if info.inplace_variant is not None:
        candidates += [f"Tensor.{word}_" for word in words]
    known = every_op()
    # A function before the method that is the same operation.
    return list({known[name].function: name for name in reversed(candidates) if name in known}.values())[::-1]


def operation(name):
    if name == "Tensor.__getitem__":
        return Op(subscript, (name,), (), False)
    return every_op()[name]


def calls_of_operation(info):
    for dtype in chosen(info.supported_dtypes("cpu")):
        for sample in info.sample_inputs("cpu", dtype):
            yield called(info, sample), "sample"
    # Some are made for other devices alone.
    for error in info.error_inputs("cpu") if info.error_inputs_func is not None else ():
        yield called(info, error.sample_input), "refusal"


# Samples for these are for a function of torch's tests, whose arguments stand in another order.
ORDERS = {
    "__getitem__": lambda x, index: (x, index if isinstance(index, tuple) else (index,)),
    "einsum": lambda tensors, equation: (equation, *tensors),
    "nn.functional.embedding": lambda weight, indices, *more: (indices, weight, *more),
    "nn.functional.embedding_bag": lambda weight, indices, *more: (indices, weight, *more),
}


def called(info, sample):
    arguments = (sample.input, *sample.args)
    return Call(ORDERS[info.name](*arguments) if info.name in ORDERS else arguments, sample.kwargs)


def calls_of_module(info):
    options = {"device": "cpu", "dtype": chosen(info.dtypes)[0], "requires_grad": False, "training": True}
    for sample in info.module_inputs_func(info, **options):
        if sample.forward_input is not None:
            yield made_call(sample), "sample"
    if info.module_error_inputs_func is not None:
        for error in info.module_error_inputs_func(info, **options):
            yield made_call(error.module_error_input), "refusal"


def made_call(sample):
    made, called = sample.constructor_input, sample.forward_input
    if called is None:
        return Call(None, {}, (made.args, made.kwargs))
    return Call(tuple(called.args), called.kwargs, (made.args, made.kwargs))


def alterations(calls):
    """Some of the calls, with one axis of one tensor longer, or of size 1, or with an axis more or less."""
    found = {}
    for call in calls[:: max(1, len(calls) // MOST)]:
        for key, value in [*enumerate(call.arguments), *call.named.items()]:
            if isinstance(value, torch.Tensor) and value.layout == torch.strided and value.numel() < 100_000:
                for other in altered(value.detach()):
                    arguments = tuple(other if place == key else each for place, each in enumerate(call.arguments))
                    named = {word: other if word == key else each for word, each in call.named.items()}
                    changed = Call(arguments, named, call.made_with)
                    found[shown(changed)] = (changed, "altered")
    return list(found.values())


def altered(value):
    for axis in range(value.dim()):
        yield torch.cat([value, value.narrow(axis, 0, 1)], axis) if value.shape[axis] else value
        if value.shape[axis] > 1:
            yield value.narrow(axis, 0, 1)
    yield value.unsqueeze(0)
    if value.dim() and len(value):
        yield value[0]


def chosen(dtypes):
    """A dtype of each kind, of those that an operation takes."""
    kinds = (torch.float32, torch.int64, torch.bool, torch.complex64)
    return [dtype for dtype in kinds if dtype in dtypes] or sorted(dtypes, key=str)[:1]


def measure(entry, info):
    """A row of the table, and what is contradicted."""
    random.seed(0)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    counts, wrong = Counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_module = hasattr(info, "module_cls")
        calls = calls_of_module(info) if is_module else calls_of_operation(info)
        # Of those that differ in their numbers alone, one will do.
        calls = list({shown(call): (call, kind) for call, kind in calls}.values())
        calls += alterations([call for call, kind in calls if kind == "sample"])
    for name in [f"torch.{entry}"] if is_module else names_of(info):
        wrong += compare_calls(name, operation(name), calls, counts)
    return {column: str(counts[column]) for column in COLUMNS}, wrong


@cache
def committed():
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="") as file:
        return {row.pop("name"): row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_the_table_has_every_operation_that_both_know(request):
    entries = databases()
    if request.config.getoption("--write-agreement", default=False):
        rows = [{"name": entry, **measure(entry, info)[0]} for entry, info in entries.items()]
        with TABLE.open("w", newline="") as file:
            writer = csv.DictWriter(file, ("name", *COLUMNS), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        committed.cache_clear()
    assert list(committed()) == list(entries)


@pytest.mark.slow
@pytest.mark.parametrize("entry", committed())
def test_nothing_contradicts_torch(entry, request):
    row, wrong = measure(entry, databases()[entry])
    assert not wrong, "\n".join(wrong)
    if not request.config.getoption("--write-agreement", default=False):
        assert row == committed()[entry], "pytest -m slow --write-agreement writes the table anew"
