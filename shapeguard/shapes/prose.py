"""Shapes as people write them in comments, and what a shape in prose is made of.

A claim that is none makes a wrong report, so whatever may be something else (coordinates, a range, a call, a remark) is
no shape unless the words before it say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from shapeguard.shapes.annotation import AnySize, Fixed, Named, OneAxis, parse
from shapeguard.shapes.axis_words import read_axes, split_axes, surely_shape
from shapeguard.shapes.dim import Dim
from shapeguard.shapes.expression import parse_dim

_LONGEST = 240

# The words that say that a shape follows, in some languages.
_SHAPE_WORD = r"(?:\b(?:[Ss]hape[sd]?|SHAPE|torch\.Size)\b|形状|形狀|维度|[Фф]\u043e\u0440м[аыуе]\b|모양)"
# These may as well announce a pair of numbers.
_SIZE_WORD = r"(?:\b(?:[Ss]izes?|dims?|[Dd]imensions?|tama[nñ]o|forma|taille|Größe)\b|尺寸|大小|[\u0420\u0440]азме\u0440\w*|크기)"
_BETWEEN = r"[\s`*'\":=\uff1a]*(?:(?:of|is|are|now|to|as|like|是|为|为\uff1a)(?![^\W_])[\s`*'\":=\uff1a]*)?(?:the form )?(?::math:)?[\s`]*"
_SAYS_SHAPE = re.compile(rf"{_SHAPE_WORD}{_BETWEEN}$")
_SAYS_SIZE = re.compile(rf"{_SIZE_WORD}{_BETWEEN}$")
_SAYS_TENSOR = re.compile(
    r"(?:^|(?<=[\s:=`(]))(?:(?:torch|np|numpy)\.)?(?:\w*[tT]ensor|ndarray|array|b?float\d*|bf16|[fiu](?:8|16|32|64)|u?int\d+|bool|long)[`*]*[:\s`]*$"
)
_NAME_AHEAD = re.compile(r"[\s`*-]*(?P<name>[^\W\d]\w*(?:\.\w+)*)[`*]*\s*(?:[:\uff1a]|=(?![=>])|-(?=\s))\s*")
_SHAPE_AHEAD = re.compile(rf"\s*(?:{_SHAPE_WORD}|{_SIZE_WORD}){_BETWEEN}")
# Ahead of brackets that are a range, or of several tensors.
_NOT_AHEAD = re.compile(
    r"(?:\b(?:in|range|between|least|most|on|over|by|with|of a|e\.g\.?|i\.e\.?)|items of|\d\s*[*x\u00d7])\s*$|\bcase\b|'\s*:|\b[aA] [\w ]+ of\s*$"
)
# `(BxT)` is one axis as likely as two.
_FLATTENED = re.compile(r"\([A-Z]x[A-Z]\)")
_CROSSED_AHEAD = re.compile(r"\w\s+[x\u00d7]\s+$")
# Behind brackets that are only part of what is computed.
_NOT_BEHIND = re.compile(r"^\s*(?:'|[@*+/\u00d7-](?!-)|\[|[=<>]=|x\s)|->|=>|→")
_SURE_LEADS = (":", "\uff1a", "->", "=>", "→", "=")
_OF = re.compile(r"\s*\b(?:is|are|has|have|of|with|in|a|an|the|to)\b\s*")
_ARTICLE = re.compile(r"\b(?:an?|the|no|any|full|one|this|that|and)\s*[`(]*$")
_MOST_WORDS_AHEAD = 7
_AROUND = ' \t`"*#:\uff1a\u2013—,.;'
_ARROW = re.compile(r"-+>|=+>|→|⇒|⟶|➔|(?<=\s)=(?=\s)")
_BRACKETS = re.compile(r"\((?:[^\[\]()]|\([^\[\]()]*\))*\)|\[(?:[^\[\]()]|\([^\[\]()]*\))*\]")
_WORD_OR_NUMBER = r"[\w*+/.-]+"
_CROSSED = re.compile(
    rf"(?:{_WORD_OR_NUMBER}(?:(?:\s+x\s+|\s*\u00d7\s*)(?:{_WORD_OR_NUMBER}|\([\w*+/ -]+\)))+|(?:[A-Z]\d?|\d+)(?:x(?:[A-Z]\d?|\d+))+)"
)
_LETTERS = re.compile(r"[A-Z](?:\s?,\s?(?:[A-Z]\d?|\d+)){2,5}")
_EINOPS_PIECE = re.compile(r"[a-zA-Z]\d?\b|\d+|\([a-zA-Z]\w?(?:\s[a-zA-Z]\w?)+\)|\.\.\.")
_EINOPS_SIDE = rf"(?:{_EINOPS_PIECE.pattern})(?:\s(?:{_EINOPS_PIECE.pattern}))*"
_EINOPS = re.compile(rf"[\s`'\"]*(?P<before>{_EINOPS_SIDE})\s*->\s*(?P<after>{_EINOPS_SIDE})[\s`'\".]*")
_LETTER = re.compile(r"[a-zA-Z]\w?")
_MAY_HOLD = re.compile(r"[(\[]|\dx[A-Z\d]|[A-Z]x[A-Z\d]|\sx\s|\u00d7|[A-Z], ?[A-Z\d]|->")
# Said around a shape, these make it one of several, a condition, or the shape of something else.
_DOUBT = re.compile(
    r"\b(?:or|if|when|unless|either|otherwise|before|instead|not|each|both|list|tuple|dict|expects?|was|were|from|except|"
    r"vs|previously|originally|should|must|assum\w+|per|depending|input|original|needs?|iff)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ProseShape:
    """A shape that a comment or a docstring states."""

    text: str
    """As written, brackets included."""
    start: int
    """Where it begins in what was read."""
    end: int
    """Behind its last character."""
    axes: tuple[str, ...]
    """Words of the annotation grammar; `_` where what is written is no size that has a name."""
    subject: str = ""
    """What the writer says it is the shape of, if a name stands before it: `q: (b, h, t, d)`."""
    before: tuple[ProseShape, ...] = ()
    """The shapes that an arrow leads from, as in `(b, t) x (t, c) -> (b, c)`."""

    @property
    def annotation(self) -> str:
        """The axes as an annotation has them."""
        return " ".join(self.axes)

    @property
    def variadic(self) -> int | None:
        """The position of the one axis that stands for several, if there is one."""
        return parse(self.annotation).variadic

    @property
    def prefix(self) -> tuple[Dim | None, ...]:
        """The sizes before a variadic axis, else all of them; None for one that is not known."""
        return tuple(map(_size, parse(self.annotation).prefix))

    @property
    def suffix(self) -> tuple[Dim | None, ...]:
        """The sizes behind a variadic axis."""
        return tuple(map(_size, parse(self.annotation).suffix))


def _size(axis: OneAxis) -> Dim | None:
    match axis:
        case Named(name=name):
            return Dim(name)
        case Fixed(size=size):
            return Dim(size)
        case AnySize():
            return None
    try:
        return parse_dim(axis.expression)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """Brackets that hold nothing but words for sizes."""

    shape: ProseShape
    sure: bool
    """It can hardly be anything but a shape."""
    said: bool
    """The words before it say that a shape follows."""
    typed: bool = False
    """The name of a type of tensor stands before it."""


def candidates(text: str) -> Iterator[Candidate]:
    """Every pair of brackets that can be a shape, in order; calls and subscripts are none."""
    place = 0
    while brackets := _BRACKETS.search(text, place):
        start, place = brackets.span()
        lead = text[max(0, start - 60) : start]
        said = _SAYS_SHAPE.search(lead) is not None or lead.endswith("torch.Size(")
        typed = _SAYS_TENSOR.search(lead) is not None
        if start and (text[start - 1].isalnum() or text[start - 1] in "_.)]}") and not said and not typed:
            continue
        behind = text[place : place + 2]
        if behind[:1] in ("(", "[", "_") or (behind[:1] == "." and behind[1:].isalpha()):
            continue
        candidate = _read_brackets(text, start, place, said=said, typed=typed)
        if candidate is None:
            # There may be a shape inside, as in (`Tensor` of shape `(b, t)`, *optional*).
            place = start + 1
        else:
            yield candidate


def _read_brackets(text: str, start: int, end: int, *, said: bool, typed: bool) -> Candidate | None:
    inside = text[start + 1 : end - 1]
    attached = text[start - 1 : start].isalnum() and not inside.rstrip().endswith(",")
    enclosed = inside.strip()
    if said and enclosed[:1] in ("[", "(") and enclosed[-1:] in ("]", ")") and _BRACKETS.fullmatch(enclosed):
        inside = enclosed[1:-1]
    if not inside.strip():
        return Candidate(ProseShape(text[start:end], start, end, ()), sure=True, said=True) if said else None
    axes = read_axes(split_axes(inside, spaced=text[start] == "["))
    if axes is None:
        return None
    alone = (text[start] == "[" or inside.rstrip().endswith(",") or typed) and not attached
    if (len(axes) == 1 and not alone) or _FLATTENED.fullmatch(text, start, end):
        return None
    shape = ProseShape(text[start:end], start, end, axes)
    return Candidate(shape, sure=surely_shape(axes, alone=alone), said=said, typed=typed)


def comment_shape(text: str) -> ProseShape | None:
    """The shape that a comment, given without its `#`, says the value of its line has; None where that is not sure.

    Of `(b, t) x (t, c) -> (b, c)` it is the last.
    """
    if len(text) > _LONGEST or not _MAY_HOLD.search(text):
        return None
    rearranged = _EINOPS.fullmatch(text)
    if rearranged and " x " not in text:
        return _einops(rearranged)
    found = [candidate for candidate in candidates(text) if candidate.sure or candidate.said]
    if not found or _CROSSED_AHEAD.search(text, 0, found[0].shape.start):
        return _unbracketed(text)
    shapes = [candidate.shape for candidate in found]
    gaps = [text[left.end : right.start] for left, right in pairwise(shapes)]
    arrows = [place for place, gap in enumerate(gaps) if _ARROW.search(gap)]
    tail = text[shapes[-1].end :]
    several = bool(gaps) and (not arrows or arrows[-1] != len(gaps) - 1)
    if several or _NOT_BEHIND.search(tail) or any(_DOUBT.search(part) for part in (*gaps, tail)):
        return None
    if gaps and _CROSSED_AHEAD.search(gaps[-1]):
        return None
    lead = text[: shapes[0].start]
    subject = _subject_of(lead, found[0], tail)
    if subject is None:
        return None
    return replace(shapes[-1], subject=subject, before=tuple(shapes[:-1]))


def _subject_of(lead: str, first: Candidate, tail: str) -> str | None:
    """The name that stands before a shape, "" where none does, None where the words before it leave doubt."""
    if _DOUBT.search(lead) or _NOT_AHEAD.search(lead):
        return None
    named = None if first.said or _SAYS_SIZE.search(lead) else _NAME_AHEAD.fullmatch(lead)
    if not named and (first.said or first.typed or _SAYS_SIZE.search(lead)):
        rest = _SAYS_TENSOR.sub("", _SAYS_SHAPE.sub("", _SAYS_SIZE.sub("", lead))).strip(_AROUND)
        if len(rest.split()) > _MOST_WORDS_AHEAD:
            return None
        named = _NAME_AHEAD.fullmatch(_OF.sub("", rest) + ":")
    elif not named and lead.strip() and not lead.rstrip().endswith(_SURE_LEADS) and _runs_on(lead, tail):
        return None
    return named["name"].removesuffix(".shape") if named else ""


def _runs_on(lead: str, tail: str) -> bool:
    """Whether a shape stands inside a sentence, which may be about anything."""
    return bool(tail.strip(_AROUND)) or len(lead.split()) > _MOST_WORDS_AHEAD or _ARTICLE.search(lead) is not None


def _unbracketed(text: str) -> ProseShape | None:
    """Read `b x t x c` and `N, C, H, W`, where they are all that is said."""
    ahead = _SHAPE_AHEAD.match(text) or _NAME_AHEAD.match(text)
    start = ahead.end() if ahead else 0
    said = ahead is not None and ahead.re is _SHAPE_AHEAD
    shapes: list[ProseShape] = []
    while start < len(text):
        arrow = _ARROW.search(text, start)
        end = arrow.start() if arrow else len(text)
        part = text[start:end]
        begin = start + len(part) - len(part.lstrip(_AROUND))
        written = part.strip(_AROUND)
        axes = _bare_axes(written, said=said)
        if axes is not None:
            shapes.append(ProseShape(written, begin, begin + len(written), axes))
        elif shapes or written:
            return None
        start = arrow.end() if arrow else len(text)
    if not shapes:
        return None
    subject = "" if ahead is None or said else ahead["name"]
    return replace(shapes[-1], subject=subject, before=tuple(shapes[:-1]))


def _bare_axes(written: str, *, said: bool) -> tuple[str, ...] | None:
    if _CROSSED.fullmatch(written):
        axes = read_axes(split_axes(written, spaced=False))
        return axes if axes and (said or surely_shape(axes, alone=False)) else None
    if _LETTERS.fullmatch(written) and (said or written[0] in "BN"):
        return read_axes(split_axes(written, spaced=False))
    return None


def _einops(rearranged: re.Match[str]) -> ProseShape | None:
    sides: list[ProseShape] = []
    for side in ("before", "after"):
        axes = read_axes(_EINOPS_PIECE.findall(rearranged[side]))
        if axes is None:
            return None
        sides.append(ProseShape(rearranged[side], *rearranged.span(side), axes))
    before, after = (set(_LETTER.findall(side.text)) for side in sides)
    surely = max(len(before), len(after)) > 1 and (before <= after or after <= before)
    return replace(sides[1], before=(sides[0],)) if surely else None
