"""One axis taken for another: by a softmax, a mask, an operand that is lined up elsewhere, or an einsum's letters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.diagnostics import Edit, Fix
from shapeguard.infer.silent import Part, Suspect, Verdict
from shapeguard.infer.sources import Sources
from shapeguard.infer.steps import BATCHES, is_module, text_of
from shapeguard.infer.weights import MASKS, axis_of, operands_of
from shapeguard.shapes.dim import Dim, names
from shapeguard.shapes.shape import Shape
from shapeguard.source.file import Source

_CODE = ("SG703", "axis-mixup")
_DEEPEST = 12
_PAIR = 2
_COUNTS = frozenset({"n", "num", "self", "config", "cfg", "number", "of", "total"})
"""Words in names of sizes that say nothing of what is counted."""
_FEATURES = frozenset({
    "d", "dim", "c", "ch", "channels", "hidden", "hidden_size", "hidden_dim", "features", "feat", "feature", "d_model",
    "embed_dim", "emb", "emb_dim", "in_dim", "out_dim", "data_dim", "num_features", "n_features", "latent", "latent_dim",
})  # fmt: skip
"""What code calls the number of features."""


def judge_mask(suspect: Suspect, sources: Sources) -> Verdict | None:
    """A mask that is the same along the axis of the softmax behind it."""
    scores, mask = suspect.parts
    for softmax in _softmaxes(suspect.node, sources, 0):
        given = axis_of(softmax)
        rank = scores.shape.rank or 0
        if given is None or (given[0] if given[0] < 0 or not rank else given[0] - rank) != -1:
            continue
        message = (
            f"`{text_of(mask.node)}` masks whole rows of `{text_of(scores.node)}`: its last axis is 1, "
            "and the softmax behind it is over that axis"
        )
        notes = (*suspect.notes, f"the softmax is on line {softmax.lineno}: {text_of(softmax)}")
        axes = mask.shape.axes or ()
        turned = Shape((*axes[:-2], axes[-1], axes[-2]))
        hint = f"`{text_of(mask.node)}.transpose(-2, -1)` is {turned}" if isinstance(mask.node, ast.Name) else None
        return Verdict(*_CODE, message, notes, hint)
    return None


def _softmaxes(node: ast.expr, sources: Sources, depth: int) -> Iterator[ast.Call]:
    """The softmaxes that masked scores go into."""
    if depth > _DEEPEST:
        return
    for _, around in sources.uses(node):
        name = getattr(getattr(around, "func", None), "attr", "")
        if isinstance(around, ast.Call) and name == "softmax":
            yield around
        elif (isinstance(around, ast.Call) and name in MASKS) or (
            isinstance(around, ast.BinOp) and isinstance(around.op, ast.Add)
        ):
            yield from _softmaxes(around, sources, depth + 1)


def judge_alignment(suspect: Suspect, source: Source) -> Verdict | None:
    """Operands whose axes bear the same names, and aren't lined up by them."""
    shorter, longer = sorted(suspect.parts, key=lambda part: (len(part.shape.axes or ()), _named(part.shape)))
    places = _places(shorter.shape, longer.shape)
    if places is None:
        return None
    sizes = shorter.shape.sizes or ()
    rank = len(longer.shape.axes or ())
    lined = [place + rank - len(sizes) for place in range(len(sizes))]
    wrong = [
        (size, (longer.shape.sizes or ())[lined[at]])
        for at, size in enumerate(sizes)
        if places.get(at, lined[at]) != lined[at]
    ]
    size, other = next((pair for pair in wrong if pair[1] != 1), (None, None))
    if size is None or other is None:
        return None
    message = (
        f"`{text_of(shorter.node)}` meets `{text_of(longer.node)}` with its axis {size} on {other}, "
        f"which has a {size} elsewhere: {shorter.shape} with {longer.shape}"
    )
    wanted = Shape.of(*(sizes[at] if (at := _at(places, place)) is not None else 1 for place in range(rank)))
    hint, fix = _placed(shorter, wanted, source)
    # A first axis of 1 that is written out tells that the author had the rows of a square in mind.
    is_told = _is_batch(size) and str(other).lower() in _FEATURES
    return Verdict(*_CODE, message, suspect.notes, hint, fix, preview=sizes[0] == 1 and not is_told)


def _is_batch(size: Dim) -> bool:
    return str(size) in BATCHES or str(size) in {"n", "N"}


def judge_alike(suspect: Suspect) -> Verdict:
    """A value with an axis put in that meets itself, with the axis at the same place."""
    assert isinstance(suspect.node, ast.BinOp)
    message = f"`{text_of(suspect.node.left)}` meets itself: the axis is put in at the same place on both sides"
    return Verdict(*_CODE, message, suspect.notes)


def _named(shape: Shape) -> int:
    return sum(size is not None and size != 1 for size in shape.sizes or ())


def _at(places: dict[int, int], place: int) -> int | None:
    return next((at for at, wanted in places.items() if wanted == place), None)


def _places(shorter: Shape, longer: Shape) -> dict[int, int] | None:
    """For each axis of the shorter that isn't 1, the one axis of the longer that has its size, if those are in order."""
    sizes, others = shorter.sizes or (), longer.sizes or ()
    found: dict[int, int] = {}
    for at, size in enumerate(sizes):
        if size == 1:
            continue
        if size is None or not _is_name(size) or others.count(size) != 1 or sizes.count(size) != 1:
            return None
        found[at] = others.index(size)
    wanted = list(found.values())
    if not wanted or wanted != sorted(wanted) or _named(longer) <= len(wanted) or None in others:
        return None
    return found


def _is_name(size: Dim) -> bool:
    return str(size) in names(size)


def _placed(shorter: Part, wanted: Shape, source: Source) -> tuple[str | None, Fix | None]:
    """The operand with its axes put where their names stand."""
    node = shorter.node
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "unsqueeze"
        and not is_module(node.func.value)
        and sum(size == 1 for size in shorter.shape.sizes or ()) == 1
    ):
        node = node.func.value
    elif any(size == 1 for size in shorter.shape.sizes or ()):
        return None, None
    if not isinstance(node, ast.Name | ast.Attribute | ast.Call):
        return None, None
    index = ["None" if size == 1 else ":" for size in wanted.sizes or ()]
    while index and index[0] == "None":
        index.pop(0)
    text = text_of(node) if set(index) == {":"} else f"{text_of(node)}[{', '.join(index)}]"
    fix = Fix(f"Put the axes where their names stand: `{text}`", (Edit(source.span_of(shorter.node), text),))
    return f"`{text}` lines up as {wanted}", None if source.cells else fix


def judge_letters(suspect: Suspect, source: Source) -> Verdict | None:
    """An einsum whose letters stand in another order than its operands' axes, or whose operands do."""
    node = suspect.node
    assert isinstance(node, ast.Call)
    equation = node.args[0]
    if not isinstance(equation, ast.Constant) or not isinstance(equation.value, str):
        return None
    inputs = equation.value.replace(" ", "").partition("->")[0].split(",")
    operands = operands_of(node)
    if len(inputs) != len(operands):
        return None
    swapped = _swapped(inputs, operands)
    if swapped:
        first, second = map(text_of, operands)
        message = f'"{equation.value}" has its `q` in `{first}` and its `k` in `{second}`'
        edits = (Edit(source.span_of(operands[0]), second), Edit(source.span_of(operands[1]), first))
        fix = Fix("Exchange the operands", edits)
        return Verdict(
            *_CODE,
            message,
            suspect.notes,
            f"`{second}, {first}` is the order of the letters",
            None if source.cells else fix,
        )
    known = {
        part.node: [str(size) for size in part.shape.sizes or ()]
        for part in suspect.parts
        if part.node in operands and "." not in inputs[operands.index(part.node)]
    }
    for operand, sizes in known.items():
        letters = inputs[operands.index(operand)]
        if len(letters) != len(sizes):
            continue
        wrong = [(a, b) for a, b in zip(letters, sizes, strict=True) if a != b and a in sizes and b in letters]
        others = [(inputs[operands.index(other)], known[other]) for other in known if other is not operand]
        if len(wrong) >= _PAIR or _are_exchanged(letters, sizes, others):
            said, are = ", ".join(letters), ", ".join(sizes)
            message = f'"{equation.value}" calls the axes of `{text_of(operand)}` {said}, and they are {are}'
            return Verdict(*_CODE, message, suspect.notes)
    return None


def _are_exchanged(letters: str, sizes: list[str], others: list[tuple[str, list[str]]]) -> bool:
    """Whether two letters name each other's axis, and another operand has one of them where it belongs."""
    for place, letter in enumerate(letters):
        for far in range(place + 1, len(letters)):
            both = _names(letter, sizes[far]) and _names(letters[far], sizes[place])
            if not both or _names(letter, sizes[place]) or _names(letters[far], sizes[far]):
                continue
            for more, shape in others:
                pairs = [*zip(more, shape, strict=False)] if len(more) == len(shape) else []
                if any(pair in ((letter, sizes[far]), (letters[far], sizes[place])) for pair in pairs):
                    return True
    return False


def _names(letter: str, size: str) -> bool:
    """Whether a letter is short for the name of a size: `e` for `num_experts`."""
    words = [word for word in re.split(r"[._]", size.lower()) if word and word not in _COUNTS]
    return bool(words) and size.replace("_", "").replace(".", "").isalnum() and words[0][0] == letter.lower()


def _swapped(inputs: list[str], operands: list[ast.expr]) -> bool:
    if len(operands) != _PAIR or not all(isinstance(operand, ast.Name) for operand in operands):
        return False
    first, second = inputs
    if "q" not in first or "q" in second or "k" not in second or "k" in first:
        return False
    left, right = (operand.id.lower() for operand in operands if isinstance(operand, ast.Name))
    return _is_called(left, "k", "key") and _is_called(right, "q", "quer")


def _is_called(name: str, letter: str, word: str) -> bool:
    return name == letter or name.startswith((word, f"{letter}_"))
