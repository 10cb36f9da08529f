"""Datasets by name and in folders, where the package `datasets` is installed, and what is said where it isn't."""

from importlib.util import find_spec

import pytest

from shapeguard.config import UsageError
from shapeguard.train.data.hub import is_name
from shapeguard.train.data.load import PAIRS, TEXTS, load

INSTALLED = find_spec("datasets") is not None
ROWS = {"chosen": [f"good {n}" for n in range(9)] + [None], "rejected": [f"bad {n}" for n in range(9)] + ["bad"]}


@pytest.mark.parametrize(
    "name", ["imdb", "owner/name", "owner/name:test", "owner/name/config:train[:10%]", "a-b/c.d_e"]
)
def test_names(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "./folder", "../x", "a b", "a/b/c/d", "/home/me/data", "~/data", "a:b:c"])
def test_no_names(name):
    assert not is_name(name)


@pytest.mark.skipif(INSTALLED, reason="it is installed")
def test_how_to_install_it(tmp_path):
    with pytest.raises(UsageError, match=r"^no file and no folder is called owner/name, .*: pip install datasets$"):
        load(PAIRS, "owner/name")
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(UsageError, match=r"which isn't installed: pip install datasets$"):
        load(PAIRS, str(tmp_path))


@pytest.mark.skipif(not INSTALLED, reason="it isn't installed")
def test_a_folder_that_datasets_has_written(tmp_path):
    from datasets import Dataset

    folder = str(tmp_path / "pairs")
    Dataset.from_dict(ROWS).save_to_disk(folder)
    split = load(PAIRS, folder)
    assert len(split.train + split.held_out) == 9
    assert [str(problem) for problem in split.problems] == [f"{folder}[9]: has no `chosen`"]
    assert (split.train + split.held_out)[0].place.startswith(f"{folder}[")
    with pytest.raises(UsageError, match="holds pairs, which `shapeguard train reward` takes, and no texts"):
        load(TEXTS, folder)
    with pytest.raises(UsageError, match="has no splits"):
        load(PAIRS, f"{folder}:test")


@pytest.mark.skipif(not INSTALLED, reason="it isn't installed")
def test_a_folder_with_splits(tmp_path):
    from datasets import Dataset, DatasetDict

    folder = str(tmp_path / "pairs")
    texts = DatasetDict(
        {name: Dataset.from_dict({"text": [f"{name} {n}" for n in range(4)]}) for name in ("train", "test")}
    )
    texts.save_to_disk(folder)
    split = load(TEXTS, folder, held_out=f"{folder}:test")
    assert [text.text for text in split.train] == [f"train {n}" for n in range(4)]
    assert [text.place for text in split.held_out] == [f"{folder}:test[{n}]" for n in range(4)]
    with pytest.raises(UsageError, match=r"has no split `valid`: name one of .*:train, .*:test"):
        load(TEXTS, f"{folder}:valid")


@pytest.mark.skipif(not INSTALLED, reason="it isn't installed")
def test_a_folder_that_is_broken(tmp_path):
    (tmp_path / "dataset_info.json").write_text("{}")
    with pytest.raises(UsageError, match="can't be loaded: "):
        load(PAIRS, str(tmp_path))
