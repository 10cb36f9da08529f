"""How people write the sizes of axes in prose, which words of the annotation grammar they mean, and how surely so."""

from __future__ import annotations

import re

from shapeguard.shapes.dim import as_int
from shapeguard.shapes.expression import parse_dim

UNKNOWN = "_"
SEVERAL = "..."
_MOST_AXES = 10
_MOST_WORDS = 3
_PAIR = 2

_CROSS = re.compile(r"\s+(?:[xX]|\\times)\s+|\s*\u00d7\s*")
_TIGHT_CROSS = re.compile(r"(?:[A-Z]{1,2}\d?|\d+)(?:[x\u00d7](?:[A-Z]{1,2}\d?|\d+))+")
_SPACED = re.compile(r"(?:[A-Za-z]|\d+)(?:\s+(?:[A-Za-z]|\d+)){1,5}")
_NAME = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_ALTERNATIVE = re.compile(r"[\w*+/.-]+\s*(?:\bor\b|\|)\s*[\w*+/.-]+")
_WORDS = re.compile(r"[^\W\d]\w*(?:[ -][^\W\d]\w*)+")
_HYPHENATED = re.compile(r"[a-z]{2,}(?:-[a-z]{2,})+")
_GROUP = re.compile(r"\(\s*([^\W\d]\w*(?:\s+[^\W\d]\w*)+)\s*\)")
_ENCLOSED = re.compile(r"\([^()]*\)")
_CALL = re.compile(r"[^\W\d][\w.]*\([\w\s,.*+/-]*\)(?:\s*[+*/-]+\s*\w+)?")
_PRIMED = re.compile(r"[A-Za-z0-9]'")
_FLOAT = re.compile(r"\d*\.\d|\d\.|\d[eE][-+]?\d")
_FACTOR = re.compile(r"(?<![\w.])(\d+)(?=[A-Za-z]\b)")
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|mathit|textbf|operatorname)\{([^{}]*)\}")
_LATEX_FRACTION = re.compile(r"\\frac\{([^{}]*)\}\{([^{}]*)\}")
_LATEX_SUBSCRIPT = re.compile(r"_\{\s*(\w+)\s*\}")
_FILLERS = frozenset(
    "a an and are as at be by e.g eg else etc for from has if in into is it its no not of on or per see than the then to "  # noqa: SIM905 - a list of so many words reads better so
    "with when where which this that optional default see".split()
)

# One upper-case letter, with a subscript or not: B, T1, C_in, D_model.
_LETTER = re.compile(r"[A-Z]\d?(?:_[a-zA-Z0-9]+)?")
_SPATIAL = re.compile(r"[a-z]\w*_(?:h|w|height|width|rows|cols)")
_CAPITALS = re.compile(r"[A-Z]{2,3}")
_SMALL = re.compile(r"[bcdhklmnpqstw]\d?")
_NUMBERED = re.compile(r"[a-zA-Z]\d|\d+\*[a-z]")
_NAMED_SIZE = re.compile(
    r"(?:num|nb|len|max|total|dim|batch)_\w+|n_\w+|[dn]_?(?:model|heads?|layers?|embd?|ctx)"
    r"|\w+_(?:len|length|lens|lengths|size|dims?|channels?|chans|heads|classes|seqlen|tokens|frames|steps|patches"
    r"|hidden|queries|features|feats|out|in|samples|points)"
    r"|(?:seq|src|tgt|query|key|kv|context|batch|hidden|embed|vocab|head|text|prompt|patch|channel)"
    r"(?:len|length|size|dim|dims|s)|bs|bsz|bsize|nheads?|nbatch\w*|seqlens?|slen|klen|qlen|tlen|ntokens?|hsz|numheads|[a-z]dim|[LT]max|[a-z]len",
    re.IGNORECASE,
)
_NOUNS = frozenset(
    "batch batches time times channel channels chan chans ch seq sequence seqlen length len frame frames token tokens "  # noqa: SIM905 - a list of so many words reads better so
    "dim dims hidden embed embedding emb vocab head heads feature features feat feats freq freqs height width depth "
    "class classes label labels query queries patch patches step steps sample samples point points box boxes spatial "
    "window windows group groups layer layers expert experts rows cols columns mel mels nodes edges row col spk spks "
    "speakers nh hs hd latent latents beam beams topk".split()
)
_SIZE_NOUNS = frozenset(
    "batch batches time channel channels chan chans seq sequence seqlen embed embedding heads vocab dim dims "  # noqa: SIM905 - a list of so many words reads better so
    "frames freq freqs".split()
)
# What people list in order that is no shape.
_COORDINATES = frozenset(
    "x y z u v i j cx cy xc yc x0 x1 x2 x3 y0 y1 y2 y3 xmin ymin xmax ymax left top right bottom mean std".split()  # noqa: SIM905 - a list of so many words reads better so
)
_LISTS = frozenset(
    map(
        frozenset,
        ("hw", "dhw", "rgb", "bgr", "rgba", "qkv", "kv", "qk", "xyz", "hsv", "hls", "lab", "yuv", "ltrb", "rt", "cs"),
    )
)
_PAIRS = frozenset(
    map(
        frozenset,
        (("height", "width"), ("depth", "height", "width"), ("rows", "cols"), ("row", "col"), ("rows", "columns")),
    )
)


def split_axes(inside: str, *, spaced: bool) -> list[str]:
    """What stands for one axis each between two brackets; with `spaced`, letters may be parted by spaces alone."""
    items: list[str] = []
    depth = start = 0
    for place, character in enumerate(inside):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in ",\uff0c" and not depth:
            items.append(inside[start:place])
            start = place + 1
    items.append(inside[start:])
    if len(items) > 1:
        if not items[-1].strip():
            items.pop()
    elif _CROSS.search(inside):
        items = _CROSS.split(inside.strip())
    elif _TIGHT_CROSS.fullmatch(inside.strip()):
        items = re.split("[x\u00d7]", inside)
    elif spaced and _SPACED.fullmatch(inside.strip()):
        items = inside.split()
    return [item.strip() for item in items]


def read_axes(items: list[str]) -> tuple[str, ...] | None:
    """The axis words; None where something is no size, or more than one stands for several axes."""
    if len(items) > _MOST_AXES:
        return None
    words: list[str] = []
    for item in items:
        word = read_axis(item)
        if word is None:
            return None
        words.append(word)
    return None if sum(word == SEVERAL or word[0] == "*" for word in words) > 1 else tuple(words)


def read_axis(item: str) -> str | None:
    """The word of the annotation grammar that is meant: `_` where it has none, None where it can be no axis."""
    item = item.strip("` \t\n")
    if item[:1] == "'":
        item = item.strip("'")
    if item in ("...", "…", "..", "*", r"\*", "**", r"\ldots", r"\dots"):
        return SEVERAL
    if item in ("?", "-1", "_", "-", "None") or _ALTERNATIVE.fullmatch(item) or _PRIMED.search(item):
        return UNKNOWN
    item = item.replace("²", "**2")
    if "\\" in item or "{" in item:
        item = _plain(item)
    if _NAME.fullmatch(item):
        several = "*" if item.endswith("_shape") else ""
        return several + item if item.isascii() and (len(item) == 1 or item not in _FILLERS) else None
    if item.isdecimal() or (item.startswith("*") and _NAME.fullmatch(item, 1)):
        return item
    if _HYPHENATED.fullmatch(item) or (" " in item and _WORDS.fullmatch(item)):
        words = re.split("[ -]", item)
        if len(words) > _MOST_WORDS or not item.isascii() or not _FILLERS.isdisjoint(map(str.lower, words)):
            return None
        name = "_".join(words)
        # `k_y k_x` is a product as likely as a name.
        return UNKNOWN if any("_" in word or len(word) == 1 for word in words) else read_axis(name)
    return _read_arithmetic(item)


def _plain(item: str) -> str:
    item = _LATEX_TEXT.sub(r"\1", item)
    item = _LATEX_FRACTION.sub(r"(\1)//(\2)", item)
    item = _LATEX_SUBSCRIPT.sub(r"_\1", item)
    return item.replace(r"\times", "*").replace(r"\cdot", "*").replace(r"\_", "_").replace(r"\,", "").strip()


def _read_arithmetic(item: str) -> str | None:
    item = _GROUP.sub(lambda group: "(" + "*".join(group[1].split()) + ")", item)
    item = item.replace("\u00d7", "*").replace("·", "*").replace("^", "**")
    name, equals, size = item.partition("=")
    if equals:
        # `C=3` is 3; of `B=batch` it can't be said which name is meant.
        fixed = size.strip().isdecimal() and _NAME.fullmatch(name.strip())
        return size.strip() if fixed else UNKNOWN if _NAME.fullmatch(name.strip()) else None
    if _DOTTED.fullmatch(item):
        return item
    if _FLOAT.search(item):
        return None
    text = "".join(_FACTOR.sub(r"\1*", re.sub(r"(?<!/)/(?!/)", "//", item)).split())
    try:
        size_meant = parse_dim(text) if not re.search(r"\w\s+\w", item) else None
    except ValueError:
        size_meant = None
    if size_meant is None:
        return UNKNOWN if _CALL.fullmatch(item) else None
    value = as_int(size_meant)
    if value is not None:
        return str(value) if value >= 0 else None
    text = text[1:-1] if _ENCLOSED.fullmatch(text) else text
    return UNKNOWN if text.startswith("_") else text  # in an annotation such a name holds no size


def surely_shape(axes: tuple[str, ...], *, alone: bool) -> bool:
    """Whether these words can hardly be anything but a shape, although nothing says so.

    `alone` says that they are written as one word alone is: in square brackets or with a trailing comma.
    """
    named = [axis for axis in axes if axis not in (UNKNOWN, SEVERAL) and not axis.isdecimal() and axis[0] != "*"]
    lowered = frozenset(map(str.lower, named))
    if not named or "0" in axes or not _COORDINATES.isdisjoint(named):
        return False
    if len(named) == len(axes) and (lowered in _LISTS or lowered in _PAIRS):
        return False
    if _is_counted(named):
        return False
    kinds = list(map(_kind, named))
    sizes, others = kinds.count("size"), kinds.count("other")
    if len(axes) == 1:
        return alone and sizes == 1
    if sizes:
        known = len(named) - others - kinds.count("capitals")
        if len(axes) == _PAIR and kinds[0] == "other":
            # (counts, num_samples) is as likely a pair of values.
            return len(named[0]) <= _PAIR
        return others < known or (others == known and (others == 1 or sizes > 1))
    return not (others or "capitals" in kinds) and (len(axes) > _PAIR or "b" in lowered)


def _is_counted(named: list[str]) -> bool:
    """Whether these are one letter with several numbers, as p2, p3, p4 or 2s, 4s, 8s."""
    if len(named) == 1 or not all(map(_NUMBERED.fullmatch, named)):
        return False
    return len({axis.strip("*0123456789") for axis in named}) == 1


def _kind(axis: str) -> str:
    """What a word is like: surely the name of a size, a noun or small letter that may be one, or something else."""
    names = re.findall(r"[^\W\d]\w*", axis)
    if names and all(map(_SPATIAL.fullmatch, names)):
        return "letter or noun"
    if any(_LETTER.fullmatch(name) or _NAMED_SIZE.fullmatch(name) or name.lower() in _SIZE_NOUNS for name in names):
        return "size"
    if all(name.lower() in _NOUNS or _SMALL.fullmatch(name) for name in names):
        return "letter or noun"
    return "capitals" if _CAPITALS.fullmatch(axis) else "other"
