"""Where code contradicts what a comment or a docstring says of a shape, and what it would have to say."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span
from shapeguard.infer.values import External, as_size, certain
from shapeguard.ops.values import Module, Tensor
from shapeguard.shapes.axis_words import split_axes
from shapeguard.shapes.compare import compare
from shapeguard.shapes.dim import Dim, as_int, names, substitute
from shapeguard.shapes.mismatch import count_axes
from shapeguard.shapes.shape import Axis, Shape

if TYPE_CHECKING:
    from shapeguard.infer.evaluator import Evaluator
    from shapeguard.shapes.prose import ProseShape

_PIECE = re.compile(r"(?<![\w.])[\w.]+(?:[-+*/]+[\w.]+)*")
_CROSSED_WORDS = re.compile(r"[A-Z0-9]x[A-Z0-9]")
_LONGEST_TEXT = 60
BATCH = frozenset({"b", "n", "bs", "bsz", "batch", "batch_size", "nbatch"})
"""Words for the axis of the examples."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What is surely not as it is said."""

    sentence: str
    """It begins with what the claim is about, and ends in what is said."""
    words: tuple[str, ...] | None = None
    """What would be right, axis by axis in the words of the claim; None where they aren't known."""
    preview: bool = False
    """Whether it holds only unless two names happen to mean the same number."""
    is_form: bool = False
    """Whether it is the number of axes or their order that is wrong, and no size."""


def weigh_comment(
    evaluator: Evaluator, node: ast.Assign | ast.AnnAssign | ast.Return, value: Any, target: str | None
) -> None:
    """Report a comment that the value of its statement surely contradicts."""
    known = certain(value)
    if target is None or not isinstance(known, Tensor):
        return
    if evaluator.depth or evaluator.aside or evaluator.quiet:
        return
    line = _line_of_claim(evaluator, node)
    stated = None if line is None else evaluator.home.comment_shape(line)
    if line is None or stated is None or (stated.subject and stated.subject != target) or not is_clear(stated):
        return
    about = "what is returned" if target == "return" else f"`{target}`"
    words = evaluator.words
    own = not evaluator.reporter.trusting
    found = contradiction(about, "the comment", stated, known.shape, evaluator.scope, words, own=own)
    if found is None and node.value is not None:
        found = of_padded(evaluator, about, "the comment", stated, node.value) or of_written(
            evaluator, about, "the comment", stated, node.value
        )
    if found is None:
        learn(words, stated, known.shape, evaluator.scope)
    else:
        span = _span_in_comment(evaluator, line, stated)
        notes = (f"in the code: {known.shape}", f"in the comment: {stated.text}")
        report(evaluator, span, ("SG711", "comment-drift"), found, stated, notes)


def is_clear(stated: ProseShape) -> bool:
    """Whether it can't be doubted how many axes are stated."""
    if len(stated.axes) == 1 and (_CROSSED_WORDS.search(stated.text) or " " in _inside(stated.text).strip(" ,")):
        return False
    # `(batch, seq dim)` and `(b, t. d)` have lost a comma, `(b, t x d)` is of two axes or of three.
    return not any(
        (" " in piece and axis == "_") or ". " in piece
        for piece, axis in zip(pieces_of(stated) or (), stated.axes, strict=False)
    )


def report(
    evaluator: Evaluator,
    span: Span,
    kind: tuple[str, str],
    found: Contradiction,
    stated: ProseShape,
    notes: tuple[str, ...],
) -> None:
    """Add a finding about a claim, with an edit of it where the right words are known."""
    text = None if found.words is None else rewritten(stated, found.words)
    fix = None if text is None else Fix(f"Write what it is: `{text}`", (Edit(span, text),), "unsafe")
    path = str(evaluator.home.source.path)
    made = Diagnostic(path, span, *kind, found.sentence, notes, None, fix, severity="warning", preview=found.preview)
    evaluator.reporter.add(evaluator, made)


def _line_of_claim(evaluator: Evaluator, node: ast.stmt) -> int | None:
    """The line whose comment is about a whole statement: its last one, if nothing but the end of it stands there."""
    line = node.end_lineno or node.lineno
    text = evaluator.home.source.lines[line - 1]
    if "#" not in text or (line != node.lineno and text.lstrip()[:1] not in (")", "]")):
        return None
    return line


def _span_in_comment(evaluator: Evaluator, line: int, stated: ProseShape) -> Span:
    comment = evaluator.home.source.comments[line]
    start = comment.column + len(comment.text) - len(comment.text.lstrip("#")) + stated.start
    return Span(line, start, line, start + stated.end - stated.start)


Words: TypeAlias = dict[str, "Dim | None"]
"""What words that are no names of the code have been said of; None for those that were said of several sizes."""


def learn(words: Words, stated: ProseShape, actual: Shape, scope: Mapping[str, Any]) -> None:
    """Remember what the words of a claim that may be right are said of."""
    if actual.axes is None or stated.variadic is not None or len(actual.axes) != len(stated.axes):
        return
    for word, axis in zip(stated.prefix, actual.axes, strict=True):
        if word is not None and _is_name(word) and axis.size is not None and str(word) not in scope:
            known = words.setdefault(str(word), axis.size)
            words[str(word)] = known if known == axis.size else None


def contradiction(
    about: str,
    source: str,
    stated: ProseShape,
    actual: Shape,
    scope: Mapping[str, Any],
    words: Mapping[str, Dim | None] = MappingProxyType({}),
    *,
    own: bool = False,
) -> Contradiction | None:
    """How a shape surely differs from what is said of it; None where it may be as it is said.

    With `own`, the names in a shape are those of the code, and words that are such names mean them.
    """
    axes = actual.axes
    if axes is None:
        return None
    if not axes and stated.axes == ("1",):
        # So people say of a number.
        return None
    least = len(stated.axes) - (stated.variadic is not None)
    if len(axes) < least or (stated.variadic is None and len(axes) != least):
        says = f"at least {least}" if stated.variadic is not None else str(least)
        sentence = f"{about} has {count_axes(len(axes))}, {source} says {says}: {stated.text}"
        return Contradiction(sentence, _written_out(stated, actual, scope), is_form=True)
    if stated.variadic is not None:
        return None
    sizes = [axis.size for axis in axes]
    meant = [_meant(size, scope) for size in stated.prefix]
    inside = {name for size in sizes if size is not None for name in names(size)}
    values = [_value(size, scope, words, inside) for size in stated.prefix]
    order = _other_order(sizes, meant) or _other_order(sizes, values) or _moved(sizes, values)
    if order is not None:
        pieces = pieces_of(stated)
        right = None if pieces is None else tuple(pieces[place] for place in order)
        shown = f"({', '.join(right)})" if right else str(actual)
        return Contradiction(f"{about} is {shown}, {source} says {stated.text}", right, is_form=True)
    for differ in (partial(_surely_differ, own=own), _named_otherwise):
        wrong = {
            position: axis
            for position, (axis, said) in enumerate(zip(axes, meant, strict=True))
            if axis.size is not None and said is not None and differ(axis.size, said, stated.prefix[position], scope)
        }
        if wrong:
            position = min(wrong)
            word = _word_of(wrong[position], scope) or wrong[position].size
            sentence = f"axis {position} of {about} is {word}, {source} says {stated.axes[position]}: {stated.text}"
            return Contradiction(sentence, _replaced(stated, wrong, scope), differ is _named_otherwise)
    return None


def _replaced(stated: ProseShape, wrong: Mapping[int, Axis], scope: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The words of a claim with some of them put right."""
    known = {**_own_words(stated), **scope}
    right = {position: _word_of(axis, known) for position, axis in wrong.items()}
    pieces = pieces_of(stated)
    if pieces is None or None in right.values():
        return None
    return tuple(right.get(position) or piece for position, piece in enumerate(pieces))


def of_padded(
    evaluator: Evaluator, about: str, source: str, stated: ProseShape, node: ast.expr
) -> Contradiction | None:
    """A claim that has the batch first of what `pad_sequence` gives, which has the steps first."""
    if not isinstance(node, ast.Call) or len(node.args) > 1:
        return None
    function = evaluator.resolve(node.func)
    pieces = pieces_of(stated)
    said = [each.value for each in node.keywords if each.arg in ("batch_first", None)]
    is_plain = all(isinstance(each, ast.Constant) and each.value is False for each in said)
    if not isinstance(function, External) or function.name != "torch.nn.utils.rnn.pad_sequence" or not is_plain:
        return None
    if pieces is None or len(pieces) <= 1 or pieces[0].lower() not in BATCH or pieces[1].lower() in BATCH:
        return None
    right = (pieces[1], pieces[0], *pieces[2:])
    sentence = f"{about} is ({', '.join(right)}), {source} says {stated.text}: `pad_sequence` puts the steps first"
    return Contradiction(sentence, right, is_form=True)


_MAKES_SHAPES = frozenset({"view", "reshape", "expand", "new_zeros", "new_ones", "new_empty"})
_TORCH_MAKES_SHAPES = frozenset({"zeros", "ones", "rand", "randn", "empty"})


def of_written(
    evaluator: Evaluator, about: str, source: str, stated: ProseShape, node: ast.expr
) -> Contradiction | None:
    """A claim in the very words of `x.view(b, g, g, d)`, in another order."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name) as func, args=given) if not any(
            each.arg is None for each in node.keywords
        ):
            function = evaluator.resolve(func)
        case _:
            return None
    external = function.name if isinstance(function, External) else ""
    if name not in _MAKES_SHAPES and external.removeprefix("torch.") not in _TORCH_MAKES_SHAPES:
        return None
    if external and name in _MAKES_SHAPES:
        given = given[1:]
    if len(given) == 1 and isinstance(given[0], ast.Tuple | ast.List):
        given = given[0].elts
    written = tuple(each.id if isinstance(each, ast.Name) else "" for each in given)
    pieces = tuple(stated.text.split()) if stated.text[:1] not in "([" and "," not in stated.text else pieces_of(stated)
    if not all(written) or len(written) != len(stated.axes) or pieces is None or pieces == written:
        return None
    if sorted(pieces) != sorted(written):
        return None
    sentence = f"{about} is ({', '.join(written)}), {source} says {stated.text}"
    return Contradiction(sentence, written, is_form=True)


_ATTENTION = frozenset({"in_proj_weight", "num_heads", "batch_first"})
_OF_EACH_HEAD = 4


def of_averaged(
    evaluator: Evaluator, about: str, source: str, stated: ProseShape, node: ast.expr, at: int
) -> Contradiction | None:
    """A claim of an axis of heads in the weights that `nn.MultiheadAttention` gives, which it averages over them."""
    if at != 1 or not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return None
    if stated.variadic is not None or len(stated.axes) != _OF_EACH_HEAD:
        return None
    match node.func:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            layer = evaluator.attribute(evaluator.lookup("self"), name)
        case _:
            layer = evaluator.resolve(node.func)
    layer = certain(layer)
    named = {each.arg for each in node.keywords}
    if not isinstance(layer, Module) or not layer.attributes.keys() >= _ATTENTION:
        return None
    if {None, "average_attn_weights"} & named or len(node.args) > 6:  # noqa: PLR2004 - the flag's place
        return None
    sentence = f"{about} has no axis of heads, {source} says {stated.text}: the layer gives their average"
    return Contradiction(sentence, is_form=True)


def _meant(size: Dim | None, scope: Mapping[str, Any]) -> Dim | None:
    """What a word of a claim means: the size of that name in the code, if it is one and has no other name there."""
    if size is None or as_int(size) is not None:
        return size
    value = scope.get(str(size))
    if not isinstance(value, Dim):
        return size
    return value if as_int(value) is not None or _is_name(value) else None


def _is_name(size: Dim) -> bool:
    return names(size) == {str(size)}


def _other_order(sizes: Sequence[Dim | None], meant: Sequence[Dim | None]) -> list[int] | None:
    """For each axis, which of the words is its; None unless they are the same ones in another order."""
    if None in sizes or None in meant or list(sizes) == list(meant) or len(set(meant)) != len(meant):
        return None
    if sorted(map(str, sizes)) != sorted(map(str, meant)):
        return None
    return [meant.index(size) for size in sizes]


def _value(
    size: Dim | None, scope: Mapping[str, Any], words: Mapping[str, Dim | None], inside: Collection[str]
) -> Dim | None:
    """What a word of a claim comes to in the code, or in the claims before it; None where it is no name of theirs."""
    if size is None or as_int(size) is not None:
        return size
    known: dict[str, Dim] = {}
    for name in names(size):
        value = as_size(scope.get(name, words.get(name, Dim(name) if name in inside else None)))
        if not isinstance(value, Dim):
            return None
        known[name] = value
    return substitute(size, known)


def _moved(sizes: Sequence[Dim | None], values: Sequence[Dim | None]) -> list[int] | None:
    """For each axis, which of the words is its, if some words are said of another axis than the one that has their size."""
    places: dict[int, int] = {}
    for at, value in enumerate(values):
        if value is None or as_int(value) is not None or values.count(value) > 1 or sizes.count(value) != 1:
            continue
        if sizes[at] is None:
            return None
        places[sizes.index(value)] = at
    moved = {at for place, at in places.items() if at != place}
    if any(values[place] is None for place, at in places.items() if at in moved):
        # What stands there may be called by another name.
        return None
    if all(at == place for at, place in places.items()):
        return None
    rest = [at for at in range(len(values)) if at not in places.values()]
    return [places[at] if at in places else rest.pop(0) for at in range(len(values))]


def _surely_differ(size: Dim, said: Dim, word: Dim | None, scope: Mapping[str, Any], *, own: bool) -> bool:
    number, claimed = as_int(size), as_int(said)
    if number is not None and claimed is not None:
        return number != claimed
    named = word is not None and (isinstance(scope.get(str(word)), Dim) or (own and _is_own(size, word, scope)))
    return named and claimed is None and compare(size, said, at_least=1) is False


def _is_own(size: Dim, word: Dim, scope: Mapping[str, Any]) -> bool:
    """Whether a word is a name in the very size that it is said of, as that of a class's own attribute."""
    return _is_name(word) and str(word) not in scope and str(word) in names(size)


def _named_otherwise(size: Dim, said: Dim, word: Dim | None, scope: Mapping[str, Any]) -> bool:
    """Whether the code has two names for what is said and what is."""
    known = all(_is_name(each) and scope.get(str(each)) == each for each in (size, said))
    return known and word == said and size != said


def _written_out(stated: ProseShape, actual: Shape, scope: Mapping[str, Any]) -> tuple[str, ...] | None:
    """All axes in words, if the claim calls sizes as the code does."""
    if stated.variadic is not None or not stated.prefix:
        return None
    own = _own_words(stated)
    of_code = all(size is not None and _word_of(Axis.of(size), scope) is not None for size in stated.prefix)
    if not of_code and not any(axis.size is not None and names(axis.size) for axis in actual.axes or ()):
        return None
    words = [_word_of(axis, scope if of_code else own) for axis in actual.axes or ()]
    return None if None in words else tuple(word for word in words if word is not None)


def _own_words(stated: ProseShape) -> dict[str, Dim]:
    """The words of a claim that are single names."""
    return {str(word): word for word in stated.prefix if word is not None and _is_name(word)}


def _word_of(axis: Axis, scope: Mapping[str, Any]) -> str | None:
    """A size in names that mean it in the code, its factors in the order of its elements."""
    if axis.size is None or any(scope.get(name) != Dim(name) for name in names(axis.size)):
        return None
    factors = axis.factors or ()
    in_order = len(factors) > 1 and all(_is_name(each) or as_int(each) is not None for each in factors)
    text = "*".join(map(str, factors)) if in_order else str(axis.size)
    return text if len(text) <= _LONGEST_TEXT else None


def pieces_of(stated: ProseShape) -> tuple[str, ...] | None:
    """The words of a claim as they are written, one an axis."""
    inside = _inside(stated.text)
    pieces = tuple(split_axes(inside, spaced=stated.text[:1] == "["))
    return pieces if len(pieces) == len(stated.axes) and all(pieces) else None


def _inside(text: str) -> str:
    return text[1:-1] if text[:1] in ("(", "[") else text


def rewritten(stated: ProseShape, words: Sequence[str]) -> str | None:
    """A claim with other words, in the form that it is written in."""
    inside = _inside(stated.text)
    if pieces_of(stated) is None or "\n" in inside:
        return None
    between = re.search(r"\s*,\s*|\s+[xX\u00d7]\s+|(?<=\w)[x\u00d7](?=\w)", inside)
    if between is None or ("," not in between[0] and not all(map(_PIECE.fullmatch, words))):
        return None
    text = between[0].join(words)
    if len(words) == 1 and "," in between[0]:
        text += ","
    return stated.text[0] + text + stated.text[-1] if inside != stated.text else text
