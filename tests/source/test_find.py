"""Which files are found, what globs pick, and what is ignored where."""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from shapeguard.config import Config, UsageError
from shapeguard.source.find import find_files, ignored_in
from shapeguard.source.globs import matches, matches_below
from shapeguard.source.read import read_source


@pytest.fixture
def tree(tmp_path, monkeypatch):
    folder = tmp_path / "tree"
    for name in (
        "a.py",
        "b.ipynb",
        "c.txt",
        ".hidden.py",
        "pkg/z.py",
        "pkg/sub/y.py",
        "pkg/__pycache__/y.py",
        ".git/g.py",
        "node_modules/n.py",
        "env/pyvenv.cfg",
        "env/lib/e.py",
        "build/lib/a.py",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("", encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_files_below_a_folder_in_order(tree):
    everything = ["a.py", "b.ipynb", "build/lib/a.py", "pkg/sub/y.py", "pkg/z.py"]
    assert find_files(["."], Config()) == everything
    assert find_files([str(tree)], Config()) == [str(tree / name) for name in everything]
    assert find_files(["./pkg/"], Config()) == ["pkg/sub/y.py", "pkg/z.py"]
    assert find_files([".."], Config(root="pkg")) == [f"../{tree.name}/{name}" for name in everything]


def test_named_files_are_always_taken_and_once(tree):
    config = Config(exclude=("*",))
    assert find_files(["c.txt", "./c.txt", ".hidden.py"], config) == ["c.txt", ".hidden.py"]
    assert find_files([".git"], Config()) == [".git/g.py"]
    assert find_files(["pkg/z.py", "pkg"], Config()) == ["pkg/z.py", "pkg/sub/y.py"]
    assert find_files(["build"], Config(exclude=("build/",), root=str(tree))) == ["build/lib/a.py"]


@pytest.mark.parametrize(
    ("globs", "left"),
    [
        (("build",), ["a.py", "b.ipynb", "pkg/sub/y.py", "pkg/z.py"]),
        (("*.ipynb", "build/"), ["a.py", "pkg/sub/y.py", "pkg/z.py"]),
        (("pkg/*.py", "/build"), ["a.py", "b.ipynb", "pkg/sub/y.py"]),
        (("pkg/**", "build/lib"), ["a.py", "b.ipynb"]),
        (("**/y.py", "./build"), ["a.py", "b.ipynb", "pkg/z.py"]),
        (("[!b]*", "build"), ["b.ipynb"]),
        (("sub", "?.py"), ["b.ipynb"]),
        (("*.py", "!z.py"), ["b.ipynb", "pkg/z.py"]),
        (("pkg", "!pkg/z.py", "build"), ["a.py", "b.ipynb"]),
        (("*", "!.hidden.py", "!node_modules/", "!n.py"), [".hidden.py", "node_modules/n.py"]),
        (("lib/a.py", "#", "", "a.py/"), ["a.py", "b.ipynb", "build/lib/a.py", "pkg/sub/y.py", "pkg/z.py"]),
    ],
)
def test_excluded_by_globs(tree, globs, left):
    assert find_files(["."], Config(exclude=globs, root=str(tree))) == left
    assert find_files(["."], Config(exclude=globs[:1], extend_exclude=globs[1:], root=str(tree))) == left


def test_what_is_named_can_be_passed_over_too(tree):
    config = Config(exclude=("build/",), extend_exclude=("!.git",), force_exclude=True, root=str(tree))
    named = ["a.py", "build/lib/a.py", "build", ".git/g.py", ".hidden.py", "node_modules/n.py", "env/lib/e.py"]
    assert find_files(named, config) == ["a.py", ".git/g.py"]
    assert find_files(["."], config) == [".git/g.py", "a.py", "b.ipynb", "pkg/sub/y.py", "pkg/z.py"]
    assert find_files(["build"], config) == []
    assert find_files([".."], Config(force_exclude=True, root=str(tree / "pkg")))


def test_ignored_in_some_files():
    config = Config(
        per_file_ignores=(("tests", ("SG301",)), ("*_old.py", ("SG302",)), ("a/b.py", ("SG303",)), ("!a/", ("SG304",)))
    )
    assert ignored_in("pkg/tests/x_old.py", config) == ("SG301", "SG302", "SG304")
    assert ignored_in("a/b.py", config) == ("SG303",)
    assert ignored_in("c/a/b.py", config) == ()


# Odd files


def test_links_to_folders_are_not_followed(tree):
    (tree / "pkg" / "loop").symlink_to(tree)
    (tree / "pkg" / "gone.py").symlink_to(tree / "nowhere")
    assert find_files(["pkg"], Config()) == ["pkg/sub/y.py", "pkg/z.py"]
    assert find_files(["pkg/loop/pkg"], Config()) == ["pkg/loop/pkg/sub/y.py", "pkg/loop/pkg/z.py"]


def test_link_to_itself_stands_among_the_files(tree):
    (tree / "pkg" / "self.py").symlink_to(tree / "pkg" / "self.py")
    assert find_files(["pkg"], Config()) == ["pkg/self.py", "pkg/sub/y.py", "pkg/z.py"]
    assert "symbolic links" in read_source("pkg/self.py").message
    assert find_files(["pkg/self.py"], Config()) == ["pkg/self.py"]


def test_pipes_and_sockets_are_passed_over(tree, monkeypatch):
    os.mkfifo(tree / "pkg" / "pipe.py")
    monkeypatch.chdir(tree / "pkg")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.py")
        assert find_files(["."], Config()) == ["sub/y.py", "z.py"]


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes UTF-8 alone")
def test_names_that_are_not_utf8(tree):
    name = os.fsdecode(b"\xff.py")
    (tree / "pkg" / name).write_text("", encoding="utf-8")
    assert find_files(["pkg"], Config()) == ["pkg/sub/y.py", "pkg/z.py", f"pkg/{name}"]
    assert find_files(["pkg"], Config(exclude=("pkg/*.py",), root=str(tree))) == ["pkg/sub/y.py"]


@pytest.fixture
def deep(tree, monkeypatch):
    for _ in range(1200):
        os.mkdir("d")  # noqa: PTH102 - a path of so many parts is too long
        monkeypatch.chdir("d")
    Path("deep.py").touch()
    monkeypatch.chdir(tree)
    yield
    # What cleans up after tests doesn't get so deep.
    for _ in range(1200):
        monkeypatch.chdir("d")
    Path("deep.py").unlink()
    for _ in range(1200):
        monkeypatch.chdir("..")
        Path("d").rmdir()


@pytest.mark.usefixtures("deep")
def test_folders_a_thousand_deep():
    (found,) = find_files(["d"], Config())
    assert found == "d/" * 1200 + "deep.py"


def test_path_that_is_not_there_is_refused(tree):
    with pytest.raises(UsageError, match=r"^no such file or folder: gone\.py$"):
        find_files(["a.py", "gone.py"], Config())


def test_folder_that_cannot_be_listed_stands_among_the_files(tree, monkeypatch):
    listing = os.scandir

    def refuse(folder):
        if str(folder).endswith("sub"):
            raise PermissionError
        return listing(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_files(["pkg"], Config()) == ["pkg/sub", "pkg/z.py"]


# Globs


@pytest.mark.parametrize(
    ("glob", "path", "picked"),
    [
        ("a b  ", "a b", True),
        ("a\\ ", "a ", True),
        ("a\\\\ ", "a\\", True),
        ("\\!a", "!a", True),
        ("\\#a", "#a", True),
        ("a\\", "a", False),
        ("[a", "[a", False),
        ("[[:alpha:]]", "x", True),
        ("[[:alpha:]]", "1", False),
        ("[]-]", "]", True),
        ("[!a]", "/", False),
        ("x[/]y", "x/y", False),
        ("[z-a]", "z", False),
        ("**", "a/b", True),
        ("a/**", "a", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/x/y/b", True),
        ("a/*/b", "a/x/y/b", False),
        ("a**b", "axb", True),
        ("./a", "x/a", False),
    ],
)
def test_glob_picks(glob, path, picked):
    assert matches(path, (glob,)) is picked


PIECES = (
    *("a", "b", "ab", ".py", "*", "*", "**", "?", "/", "/", "[ab]", "[!a]", "[^b]", "[a-c]", "\\a", "\\*", "]", "-"),
    *("[[:alpha:]]", "[]a]", "[z-a]", "[a-]", "[\\]]", "[", " ", "\\ ", "[[:foo:]]", "***", "/**/", "**/", "/**", "#"),
    *("\\#", "\\!", "[[:punct:]]", "[a-\\c]", "[[a]", "[!-a]", "\\", "[[:upper:]b]", "[[:digit:]-z]", ".", "[a/b]"),
)
NAMES = ("a", "b", "ab", "a.py", "b.py", "ab.py", ".h", "a b", "x-y", "[a]", "a]", "!a", "#a", "A", "a\\b", "a*")
# git cuts off the letters that a glob begins with, and then takes `**/` after them for one at the beginning; and it
# knows no `./`.
ODD_IN_GIT = re.compile(r"[^/]\*\*+/|^!?\./")


GIT = shutil.which("git")


def random_glob(chance):
    glob = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 5)))
    return f"{'!' if chance.random() < 0.25 else ''}{glob}{'/' if chance.random() < 0.2 else ''}"


def random_tree(root, chance, above="", depth=0):
    for name in chance.sample(NAMES, 9 if depth < 2 else 4):
        path = f"{above}{name}"
        is_folder = depth < 3 and chance.random() < 0.45
        if is_folder:
            (root / path).mkdir()
            yield from random_tree(root, chance, f"{path}/", depth + 1)
        else:
            (root / path).touch()
        yield path, is_folder


@pytest.mark.skipif(GIT is None, reason="git is the reference")
@pytest.mark.parametrize("seed", range(4))
def test_globs_pick_what_git_ignores(tmp_path, seed):
    chance = random.Random(seed)  # noqa: S311 - nothing here is secret
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run([GIT, "init", "-q", str(tmp_path)], check=True, env=environment)
    paths = list(random_tree(tmp_path, chance))
    asked = "".join(f"{path}\0" for path, _ in paths)
    for _ in range(80):
        globs = [glob for glob in (random_glob(chance) for _ in range(5)) if not ODD_IN_GIT.search(glob)]
        (tmp_path / ".gitignore").write_text("".join(f"{glob}\n" for glob in globs), encoding="utf-8")
        ran = subprocess.run(
            [GIT, "check-ignore", "--no-index", "--stdin", "-z"],
            check=False,
            input=asked,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert ran.returncode in (0, 1)
        ignored = set(ran.stdout.split("\0")) - {""}
        assert {path for path, is_folder in paths if matches_below(path, globs, is_folder=is_folder)} == ignored, globs
