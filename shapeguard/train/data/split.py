"""Which records are held out, so that nothing that is learned from stands among them."""

import random
from collections.abc import Callable, Hashable, Iterator, Sequence

from shapeguard.config import UsageError
from shapeguard.train.data.records import Loaded, Pair, Problem, Record, Text

Keys = Callable[[Pair | Text], Iterator[Hashable]]

_MOST = 600
_FEW = 100


def share(count: int) -> int:
    """How many of so many records are held out: a tenth, but a fifth where that is 100 or fewer; 600 at most."""
    return max(1, min(_MOST, max(count // 10, min(_FEW, count // 5))))


def draw(records: Sequence[Record], most: int | None, seed: int) -> tuple[Record, ...]:
    """At most so many of the records, in their order, by chance."""
    if most is None or most >= len(records):
        return tuple(records)
    places = sorted(random.Random(f"draw {seed}").sample(range(len(records)), most))  # noqa: S311 - no secret
    return tuple(records[place] for place in places)


def hold_out(
    records: Sequence[Record], wanted: int, seed: int, name: str
) -> tuple[tuple[Record, ...], tuple[Record, ...], str]:
    """What to train on, about as many as wanted to hold out, and a sentence on how.

    No prompt and no text stands on both sides. Where that leaves no fair part to hold out, because most records share
    one, prompts may stand on both; where texts are shared by most, too, whole records alone are kept apart.
    """
    if len(records) < 2:  # noqa: PLR2004 - the two sides
        raise UsageError(f"{name} holds too few records: one is trained on, and none is left to evaluate on")
    for keys, kept_apart in (
        (_prompts_and_texts, "no prompt and no text stands on both sides"),
        (_texts, "no text stands on both sides, though prompts do, as most records share one"),
        (_whole, "no record stands on both sides, though prompts and texts do, as most records share some"),
    ):
        held = _choose(_tie(records, keys), wanted, seed)
        if held:
            sides = [record for place, record in enumerate(records) if place not in held]
            return tuple(sides), tuple(records[place] for place in sorted(held)), f"held out by chance; {kept_apart}"
    raise UsageError(f"all {len(records)} records of {name} are the same, so none can be held out to evaluate on")


def drop_held_out(train: Sequence[Record], held_out: Sequence[Record]) -> Loaded[Record]:
    """What is left to train on when the records that are held out are taken away."""
    places = {key: record.place for record in held_out for key in _whole(record)}
    kept: list[Record] = []
    problems: list[Problem] = []
    for record in train:
        (key,) = _whole(record)
        if key in places:
            problems.append(Problem(record.place, "also held out", f"is the same as {places[key]}, which is held out"))
        else:
            kept.append(record)
    return Loaded(tuple(kept), tuple(problems))


def _texts(record: Pair | Text) -> Iterator[Hashable]:
    if isinstance(record, Pair):
        yield record.chosen.strip()
        yield record.rejected.strip()
    elif record.text:
        yield record.text.strip()
    else:
        yield from _whole(record)


def _prompts_and_texts(record: Pair | Text) -> Iterator[Hashable]:
    yield from _texts(record)
    if record.prompt.strip():
        yield "prompt", record.prompt.strip()


def _whole(record: Pair | Text) -> Iterator[Hashable]:
    texts = (record.chosen, record.rejected) if isinstance(record, Pair) else (record.text,)
    yield (record.prompt, *texts)


def _tie(records: Sequence[Record], keys: Keys) -> list[list[int]]:
    """Groups of records, by their places, that are tied by keys that they share."""
    above = list(range(len(records)))

    def top(place: int) -> int:
        while above[place] != place:
            above[place] = above[above[place]]
            place = above[place]
        return place

    first: dict[Hashable, int] = {}
    for place, record in enumerate(records):
        for key in keys(record):
            one, other = sorted((top(first.setdefault(key, place)), top(place)))
            above[other] = one
    groups: dict[int, list[int]] = {}
    for place in range(len(records)):
        groups.setdefault(top(place), []).append(place)
    return list(groups.values())


def _choose(groups: list[list[int]], wanted: int, seed: int) -> set[int]:
    """The places of groups that together are about as many as wanted; none where the groups are too large for that."""
    random.Random(f"held out {seed}").shuffle(groups)  # noqa: S311 - no secret
    held: set[int] = set()
    left: list[list[int]] = []
    for group in groups:
        if len(held) + len(group) <= wanted:
            held.update(group)
        else:
            left.append(group)
    if 2 * len(held) < wanted:
        left.sort(key=len)
        held.update(left[0])
    return held if len(held) <= min(2 * wanted, sum(map(len, groups)) - 1) else set()
