"""Each edit that breaks a model or a loss is caught by somebody, and the table says by whom."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import mutations

TABLE = Path(__file__).with_suffix("").with_name("mutations.csv")


@pytest.mark.slow
def test_every_edit_is_caught_by_those_in_the_table(request):
    # Everything in it is tiny: threads would only wait for each other.
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, mutations.__file__], env=one_thread, stdout=subprocess.PIPE, text=True, check=True
    )
    untouched, *caught = [mutations.Catch(*json.loads(line)) for line in ran.stdout.splitlines()]
    assert not any(untouched), f"without an edit: {untouched}"
    missed = [edit for edit, catch in zip(mutations.MUTATIONS, caught, strict=True) if not any(catch)]
    assert not missed, f"caught by nobody: {missed}"

    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(mutations.Mutation._fields + mutations.Catch._fields)
    writer.writerows(edit + catch for edit, catch in zip(mutations.MUTATIONS, caught, strict=True))
    if request.config.getoption("--rewrite"):
        TABLE.write_text(table.getvalue())
    assert table.getvalue() == TABLE.read_text(), "pytest -m slow --rewrite writes the table anew"


def test_the_table_has_every_edit_once():
    with TABLE.open(newline="") as file:
        rows = [tuple(row[:3]) for row in csv.reader(file)][1:]
    assert rows == [tuple(edit) for edit in mutations.MUTATIONS]
    assert len(set(rows)) == len(rows) >= 40


@pytest.mark.parametrize("edit", mutations.MUTATIONS, ids=lambda edit: f"{edit.file}: {edit.old}")
def test_each_edit_can_be_made(edit):
    assert (mutations.PACKAGE / edit.file).read_text().count(edit.old) == 1
