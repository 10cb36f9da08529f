"""From the name of some data to records, those that are held out apart."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from shapeguard.config import UsageError
from shapeguard.spelling import did_you_mean
from shapeguard.train.data import formats, hub, json_lines, reviews, standard_library
from shapeguard.train.data.chat import Template, plain_template
from shapeguard.train.data.records import Loaded, Pair, Record, Split, Text
from shapeguard.train.data.split import draw, drop_held_out, hold_out, share


@dataclass(frozen=True, slots=True)
class Sources(Generic[Record]):
    """Where records of one kind are from."""

    of_library: Callable[[], Loaded[Record]]
    of_reviews: Callable[[int], Loaded[Record]]
    """By a seed, which says what is beside what."""
    of_rows: Callable[[Iterator[tuple[str, Any]], str, Template], Loaded[Record]]


PAIRS: Sources[Pair] = Sources(standard_library.library_pairs, reviews.review_pairs, formats.read_pairs)
"""Preference pairs."""
TEXTS: Sources[Text] = Sources(standard_library.library_texts, lambda _: reviews.review_texts(), formats.read_texts)
"""Texts, some with a prompt that isn't learned."""
PROMPTS: Sources[Text] = Sources(
    standard_library.library_prompts, lambda _: reviews.review_prompts(), formats.read_prompts
)
"""Prompts, whose text is empty."""


def load(
    sources: Sources[Record],
    data: str,
    *,
    seed: int = 0,
    held_out: str | None = None,
    limit: int | None = None,
    template: Template = plain_template,
) -> Split[Record]:
    """Records of one kind, a part of them held out.

    `data` and `held_out` each name `standard-library`, `movie-reviews`, a file of JSON lines, a folder of them, a
    folder that `datasets` has written, or a dataset. Without `held_out`, a part of `data` is held out. `limit` is how
    many records are trained on at most, and `template` writes conversations.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"at least one record is to be trained on, and not {limit}")
    loaded = _read(sources, data, seed, template)
    if held_out is None:
        return _hold_out(loaded, data, seed, limit)
    if held_out == data:
        raise UsageError(f"what is held out is the same as what is trained on, {data}: leave --held-out out")
    return _take_held_out(loaded, _read(sources, held_out, seed, template), data, held_out, seed, limit)


def _hold_out(loaded: Loaded[Record], data: str, seed: int, limit: int | None) -> Split[Record]:
    drawn = draw(loaded.records, None if limit is None else limit + share(limit), seed)
    train, judged, how = hold_out(drawn, share(min(len(drawn), limit or len(drawn))), seed, data)
    return Split(train, judged, loaded.problems, f"{loaded.about}; {len(judged):,} {how}")


def _take_held_out(
    loaded: Loaded[Record], other: Loaded[Record], data: str, held_out: str, seed: int, limit: int | None
) -> Split[Record]:
    left = drop_held_out(loaded.records, other.records)
    if not left.records:
        raise UsageError(f"every record of {data} is held out in {held_out}, so none is left to train on")
    judged = draw(other.records, limit, seed)
    problems = loaded.problems + other.problems + left.problems
    return Split(draw(left.records, limit, seed), judged, problems, f"{loaded.about}; held out: {other.about}")


def _read(sources: Sources[Record], data: str, seed: int, template: Template) -> Loaded[Record]:
    if data == standard_library.NAME:
        return sources.of_library()
    if data == reviews.NAME:
        return sources.of_reviews(seed)
    rows, about = _rows(data)
    loaded = sources.of_rows(rows, data, template)
    return Loaded(loaded.records, loaded.problems, about)


def _rows(data: str) -> tuple[Iterator[tuple[str, Any]], str]:
    """The rows behind a path or a name, and where they are from."""
    if not data.strip():
        raise UsageError("the data has no name: pass a file, a folder, or leave it out for the default")
    path = Path(data).expanduser()
    if path.is_dir():
        return _rows_of_folder(path), f"the folder `{path.name}`"
    if path.exists():
        if not path.name.endswith(json_lines.SUFFIXES):
            known = ", ".join(json_lines.SUFFIXES)
            raise UsageError(f"{data} is no file of records: such files end with one of {known}")
        return json_lines.read_file(path), f"the file `{path.name}`"
    folder, _, split = data.rpartition(":")
    if folder and Path(folder).expanduser().is_dir() and hub.is_saved(Path(folder).expanduser()):
        saved = Path(folder).expanduser()
        return hub.read_saved(saved, split), f"the split `{split}` of the dataset in the folder `{saved.name}`"
    _refuse_misspelt(data)
    return hub.read_named(data), f"the dataset `{data}`"


def _rows_of_folder(folder: Path) -> Iterator[tuple[str, Any]]:
    if hub.is_saved(folder):
        return hub.read_saved(folder)
    if not json_lines.find_files(folder):
        raise UsageError(f"the folder {folder} holds no file that ends with one of {', '.join(json_lines.SUFFIXES)}")
    return json_lines.read_folder(folder)


def _refuse_misspelt(data: str) -> None:
    if data.endswith(json_lines.SUFFIXES) or not hub.is_name(data):
        raise UsageError(f"there is no file or folder {data}")
    meant = did_you_mean(data.replace("_", "-"), (standard_library.NAME, reviews.NAME), cutoff=0.8)
    if meant:
        raise UsageError(f"there is no data called {data}{meant}")
