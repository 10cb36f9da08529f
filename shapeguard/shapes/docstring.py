"""The shapes that a docstring gives for parameters and for what is returned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from shapeguard.shapes.prose import ProseShape, candidates

RETURN = "return"
PARAMETERS = "parameters"
_LONGEST_ENTRY = 700
_LONGEST_LEAD = 160
_PARAMETER_TITLES = frozenset(
    ("args", "arguments", "parameters", "params", "keyword args", "keyword arguments", "other parameters", "inputs")
)
_RETURN_TITLES = frozenset(("return", "returns"))
_OTHER_TITLES = frozenset(
    "raises raise example examples note notes references reference attributes warning warnings warns shape shapes "  # noqa: SIM905 - a list of so many words reads better so
    "usage todo methods output outputs input yields yield tip returned default defaults with where".split()
)
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_UNDERLINE = re.compile(r"[ \t]*[-=~]{3,}[ \t]*")
_RETURN_LINE = re.compile(r"[ \t]*(?:Returns?|returns?)[ \t]*:[ \t]*(?=\S)|[ \t]*:(?:returns?|rtype):")
_SPHINX = re.compile(r"[ \t]*:(?:param|parameter|arg|argument)\b[^:\n]*?(?P<name>\w+)[ \t]*:")
_FIELD = re.compile(r"[ \t]*:\w[^:\n]*:(?!`)")
_NAMED = re.compile(r"[ \t]*(?:[-*][ \t]+)?[*`]{0,2}(?P<name>[A-Za-z_]\w*)[*`]{0,2}[ \t]*(?=[:(=]|--|-[ \t])")
# `Retrun: a tuple of`: what is indented below it is said of something else than parameters.
_SOME_TITLE = re.compile(r"[ \t]*[A-Z][a-z]+:[ \t]")
_MAY_HOLD = re.compile(r"shape|size|[Tt]ensor|array|[:\-=][ \t]*`*[(\[]", re.IGNORECASE)
# Said before a shape, these make it one of several, or the shape of a part.
_DOUBT = re.compile(
    r"\b(?:or|if|when|unless|either|otherwise|tuple|list|dict|sequence|each|same|iterable|union|instead|both|every|not|"
    r"whose|except|after|before|then|pairs?|lists|tuples|where|than|depends|depending|expand\w*|broadcast\w*|optionally|function|callable|mapping|maps|int|str)\b",
    re.IGNORECASE,
)
_DOUBT_BEHIND = re.compile(
    r"[`'*)\s]*(?:,?\s*(?:or|if|when|unless|otherwise|and|for each|each|per)\b(?!\s*(?:`?None|is None))|->|\||[@+\u00d7]|/(?!/))"
)
# What may come between a name and its shape: a type, in parentheses or not.
_HEADER = re.compile(
    r"[\s:=`*(-]*(?:optional\W+)?(?:(?:torch|np|numpy|jax|mx)\.)?(?:\w*[tT]ensor\w*|ndarray|array|Array|[bu]?(?:float|int)\d*|bool)?"
    r"[\s`*,]*(?:optional)?[\s:`*,)-]*"
)
_OR = re.compile(r"\bor\b")
# What begins a line of what is returned: two of them are two values.
_RETURNED_VALUE = re.compile(
    r"^[ \t]*(?:[-*•][ \t]+|[*`]{0,2}[A-Za-z_]\w*[*`]{0,2}(?:[ \t]*\([^()\n]*\))?[ \t]*:[ \t])", re.MULTILINE
)
_SOMETHING_IS = re.compile(r"\b[Tt]he (?P<noun>\w+) (?:is|are|has|have)\b[^.]*$")
_ANY_TENSOR = ("tensor", "input", "output", "array", "shape", "image", "images", "result", "expected", "format")
_BEHIND_SHAPE = re.compile(r"[`*\s]*(?:\.(?:\s|$)|$|\n[ \t]*\n|(?:\w+ )?[tT]ensor\b)")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is said of one name, or, without a name, of nothing that has a shape."""

    name: str
    start: int
    depth: int


def docstring_shapes(text: str) -> dict[str, ProseShape]:
    """The shape of each parameter, and of "return", that a docstring gives without doubt."""
    if not _MAY_HOLD.search(text):
        return {}
    found: dict[str, ProseShape | None] = {}
    for entry, end in _entries(text):
        shape = _shape_in(text, entry, min(end, entry.start + _LONGEST_ENTRY))
        if entry.name not in found:
            found[entry.name] = shape
        elif shape is not None:
            # Given twice, it may belong to two things of one name.
            found[entry.name] = None
    return {name: shape for name, shape in found.items() if shape is not None}


def _entries(text: str) -> Iterator[tuple[_Entry, int]]:
    """Each entry, and where it ends."""
    entry = _Entry("", 0, -1)
    section, section_depth, entry_depth, underlined = "", -1, -1, False
    lines = list(_LINE.finditer(text))
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        written = line[0].rstrip()
        depth = len(written) - len(written.lstrip())
        if not written or _UNDERLINE.fullmatch(written):
            continue
        is_underlined = following is not None and _UNDERLINE.fullmatch(following[0].rstrip()) is not None
        title = _title(written.strip(), underlined=is_underlined)
        if title is None and section and not underlined and depth <= section_depth:
            section = ""
        if title is not None:
            section, section_depth, entry_depth, underlined = title, depth, -1, is_underlined
            opened = _Entry(RETURN if title == RETURN else "", line.end(), depth)
        else:
            if section == PARAMETERS and entry_depth < 0:
                entry_depth = depth
            if (section and depth > entry_depth >= 0) or section not in ("", PARAMETERS):
                continue
            opened = _opened(written, line.start(), depth, in_section=bool(section))
            if not section and not opened.name and depth > entry.depth:
                continue
            if not section and not opened.name and _SOME_TITLE.match(written):
                section, section_depth, underlined = "other", depth, False
        if entry.name:
            yield entry, line.start()
        entry = opened
    if entry.name:
        yield entry, len(text)


def _title(line: str, *, underlined: bool) -> str | None:
    """The kind of section that a line is the title of; None where it is none."""
    if not underlined and not line.endswith(":"):
        return None
    words = line.rstrip(": ").strip("*`").lower()
    if words in _PARAMETER_TITLES:
        return PARAMETERS
    if words in _RETURN_TITLES:
        return RETURN
    return "other" if underlined or words in _OTHER_TITLES else None


def _opened(line: str, start: int, depth: int, *, in_section: bool) -> _Entry:
    """The entry that a line begins; one without a name where it begins none."""
    sphinx = _SPHINX.match(line)
    if sphinx:
        return _Entry(sphinx["name"], start + sphinx.end(), depth)
    returned = _RETURN_LINE.match(line)
    if returned:
        return _Entry(RETURN, start + returned.end(), depth)
    named = None if _FIELD.match(line) else _NAMED.match(line)
    if named is None or named["name"].lower() in _OTHER_TITLES or (not in_section and named["name"].istitle()):
        return _Entry("", start, depth)
    return _Entry(named["name"], start + named.end(), depth)


def _is_about_another(lead: str, name: str) -> bool:
    about = _SOMETHING_IS.search(lead)
    return about is not None and about["noun"] not in (name, *_ANY_TENSOR)


def _shape_in(text: str, entry: _Entry, end: int) -> ProseShape | None:
    """The one shape that an entry gives."""
    said = text[entry.start : end]
    if entry.name == RETURN and len(_RETURNED_VALUE.findall(said)) > 1:
        return None
    chosen: ProseShape | None = None
    for candidate in candidates(said):
        if not (candidate.said or candidate.sure):
            continue
        shape = candidate.shape
        lead = said[: shape.start]
        in_header = candidate.sure and _HEADER.fullmatch(lead) is not None
        claimed = in_header or candidate.said or candidate.typed or _BEHIND_SHAPE.match(said, shape.end) is not None
        if chosen is None:
            if (
                not claimed
                or _is_about_another(lead, entry.name)
                or _DOUBT.search(lead)
                or _DOUBT_BEHIND.match(said, shape.end)
                or len(lead) > _LONGEST_LEAD
            ):
                return None
            chosen = replace(shape, start=entry.start + shape.start, end=entry.start + shape.end, subject=entry.name)
        elif shape.axes != chosen.axes and (claimed or _OR.search(text, chosen.end, entry.start + shape.start)):
            return None
    return chosen
