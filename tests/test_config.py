"""[tool.shapeguard]: where it is looked for, and what it may say."""

import os
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from shapeguard.cache import FOLDER
from shapeguard.catalog import chosen_codes
from shapeguard.config import _KEYS, Config, UsageError, read_config


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def test_every_key(tmp_path):
    write(
        tmp_path,
        """
[tool.shapeguard]
select = ["SG3"]
extend-select = ["bare-squeeze"]
ignore = ["shape-not-proven"]
exclude = ["build", "docs/**"]
extend-exclude = ["!docs/a.py"]
force-exclude = true
preview = true
output-format = "github"
baseline = "known.json"
cache-dir = ".cache/shapes"
[tool.shapeguard.per-file-ignores]
"tests/**" = ["SG301"]
[tool.shapeguard.severity]
SG301 = "info"
""",
    )
    assert read_config([str(tmp_path)]) == Config(
        select=("SG3",),
        extend_select=("bare-squeeze",),
        ignore=("shape-not-proven",),
        exclude=("build", "docs/**"),
        extend_exclude=("!docs/a.py",),
        force_exclude=True,
        per_file_ignores=(("tests/**", ("SG301",)),),
        severity=(("SG301", "info"),),
        preview=True,
        output_format="github",
        baseline="known.json",
        cache_dir=".cache/shapes",
        root=str(tmp_path),
    )


def test_every_field_has_a_key():
    assert {field.name for field in fields(Config)} - {"root"} == {key.replace("-", "_") for key in _KEYS}


PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_page_tells_every_key_and_its_default(tmp_path):
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE))
    assert set(rows) == set(_KEYS)
    lines = [f"{key} = {default.strip('`')}" for key, default in rows.items() if default != "none"]
    write(tmp_path, "\n".join(["[tool.shapeguard]", *lines]))
    assert read_config([str(tmp_path)]) == Config(root=str(tmp_path), cache_dir=FOLDER)


def test_the_table_on_the_page_is_one(tmp_path):
    (table,) = re.findall(r"^```toml\n(\[tool\.shapeguard\].*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    write(tmp_path, table)
    chosen_codes(read_config([str(tmp_path)]))
    assert set(tomllib.loads(table)["tool"]["shapeguard"]) == set(_KEYS)


def test_nearest_table_above_every_path_is_taken(tmp_path):
    write(tmp_path, "[tool.shapeguard]\nignore = ['SG301']")
    write(tmp_path / "pkg", "[project]\nname = 'pkg'")
    write(tmp_path / "pkg" / "deep", "[tool.shapeguard]\nignore = ['SG302']")
    assert read_config([str(tmp_path / "pkg" / "deep" / "a.py")]).ignore == ("SG302",)
    assert read_config([str(tmp_path / "pkg")]).ignore == ("SG301",)
    both = [str(tmp_path / "pkg" / "deep"), str(tmp_path / "pkg" / "a.py")]
    assert read_config(both) == Config(ignore=("SG301",), root=str(tmp_path))


def test_without_a_table_everything_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_config([]) == Config(root=str(tmp_path))
    assert Config().select == ("ALL",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "[tool.shapeguard]\nselekt = []",
            "[tool.shapeguard] has no key `selekt`; did you mean `select`?",
        ),
        ("[tool.shapeguard]\nextend_select = []", "has no key `extend_select`; did you mean `extend-select`?"),
        ("[tool.shapeguard]\nwhatever = []", "has no key `whatever`; its keys are select, extend-select, ignore, "),
        (
            "[tool.shapeguard]\nselect = 'SG301'",
            '`select` in [tool.shapeguard] is "SG301"; it must be a list of strings',
        ),
        (
            "[tool.shapeguard]\nexclude = ['a', 1]",
            "`exclude` in [tool.shapeguard] is a list with 1 in it; it must be a list of strings",
        ),
        ("[tool.shapeguard]\nignore = true", "`ignore` in [tool.shapeguard] is true; it must be a list of strings"),
        (
            "[tool.shapeguard]\noutput-format = 'xml'",
            '`output-format` in [tool.shapeguard] is "xml"; it must be one of concise, full, ',
        ),
        (
            "[tool.shapeguard]\nper-file-ignores = []",
            "`per-file-ignores` in [tool.shapeguard] is a list; it must be a table from globs to lists of codes",
        ),
        (
            "[tool.shapeguard.per-file-ignores]\n'a.py' = 'SG301'",
            '`per-file-ignores.a.py` in [tool.shapeguard] is "SG301"; it must be a list of strings',
        ),
        ("[tool]\nshapeguard = 3", "`tool.shapeguard` is 3; it must be a table"),
        ("[tool.shapeguard]\npreview = 1", "`preview` in [tool.shapeguard] is 1; it must be true or false"),
        ("[tool.shapeguard]\nbaseline = true", "`baseline` in [tool.shapeguard] is true; it must be a string"),
        ("[tool.shapeguard]\nseverity = 'info'", '`severity` in [tool.shapeguard] is "info"; it must be a table from'),
        (
            "[tool.shapeguard.severity]\nSG301 = 'fatal'",
            '`severity.SG301` in [tool.shapeguard] is "fatal"; it must be one of error, warning, info',
        ),
    ],
)
def test_wrong_table_is_refused_in_one_sentence(tmp_path, text, sentence):
    write(tmp_path, text)
    with pytest.raises(UsageError, match=re.escape(sentence)) as refused:
        read_config([str(tmp_path)])
    assert str(refused.value).startswith(f"{tmp_path / 'pyproject.toml'}: ")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [b"[tool", b"\xff", b"a = 1\na = 2"])
def test_broken_toml_is_refused_in_one_sentence(tmp_path, data):
    (tmp_path / "pyproject.toml").write_bytes(data)
    with pytest.raises(UsageError, match=rf"^can't read {tmp_path}/pyproject\.toml: ") as refused:
        read_config([str(tmp_path)])
    assert "\n" not in str(refused.value)


def test_folder_that_cannot_be_read_has_no_settings(tmp_path, monkeypatch):
    write(tmp_path, "[tool.shapeguard]\nselect = ['SG3']")
    locked, look = tmp_path / "locked", os.stat
    locked.mkdir()

    def refuse(path, *rest, **how):
        if Path(path).parent == locked:
            raise PermissionError(13, "Permission denied", path)
        return look(path, *rest, **how)

    monkeypatch.setattr(os, "stat", refuse)
    assert read_config([str(locked)]).select == ("SG3",)


def test_tool_that_is_no_table_says_nothing(tmp_path):
    write(tmp_path, "tool = 1")
    assert read_config([str(tmp_path)]).select == ("ALL",)


@pytest.mark.parametrize(
    ("said", "severity"),
    [
        ({}, "warning"),
        ({"SG302": "info", "SG4": "info", "shape-mismatc": "info"}, "warning"),
        ({"SG3": "info"}, "info"),
        ({"ALL": "info"}, "info"),
        ({"SG301": "error", "SG3": "info", "ALL": "info"}, "error"),
        ({"SG3": "info", "shape-mismatch": "error"}, "error"),
    ],
)
def test_severity_is_what_is_said_nearest(said, severity):
    assert Config(severity=tuple(said.items())).severity_of("SG301", "shape-mismatch", "warning") == severity
