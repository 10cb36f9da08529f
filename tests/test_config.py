"""[tool.shapeguard]: where it is looked for, and what it may say."""

import re

import pytest

from shapeguard.config import Config, UsageError, read_config


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


def test_every_key(tmp_path):
    write(
        tmp_path,
        """
[tool.shapeguard]
select = ["SG3"]
ignore = ["shape-not-proven"]
exclude = ["build", "docs/**"]
output-format = "github"
[tool.shapeguard.per-file-ignores]
"tests/**" = ["SG301"]
""",
    )
    assert read_config([str(tmp_path)]) == Config(
        select=("SG3",),
        ignore=("shape-not-proven",),
        exclude=("build", "docs/**"),
        per_file_ignores=(("tests/**", ("SG301",)),),
        output_format="github",
        root=str(tmp_path),
    )


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
            "[tool.shapeguard] has no key `selekt`; its keys are select, ignore, exclude, per-file-ignores, output-format",
        ),
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
            '`output-format` in [tool.shapeguard] is "xml"; it must be one of text, json, github, sarif',
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
        ("[tool.shapeguard]\nexclude = ['[z-a]']", '"[z-a]" in [tool.shapeguard] is no glob: bad character range z-a'),
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


def test_tool_that_is_no_table_says_nothing(tmp_path):
    write(tmp_path, "tool = 1")
    assert read_config([str(tmp_path)]).select == ("ALL",)


def test_ignored_in_some_files():
    config = Config(per_file_ignores=(("tests", ("SG301",)), ("*_old.py", ("SG302",)), ("a/b.py", ("SG303",))))
    assert config.ignored_in("pkg/tests/x_old.py") == ("SG301", "SG302")
    assert config.ignored_in("a/b.py") == ("SG303",)
    assert config.ignored_in("c/a/b.py") == ()
