"""What guard.py measures: functions, the checks that others would put around them, a right call and a wrong one."""

# ruff: noqa: PLR2004 - the ranks in the checks by hand are meant as they stand

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import dltype
import torch
from beartype import beartype
from jaxtyping import Float, Int, jaxtyped
from torch import Tensor, nn

from shapeguard import guard
from shapeguard.runtime.mode import Mode

FLOATS = frozenset(
    value for value in vars(torch).values() if isinstance(value, torch.dtype) and value.is_floating_point
)
INTEGERS = frozenset({torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64})

AGAIN = "bare again"


@dataclass
class Case:
    """One function, the checks that others would put around it, a call that is fine and one that isn't."""

    name: str
    bare: Callable[..., Any]
    by_hand: Callable[..., Any]
    with_dltype: Callable[..., Any] | str
    """A text says why dltype can't check this."""
    arguments: tuple[Any, ...]
    wrong: tuple[Any, ...]
    jaxtyped: Callable[..., Any] | None = None
    guarded: Callable[..., Any] | None = None

    def contestants(self) -> dict[str, tuple[Callable[..., Any], Mode]]:
        """Every way to call the function, with the mode in which it is called; the bare function comes first."""
        jaxtyped_one = self.jaxtyped or jaxtyped(typechecker=beartype)(self.bare)
        guarded = self.guarded or guard(self.bare)
        found: dict[str, tuple[Callable[..., Any] | str, Mode]] = {
            "bare": (self.bare, "on"),
            AGAIN: (self.bare, "on"),
            "by hand": (self.by_hand, "on"),
            "jaxtyped": (jaxtyped_one, "on"),
            "dltype": (self.with_dltype, "on"),
            "guard": (guarded, "on"),
            "once": (guarded, "once"),
            "switch off": (guarded, "off"),
            "mode=off": (guard(self.bare, mode="off"), "on"),
        }
        return {name: (call, mode) for name, (call, mode) in found.items() if not isinstance(call, str)}


def refuse(name: str, value: object) -> NoReturn:
    """End a check by hand; it is called only when something is wrong, so it costs nothing."""
    message = f"{name} doesn't fit: {getattr(value, 'dtype', type(value))} {getattr(value, 'shape', '')}"
    raise ValueError(message)


def two_vectors() -> Case:
    scalar = torch.tensor(0.5)

    def bare(chosen: Float[Tensor, "batch"], rejected: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
        return scalar

    def by_hand(chosen, rejected):
        if not isinstance(chosen, Tensor) or chosen.dtype not in FLOATS or len(shape := chosen.shape) != 1:
            refuse("chosen", chosen)
        if not isinstance(rejected, Tensor) or rejected.dtype not in FLOATS or rejected.shape != shape:
            refuse("rejected", rejected)
        result = scalar
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.ndim != 0:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        chosen: Annotated[Tensor, dltype.FloatTensor["batch"]],
        rejected: Annotated[Tensor, dltype.FloatTensor["batch"]],
    ) -> Annotated[Tensor, dltype.FloatTensor[None]]:
        return scalar

    vectors = torch.randn(2, 8)
    wrong = (vectors[0], vectors[1, :5])
    return Case("2 tensors of 1 axis", bare, by_hand, with_dltype, (vectors[0], vectors[1]), wrong)


def four_tensors() -> Case:
    out = torch.randn(2, 5, 11)

    def bare(
        query: Float[Tensor, "b t d"],
        key: Float[Tensor, "b s d"],
        value: Float[Tensor, "b s e"],
        bias: Float[Tensor, "b t s"],
    ) -> Float[Tensor, "b t e"]:
        return out

    def by_hand(query, key, value, bias):
        if not isinstance(query, Tensor) or query.dtype not in FLOATS or len(shape := query.shape) != 3:
            refuse("query", query)
        b, t, d = shape
        if not isinstance(key, Tensor) or key.dtype not in FLOATS or len(shape := key.shape) != 3:
            refuse("key", key)
        s = shape[1]
        if shape[0] != b or shape[2] != d:
            refuse("key", key)
        if not isinstance(value, Tensor) or value.dtype not in FLOATS or len(shape := value.shape) != 3:
            refuse("value", value)
        e = shape[2]
        if shape[0] != b or shape[1] != s:
            refuse("value", value)
        if not isinstance(bias, Tensor) or bias.dtype not in FLOATS or bias.shape != (b, t, s):
            refuse("bias", bias)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != (b, t, e):
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        query: Annotated[Tensor, dltype.FloatTensor["b t d"]],
        key: Annotated[Tensor, dltype.FloatTensor["b s d"]],
        value: Annotated[Tensor, dltype.FloatTensor["b s e"]],
        bias: Annotated[Tensor, dltype.FloatTensor["b t s"]],
    ) -> Annotated[Tensor, dltype.FloatTensor["b t e"]]:
        return out

    query, key, value, bias = torch.randn(2, 5, 3), torch.randn(2, 7, 3), torch.randn(2, 7, 11), torch.randn(2, 5, 7)
    wrong = (query, key, value, bias.transpose(1, 2))
    return Case("4 tensors of 3 axes", bare, by_hand, with_dltype, (query, key, value, bias), wrong)


def variadic() -> Case:
    out = torch.randn(2, 3, 5)

    def bare(x: Float[Tensor, "*batch d"], weight: Float[Tensor, "d"]) -> Float[Tensor, "*batch d"]:
        return out

    def by_hand(x, weight):
        if not isinstance(x, Tensor) or x.dtype not in FLOATS or not (shape := x.shape):
            refuse("x", x)
        if not isinstance(weight, Tensor) or weight.dtype not in FLOATS or weight.shape != (shape[-1],):
            refuse("weight", weight)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != shape:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        x: Annotated[Tensor, dltype.FloatTensor["*batch d"]],
        weight: Annotated[Tensor, dltype.FloatTensor["d"]],
    ) -> Annotated[Tensor, dltype.FloatTensor["*batch d"]]:
        return out

    arguments, wrong = (torch.randn(2, 3, 5), torch.randn(5)), (torch.randn(2, 3, 5), torch.randn(3))
    return Case('variadic "*batch d"', bare, by_hand, with_dltype, arguments, wrong)


def broadcast() -> Case:
    out = torch.randn(2, 3)

    def bare(x: Float[Tensor, "b d"], bias: Float[Tensor, "#b d"]) -> Float[Tensor, "b d"]:
        return out

    def by_hand(x, bias):
        if not isinstance(x, Tensor) or x.dtype not in FLOATS or len(shape := x.shape) != 2:
            refuse("x", x)
        if not isinstance(bias, Tensor) or bias.dtype not in FLOATS:
            refuse("bias", bias)
        if (bias_shape := bias.shape) != shape and bias_shape != (1, shape[1]):
            refuse("bias", bias)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != shape:
            refuse("the result", result)
        return result

    why = "dltype has no axis that may be 1"
    arguments, wrong = (torch.randn(2, 3), torch.randn(1, 3)), (torch.randn(2, 3), torch.randn(4, 3))
    return Case('broadcast "#b d"', bare, by_hand, why, arguments, wrong)


def symbolic() -> Case:
    out = torch.randn(2, 3)

    def bare(x: Float[Tensor, "b d"], gates: Float[Tensor, "b 2*d"]) -> Float[Tensor, "b d"]:
        return out

    def by_hand(x, gates):
        if not isinstance(x, Tensor) or x.dtype not in FLOATS or len(shape := x.shape) != 2:
            refuse("x", x)
        if not isinstance(gates, Tensor) or gates.dtype not in FLOATS or gates.shape != (shape[0], 2 * shape[1]):
            refuse("gates", gates)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != shape:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        x: Annotated[Tensor, dltype.FloatTensor["b d"]],
        gates: Annotated[Tensor, dltype.FloatTensor["b 2*d"]],
    ) -> Annotated[Tensor, dltype.FloatTensor["b d"]]:
        return out

    arguments, wrong = (torch.randn(2, 3), torch.randn(2, 6)), (torch.randn(2, 3), torch.randn(2, 5))
    return Case('symbolic "b 2*d"', bare, by_hand, with_dltype, arguments, wrong)


def optional() -> Case:
    out = torch.randn(2, 3)

    def bare(x: Float[Tensor, "b d"], mask: Float[Tensor, "b"] | None = None) -> Float[Tensor, "b d"]:
        return out

    def by_hand(x, mask=None):
        if not isinstance(x, Tensor) or x.dtype not in FLOATS or len(shape := x.shape) != 2:
            refuse("x", x)
        if mask is not None and (not isinstance(mask, Tensor) or mask.dtype not in FLOATS or mask.shape != (shape[0],)):
            refuse("mask", mask)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != shape:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        x: Annotated[Tensor, dltype.FloatTensor["b d"]],
        mask: Annotated[Tensor, dltype.FloatTensor["b"]] | None = None,
    ) -> Annotated[Tensor, dltype.FloatTensor["b d"]]:
        return out

    arguments, wrong = (torch.randn(2, 3), torch.randn(2)), (torch.randn(2, 3), torch.randn(3))
    return Case("optional, given", bare, by_hand, with_dltype, arguments, wrong)


def list_of_tensors() -> Case:
    out = torch.randn(2, 3)

    def bare(parts: list[Float[Tensor, "b d"]]) -> Float[Tensor, "b d"]:
        return out

    def by_hand(parts):
        if not isinstance(parts, list):
            refuse("parts", parts)
        shape = None
        for part in parts:
            if not isinstance(part, Tensor) or part.dtype not in FLOATS:
                refuse("a part", part)
            if shape is None:
                if len(shape := part.shape) != 2:
                    refuse("a part", part)
            elif part.shape != shape:
                refuse("a part", part)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS:
            refuse("the result", result)
        if result.ndim != 2 if shape is None else result.shape != shape:
            refuse("the result", result)
        return result

    why = "dltype doesn't look into lists"
    arguments, wrong = ([torch.randn(2, 3) for _ in range(4)],), ([*torch.randn(3, 2, 3), torch.randn(4, 3)],)
    return Case("list of 4 tensors", bare, by_hand, why, arguments, wrong)


def dict_of_tensors() -> Case:
    out = torch.randn(2, 3)

    def bare(parts: dict[str, Float[Tensor, "b d"]]) -> Float[Tensor, "b d"]:
        return out

    def by_hand(parts):
        if not isinstance(parts, dict):
            refuse("parts", parts)
        shape = None
        for key, part in parts.items():
            if not isinstance(key, str) or not isinstance(part, Tensor) or part.dtype not in FLOATS:
                refuse("a part", part)
            if shape is None:
                if len(shape := part.shape) != 2:
                    refuse("a part", part)
            elif part.shape != shape:
                refuse("a part", part)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS:
            refuse("the result", result)
        if result.ndim != 2 if shape is None else result.shape != shape:
            refuse("the result", result)
        return result

    why = "dltype doesn't look into dicts"
    arguments = ({name: torch.randn(2, 3) for name in "abcd"},)
    wrong = ({**arguments[0], "d": torch.randn(4, 3)},)
    return Case("dict of 4 tensors", bare, by_hand, why, arguments, wrong)


def batch_class() -> type:
    @dataclass
    class Batch:
        inputs: Float[Tensor, "b d"]
        weights: Float[Tensor, "b"]

    return Batch


def dataclass_made() -> Case:
    @dataclass
    class BatchByHand:
        inputs: Tensor
        weights: Tensor

        def __post_init__(self) -> None:
            inputs, weights = self.inputs, self.weights
            if not isinstance(inputs, Tensor) or inputs.dtype not in FLOATS or len(shape := inputs.shape) != 2:
                refuse("inputs", inputs)
            if not isinstance(weights, Tensor) or weights.dtype not in FLOATS or weights.shape != (shape[0],):
                refuse("weights", weights)

    @dltype.dltyped_dataclass()
    @dataclass
    class BatchWithDltype:
        inputs: Annotated[Tensor, dltype.FloatTensor["b d"]]
        weights: Annotated[Tensor, dltype.FloatTensor["b"]]

    return Case(
        "dataclass, made",
        batch_class(),
        BatchByHand,
        BatchWithDltype,
        (torch.randn(2, 3), torch.randn(2)),
        (torch.randn(2, 3), torch.randn(3)),
        jaxtyped=jaxtyped(typechecker=beartype)(batch_class()),
        guarded=guard(batch_class()),
    )


def dataclass_passed() -> Case:
    out = torch.randn(2, 3)
    batch_type: Any = batch_class()

    def bare(batch: batch_type) -> Float[Tensor, "b d"]:
        return out

    def by_hand(batch):
        if not isinstance(batch, batch_type):
            refuse("batch", batch)
        inputs, weights = batch.inputs, batch.weights
        if not isinstance(inputs, Tensor) or inputs.dtype not in FLOATS or len(shape := inputs.shape) != 2:
            refuse("inputs", inputs)
        if not isinstance(weights, Tensor) or weights.dtype not in FLOATS or weights.shape != (shape[0],):
            refuse("weights", weights)
        result = out
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != shape:
            refuse("the result", result)
        return result

    why = "dltype checks a dataclass when it is made, not where it is passed"
    arguments, wrong = (batch_type(out, torch.randn(2)),), (batch_type(out, torch.randn(3)),)
    return Case("dataclass, passed", bare, by_hand, why, arguments, wrong)


# Real bodies, for which a share of the body's own time counts


def reward_head() -> Case:
    head = nn.Linear(768, 1)

    def bare(hidden: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch"]:
        return head(hidden[:, -1]).squeeze(-1)

    def by_hand(hidden):
        if not isinstance(hidden, Tensor) or hidden.dtype not in FLOATS or len(shape := hidden.shape) != 3:
            refuse("hidden", hidden)
        result = head(hidden[:, -1]).squeeze(-1)
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.shape != (shape[0],):
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        hidden: Annotated[Tensor, dltype.FloatTensor["batch seq hidden"]],
    ) -> Annotated[Tensor, dltype.FloatTensor["batch"]]:
        return head(hidden[:, -1]).squeeze(-1)

    arguments, wrong = (torch.randn(8, 128, 768),), (torch.randn(2, 8, 128, 768),)
    return Case("reward head", bare, by_hand, with_dltype, arguments, wrong)


def bradley_terry() -> Case:
    logsigmoid = nn.functional.logsigmoid

    def bare(chosen: Float[Tensor, "batch"], rejected: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
        return -logsigmoid(chosen - rejected).mean()

    def by_hand(chosen, rejected):
        if not isinstance(chosen, Tensor) or chosen.dtype not in FLOATS or len(shape := chosen.shape) != 1:
            refuse("chosen", chosen)
        if not isinstance(rejected, Tensor) or rejected.dtype not in FLOATS or rejected.shape != shape:
            refuse("rejected", rejected)
        result = -logsigmoid(chosen - rejected).mean()
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.ndim != 0:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        chosen: Annotated[Tensor, dltype.FloatTensor["batch"]],
        rejected: Annotated[Tensor, dltype.FloatTensor["batch"]],
    ) -> Annotated[Tensor, dltype.FloatTensor[None]]:
        return -logsigmoid(chosen - rejected).mean()

    arguments, wrong = (torch.randn(64), torch.randn(64)), (torch.randn(64), torch.randn(64, 1))
    return Case("Bradley-Terry loss", bare, by_hand, with_dltype, arguments, wrong)


def lstm() -> Case:
    layer = nn.LSTM(64, 64, batch_first=True)

    def bare(x: Float[Tensor, "batch seq features"]) -> Float[Tensor, "batch seq hidden"]:
        return layer(x)[0]

    def by_hand(x):
        if not isinstance(x, Tensor) or x.dtype not in FLOATS or len(shape := x.shape) != 3:
            refuse("x", x)
        result = layer(x)[0]
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or len(result_shape := result.shape) != 3:
            refuse("the result", result)
        if result_shape[0] != shape[0] or result_shape[1] != shape[1]:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        x: Annotated[Tensor, dltype.FloatTensor["batch seq features"]],
    ) -> Annotated[Tensor, dltype.FloatTensor["batch seq hidden"]]:
        return layer(x)[0]

    return Case("LSTM forward", bare, by_hand, with_dltype, (torch.randn(4, 32, 64),), (torch.randn(32, 64),))


def cross_entropy() -> Case:
    loss_of = nn.functional.cross_entropy

    def bare(logits: Float[Tensor, "batch seq vocab"], labels: Int[Tensor, "batch seq"]) -> Float[Tensor, ""]:
        return loss_of(logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))

    def by_hand(logits, labels):
        if not isinstance(logits, Tensor) or logits.dtype not in FLOATS or len(shape := logits.shape) != 3:
            refuse("logits", logits)
        if not isinstance(labels, Tensor) or labels.dtype not in INTEGERS or labels.shape != (shape[0], shape[1]):
            refuse("labels", labels)
        result = loss_of(logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))
        if not isinstance(result, Tensor) or result.dtype not in FLOATS or result.ndim != 0:
            refuse("the result", result)
        return result

    @dltype.dltyped()
    def with_dltype(
        logits: Annotated[Tensor, dltype.FloatTensor["batch seq vocab"]],
        labels: Annotated[Tensor, dltype.IntTensor["batch seq"]],
    ) -> Annotated[Tensor, dltype.FloatTensor[None]]:
        return loss_of(logits[:, :-1].reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))

    logits = torch.randn(2, 64, 1000)
    labels = torch.randint(1000, (2, 64))
    # 127 labels in one row: without the first of them, as many as 2 rows of logits without their last.
    wrong = torch.randint(1000, (1, 127))
    return Case("shifted cross-entropy", bare, by_hand, with_dltype, (logits, labels), (logits, wrong))


SMALL = (
    two_vectors,
    four_tensors,
    variadic,
    broadcast,
    symbolic,
    optional,
    list_of_tensors,
    dict_of_tensors,
    dataclass_made,
    dataclass_passed,
)
REAL = (reward_head, bradley_terry, lstm, cross_entropy)
COMPILED = (bradley_terry, reward_head)
