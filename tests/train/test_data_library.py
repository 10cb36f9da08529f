"""What is made from the standard library: right bodies, and wrong ones of the same length."""

import ast
import hashlib
import random
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

from shapeguard.config import UsageError
from shapeguard.train.data.load import PAIRS, load
from shapeguard.train.data.spoiling import spoil_assignment, spoil_comparison, spoil_order
from shapeguard.train.data.standard_library import library_pairs, library_prompts, library_texts


@pytest.fixture(scope="module")
def pairs():
    return library_pairs().records


def chance(seed):
    return random.Random(seed)  # noqa: S311 - no secret


def function_of(source):
    lines = textwrap.dedent(source).strip().splitlines()
    return ast.parse("\n".join(lines)).body[0], lines


def test_thousands_of_pairs_with_nothing_in_their_length(pairs):
    assert len(pairs) > 3000
    assert all(len(pair.chosen) == len(pair.rejected) for pair in pairs)
    assert all(pair.chosen != pair.rejected for pair in pairs)
    assert len({pair.place for pair in pairs}) == len(pairs)


def test_both_bodies_are_python_and_not_the_same_program(pairs):
    for pair in chance(0).sample(pairs, 300):
        right, wrong = ast.parse(pair.prompt + pair.chosen), ast.parse(pair.prompt + pair.rejected)
        assert ast.dump(right) != ast.dump(wrong)
        assert len(right.body) == 1


def test_the_chosen_one_stands_in_the_library(pairs):
    for pair in chance(1).sample(pairs, 50):
        file, _, line = pair.place.rpartition(":")
        text = Path(sysconfig.get_path("stdlib"), file).read_text(encoding="utf-8")
        near = [other.strip() for other in text.splitlines()[: int(line) + 60]]
        assert all(statement.strip() in near for statement in pair.chosen.splitlines())
    assert not any(pair.place.startswith(("test/", "lib2to3/", "site-packages/")) for pair in pairs)


def test_statements_in_an_order_that_cannot_work():
    node, _ = function_of("""
        def f(a):
            b = a
            c = b
            return c
    """)
    for seed in range(20):
        order = spoil_order(node, node.body, chance(seed))
        assert order is not None
        arranged = ast.Module([ast.FunctionDef("f", node.args, order, [], lineno=1, col_offset=0)], [])
        space = {}
        exec(compile(arranged, "f", "exec"), space)  # noqa: S102
        try:
            value = space["f"](1)
        except UnboundLocalError:
            continue
        # It works, and something is behind its return.
        assert not isinstance(order[-1], ast.Return)
        assert value == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f(a):\n    return a",
        "def f(a):\n    g(a)\n    h(a)",  # any order works
        "def f():\n    global a\n    a = 1\n    g(a)",  # `a` may have a value before
        "def f():\n    g(lambda: a)\n    a = 1",  # read when it is called
        "def f():\n    return 1\n    g()",  # not right as it stands
        "def f(s):\n    g([x for x in s])\n    x = 1",  # a name of its own
    ],
)
def test_no_order_is_called_wrong_that_may_work(source):
    node, _ = function_of(source)
    assert spoil_order(node, node.body, chance(0)) is None


@pytest.mark.parametrize(
    ("line", "turned"),
    [
        ("self.x = x", "x = self.x"),
        ("first = a.b.c", "a.b.c = first"),
        ("x = 1", None),
        ("x = None", None),
        ("x = x", None),
        ("x = y = z", None),
        ("x, y = z", None),
        ("x =  y", None),
        ("é = x", None),
        ("x[0] = y", None),
    ],
)
def test_assignments_turned_round(line, turned):
    node, lines = function_of(f"def f():\n    {line}  # and so on")
    assert spoil_assignment(node, lines, chance(0)) == (turned and (2, f"    {turned}  # and so on"))


@pytest.mark.parametrize(
    ("line", "turned"),
    [
        ("return a == b", "return a != b"),
        ("if a(1 < 2)[0] <= b: pass", None),  # which of the two it is, chance decides
        ("return x < 3 and y", "return x > 3 and y"),
        ("return x >= -1", "return x <= -1"),
        ("return x is None", None),
        ("return 1 < x < 2", None),
        ("return x==1", None),
        ("return '== ' == x", "return '== ' != x"),
    ],
)
def test_comparisons_turned_round(line, turned):
    node, lines = function_of(f"def f():\n    {line}")
    changed = spoil_comparison(node, lines, chance(0))
    if "(1 < 2)" in line:
        assert changed in ((2, "    if a(1 > 2)[0] <= b: pass"), (2, "    if a(1 < 2)[0] >= b: pass"))
    else:
        assert changed == (turned and (2, f"    {turned}"))


def test_files_that_do_not_parse_are_passed_over(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "bytes.py").write_bytes(b"x = '\xff'\n")
    (tmp_path / "null.py").write_bytes(b"x = 1\0\n")
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "left_out.py").write_text("def left_out(self, x):\n    self.x = x\n    return self.x\n")
    source = "\ufeffclass C:\r\n    def f(self, x):\r\n        # a remark\r\n        self.x = x\r\n\r\n        return self.x\r\n"
    (tmp_path / "mark.py").write_bytes(source.encode())
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (text,) = library_texts().records
    assert (text.prompt, text.text) == ("def f(self, x):\n", "    self.x = x\n    return self.x")
    assert text.place == "mark.py:2"
    (tmp_path / "said.py").write_text(
        'def f(x):\n    """Say\n    what.\n\n    More.\n    """\n    return x + " more"\n'
    )
    (prompt,) = library_prompts().records
    assert (prompt.prompt, prompt.text) == ('def f(x):\n    """Say what."""\n', "")
    (tmp_path / "said.py").unlink()
    (tmp_path / "mark.py").unlink()
    with pytest.raises(UsageError, match="isn't there as files"):
        library_texts()


PROGRAM = """
import hashlib
from shapeguard.train.data.standard_library import library_pairs
print(hashlib.sha256(repr(library_pairs().records).encode()).hexdigest())
"""


def test_the_same_in_every_process(pairs):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"}
    )
    assert done.stdout.strip() == hashlib.sha256(repr(pairs).encode()).hexdigest()


@pytest.mark.slow
def test_texts_and_a_split():
    texts = library_texts().records
    assert len(texts) > 6000
    assert all(text.prompt.endswith("\n") and text.text.startswith("    ") for text in texts)
    split = load(PAIRS, "standard-library")
    assert len(split.held_out) == pytest.approx(len(split.train) / 9, abs=5)
