"""Whose positions a value has: which values of the same rows and steps it is made of, and whether any were left out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from shapeguard.lint.binding import Binding, bindings_seen
from shapeguard.lint.losses import OF_ELEMENTS
from shapeguard.lint.masks import mask_of
from shapeguard.lint.reading import Reading, argument, is_self, last_name, number

_SAME = frozenset(
    "abs exp log log1p log2 clamp clamp_min clamp_max clip pow sqrt square neg float long int half double bfloat16 to"  # noqa: SIM905 - a list of so many words reads better so
    " type type_as bool detach clone contiguous cpu cuda sigmoid softmax log_softmax relu tanh nan_to_num round sign"
    " requires_grad_ dropout softplus logsigmoid gelu silu normalize layer_norm expm1 linear elu leaky_relu mul add sub"
    " div eq ne gt lt ge le minimum maximum where logical_and isclose float_power masked_fill".split()
)
"""Methods and functions that give a value with the same axes, of which the last may have another size."""
_LOSSES = frozenset({*OF_ELEMENTS, "kl_div"})
_REDUCTIONS = frozenset("sum mean max min argmax argmin logsumexp norm any all prod var std amax amin squeeze".split())  # noqa: SIM905
_RESHAPES = frozenset({"view", "reshape", "flatten", "transpose", "permute", "swapaxes", "movedim"})
_PICKS = frozenset({"masked_select", "nonzero", "masked_mean", "index_select"})
_LAST_AXES = frozenset({-1, 2})
_AVERAGES = re.compile(r"masked|^agg(regate)?_|mean_with_mask|_by_mask")
_LONGEST = 24

Root: TypeAlias = ast.AST | str


@dataclass(frozen=True, slots=True)
class Positions:
    """A value by what it is made of, element by element."""

    roots: dict[Root, int] = field(default_factory=dict)
    """Where the elements come from, and how many axes at the end were taken away since."""
    masks: frozenset[str] = frozenset()
    """The masks that it was multiplied with or filled by."""
    reshaped: bool = False
    """Whether its axes have another order or number."""

    def deeper(self, axes: int) -> Positions:
        """With so many axes fewer at the end."""
        return replace(self, roots={root: depth + axes for root, depth in self.roots.items()})

    def joined(self, other: Positions) -> Positions:
        """What an elementwise operation makes of both."""
        roots = dict(self.roots)
        for root, depth in other.roots.items():
            roots[root] = max(depth, roots.get(root, depth))
        return Positions(roots, self.masks | other.masks, self.reshaped or other.reshaped)


NOTHING = Positions()


def positions(file: Reading, node: ast.expr) -> Positions | None:
    """What a value is made of; None where positions were left out, or it isn't known whether they were."""
    return _Follower(file).of(node, _LONGEST)


class _Follower:
    """Follows a value to where it comes from."""

    def __init__(self, file: Reading) -> None:
        self.file = file
        self.seen: set[ast.AST] = set()

    def of(self, node: ast.expr, left: int) -> Positions | None:  # noqa: PLR0911 - one a form
        """What an expression is made of, in so many steps."""
        if left <= 0:
            return None
        match node:
            case ast.Constant():
                return NOTHING
            case ast.Name():
                return self._of_name(node, left - 1)
            case ast.UnaryOp(operand=operand):
                return self.of(operand, left - 1)
            case ast.BinOp(op=ast.MatMult()):
                return None
            case ast.BinOp(left=one, right=other):
                return self._joined([one, other], left - 1)
            case ast.Compare(left=one, comparators=others):
                return self._joined([one, *others], left - 1)
            case ast.Attribute():
                return self._of_attribute(node, left - 1)
            case ast.Subscript():
                return self._of_part(node, left - 1)
            case ast.Call():
                return self._of_call(node, left - 1)
        return None

    def _joined(self, nodes: list[ast.expr], left: int) -> Positions | None:
        found = NOTHING
        for node in nodes:
            mask = mask_of(self.file, node)
            made = Positions(masks=frozenset({mask.name})) if mask is not None else self.of(node, left)
            if made is None:
                return None
            found = found.joined(made)
        return found

    def _of_name(self, name: ast.Name, left: int) -> Positions | None:
        binding = self.file.definition(name)
        bound = bindings_seen(self.file, name) if binding is None else [binding]
        if not bound:
            return None
        found = NOTHING
        for each in bound:
            made = self._of_binding(each, left)
            if made is None:
                return None
            found = found.joined(made)
        return found

    def _of_binding(self, binding: Binding, left: int) -> Positions | None:
        target = binding.target
        if target in self.seen:
            return NOTHING
        match binding.statement:
            case ast.AugAssign(value=value) as changed:
                self.seen.add(target)
                return self._joined([value], left) if not isinstance(changed.op, ast.MatMult) else None
            case ast.arg() | ast.For() | ast.AsyncFor():
                return Positions({target: 0})
        if binding.value is None:
            return None
        if binding.index is not None:
            return self._of_item(binding, left)
        self.seen.add(target)
        found = self.of(binding.value, left)
        self.seen.discard(target)
        return None if found is None else found.joined(Positions({target: 0}))

    def _of_item(self, binding: Binding, left: int) -> Positions | None:
        """One of several values that a call gives: of a maximum along an axis, the maximum."""
        value = binding.value
        if isinstance(value, ast.Call) and last_name(value.func) in {"max", "min", "topk", "sort"}:
            return self._of_call(value, left)
        return Positions({binding.target: 0}) if isinstance(value, ast.Call | ast.Name) else None

    def _of_attribute(self, node: ast.Attribute, left: int) -> Positions | None:
        match node:
            case ast.Attribute(value=ast.Call() as call, attr="values" | "indices"):
                return self._of_call(call, left)
            case ast.Attribute(value=inner, attr="data"):
                return self.of(inner, left)
            case ast.Attribute(value=ast.Name(id="self")):
                return NOTHING
        return Positions({self.file.text(node): 0}) if isinstance(node.value, ast.Name) else None

    def _of_part(self, node: ast.Subscript, left: int) -> Positions | None:
        match node:
            case ast.Subscript(value=ast.Name() | ast.Attribute(), slice=ast.Constant(value=str())):
                return Positions({self.file.text(node): 0})
            case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=0 | 1)):
                return self._of_call(call, left) if last_name(call.func) in {"max", "min"} else None
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        inner = self.of(node.value, left)
        if inner is None:
            return None
        axes = sum(_taken(place, each) for place, each in enumerate(parts))
        return inner.deeper(axes) if all(_is_kept(place, each) for place, each in enumerate(parts)) else None

    def _of_call(self, call: ast.Call, left: int) -> Positions | None:  # noqa: PLR0911 - one a kind of call
        name = last_name(call.func)
        full = self.file.full_name(call.func)
        is_method = full is None and isinstance(call.func, ast.Attribute)
        if full is not None and full.partition(".")[0] != "torch":
            return self._of_function(call)
        if is_method and isinstance(call.func, ast.Attribute) and is_self(call.func.value):
            return self._of_function(call)
        owner = call.func.value if is_method and isinstance(call.func, ast.Attribute) else None
        given = [*([] if owner is None else [owner]), *call.args]
        if (full is None and not is_method) or not given:
            return self._of_function(call)
        if name in _SAME | _LOSSES:
            return self._same(call, name, given, left)
        if name in _REDUCTIONS:
            return self._reduced(given, call, left)
        if name in {"entropy", "log_prob"} and is_method:
            return self._of_distribution(given[0], left)
        if name in {"view", "reshape"} and len(call.args) > 1 and all(number(each) == 1 for each in call.args[1:]):
            return NOTHING  # a number for each row
        if name in _RESHAPES:
            inner = self.of(given[0], left)
            return None if inner is None else replace(inner, reshaped=True)
        return self._moved(name, given, call, left)

    def _same(self, call: ast.Call, name: str, given: list[ast.expr], left: int) -> Positions | None:
        reduction = next((each.value for each in call.keywords if each.arg == "reduction"), None)
        if name in _LOSSES and not (isinstance(reduction, ast.Constant) and reduction.value == "none"):
            return None
        if name in {"to", "type", "softmax", "log_softmax", "dropout", "clamp", "normalize", "layer_norm", "linear"}:
            given = given[:1]
        keywords = [each.value for each in call.keywords if each.arg in {"input", "target", "other"}]
        return self._joined([*given, *keywords], left)

    def _of_distribution(self, node: ast.expr, left: int) -> Positions | None:
        """What `Categorical(logits=logits)` says of each choice."""
        made = self.file.origin(node)
        if not isinstance(made, ast.Call) or last_name(made.func) != "Categorical":
            return None
        inner = [*made.args[:1], *(each.value for each in made.keywords if each.arg in {"probs", "logits"})]
        found = self.of(inner[0], left) if inner else None
        return None if found is None else found.deeper(1)

    def _reduced(self, given: list[ast.expr], call: ast.Call, left: int) -> Positions | None:
        inner = self.of(given[0], left)
        place = given[1] if len(given) > 1 else None
        place = place or next((each.value for each in call.keywords if each.arg in {"dim", "axis"}), None)
        if last_name(call.func) in {"max", "min"} and place is not None and number(place) is None:
            return self._joined(given[:2], left)
        if inner is not None and place is None and last_name(call.func) != "squeeze":
            return NOTHING
        if inner is None or number(place) not in _LAST_AXES or inner.reshaped:
            return None
        kept = any(each.arg == "keepdim" for each in call.keywords)
        return inner.deeper(0 if kept else 1)

    def _moved(self, name: str, given: list[ast.expr], call: ast.Call, left: int) -> Positions | None:
        if name == "gather" and number(given[1] if len(given) > 1 else argument(call, 9, "dim")) in _LAST_AXES:
            return self.of(given[0], left)
        if name == "unsqueeze" and number(given[1] if len(given) > 1 else argument(call, 9, "dim")) in _LAST_AXES:
            inner = self.of(given[0], left)
            return None if inner is None else inner.deeper(-1)
        if name in {"zeros_like", "ones_like"}:
            return NOTHING
        if name in {"rand_like", "randn_like"}:
            return self.of(given[0], left)
        if name == "cross_entropy" and _is_unreduced(call):
            target = argument(call, 1, "target")
            return None if target is None else self.of(target, left)
        return None if name in _PICKS or self.file.full_name(call.func) is not None else Positions({call: 0})

    def _of_function(self, call: ast.Call) -> Positions | None:
        """What a layer or a function gives: a value of its own."""
        name = last_name(call.func)
        if name in _PICKS or "pool" in name or any(isinstance(each, ast.Starred) for each in call.args):
            return None
        if name in {"float", "int", "len", "sum", "max", "min"}:
            return NOTHING
        if any(mask_of(self.file, each) is not None for each in (*call.args, *(each.value for each in call.keywords))):
            return None  # what a mask is handed to may have used it
        return Positions({call: 0})


def _is_unreduced(call: ast.Call) -> bool:
    reduction = next((each.value for each in call.keywords if each.arg == "reduction"), None)
    return isinstance(reduction, ast.Constant) and reduction.value == "none"


def _is_kept(place: int, index: ast.expr) -> bool:
    """Whether a part of a subscript leaves the rows and steps what they are, but for some at the ends."""
    match index:
        case ast.Slice(step=None):
            return True
        case ast.Constant(value=value):
            return value is ... or (value is None and place > 0) or _taken(place, index) > 0
    return _taken(place, index) > 0


def _taken(place: int, index: ast.expr) -> int:
    """How many axes at the end one part of a subscript takes away."""
    if isinstance(index, ast.Constant) and index.value is None:
        return -1
    return 1 if place == 2 and number(index) is not None else 0  # noqa: PLR2004 - the axis after rows and steps


@dataclass(frozen=True, slots=True)
class Aligned:
    """What a mask is put on in a function."""

    roots: dict[Root, int]
    """How many axes may be taken from the end of each before the mask's own are."""
    exact: frozenset[Root]
    """Those of which it is sure that no axis more may be."""


def aligned(file: Reading, name: str, scope: ast.AST) -> Aligned:
    """The values that a mask is put on in a function."""
    found: dict[Root, int] = {}
    exact: set[Root] = set()
    for node, other, direct in _pairs(scope):
        mask = None if isinstance(other, ast.Slice | ast.Tuple | ast.Constant) else mask_of(file, other)
        if mask is None or mask.name != name or mask_of(file, node) is not None:
            continue
        made = positions(file, node)
        if made is None or made.reshaped:
            continue
        for root, depth in made.roots.items():
            found[root] = max(found.get(root, -9), depth + mask.spread)
            exact |= {root} if direct else set()
    return Aligned(found, frozenset(exact))


def _pairs(scope: ast.AST) -> Iterator[tuple[ast.expr, ast.expr, bool]]:
    """What a mask may be multiplied with, pick from, fill, or be handed on beside."""
    for node in ast.walk(scope):
        match node:
            case ast.BinOp(left=one, op=ast.Mult() | ast.BitAnd(), right=other):
                yield one, other, True
                yield other, one, True
            case ast.AugAssign(target=ast.Name() as one, op=ast.Mult(), value=other):
                yield one, other, True
            case ast.Subscript(value=one, slice=other):
                yield one, other, False
            case ast.Call(
                func=ast.Attribute(value=one, attr="masked_fill" | "masked_select" | "mul"), args=[other, *_]
            ):
                yield one, other, True
            case ast.Call(func=ast.Attribute(attr="where"), args=[other, one, *_]):
                yield one, other, True
            case ast.Call(func=func) if _AVERAGES.search(last_name(func)):
                values = [*node.args, *(each.value for each in node.keywords)]
                yield from ((values[0], each, False) for each in values[1:])
