"""What is remembered: exactly what was found, for as long as nothing that it depends on has changed."""

import dataclasses
import json
import os
import subprocess
import sys
import sysconfig
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from shapeguard import cache, check
from shapeguard.cache import FOLDER, open_cache
from shapeguard.check import check_paths
from shapeguard.config import Config
from shapeguard.diagnostics import Diagnostic, Edit, Fix, Span, Tracking
from shapeguard.results import plain, restored

FITS = "import torch\n\ndef make():\n    return torch.zeros(2, 3)\n"
FAILS = "import torch\n\ndef make():\n    return torch.zeros(2, 5)\n"
USES = "import torch\nfrom pkg.middle import make\n\ndef use():\n    return make() @ torch.zeros(3, 4)\n"
PROJECT = {
    "pkg/__init__.py": "",
    "pkg/deep.py": FITS,
    "pkg/middle.py": "from pkg.deep import make\n",
    "pkg/uses.py": USES,
    "pkg/wrong.py": "import torch\nimport torch.nn.functional as F\n\n"
    "p = F.softmax(torch.zeros(2, 5))\nq = p @ p  # ü\n\ndef f(x):\n    return x.unheard_of()\n",
    "plain.py": "x = 1\n",
}


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, text in PROJECT.items():
        write(name, text)


@pytest.fixture
def looked_at(monkeypatch):
    """The files that are checked and not remembered."""
    found = []

    def look(path, *rest):
        found.append(Path(path).name)
        return checked(path, *rest)

    checked = check.check_file
    monkeypatch.setattr(check, "check_file", look)
    return found


def write(name, text):
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")


def remembering(*paths, **settings):
    return check_paths(paths or ["."], Config(root=str(Path.cwd()), **settings), cached=True)


def anew(*paths, **settings):
    return check_paths(paths or ["."], Config(root=str(Path.cwd()), **settings))


def stored():
    return sorted(Path(FOLDER).glob("*.json"))


def codes_of(outcome):
    return [each.code for each in outcome.diagnostics]


def test_what_is_remembered_is_what_was_found(looked_at):
    first = remembering()
    assert first == anew()
    assert {"SG301", "SG401"} <= set(codes_of(first))
    assert any(each.fix for each in first.diagnostics)
    assert first.tracking.expressions
    looked_at.clear()
    assert remembering() == first
    assert looked_at == []


def test_real_code_is_remembered_exactly(looked_at):
    models = Path(sysconfig.get_path("purelib"), "transformers", "models")
    paths = [str(models / name) for name in ("bert", "gpt2", "t5")]
    first = remembering(*paths, preview=True)
    assert first == anew(*paths, preview=True)
    assert first.tracking.expressions > 1000
    looked_at.clear()
    assert remembering(*paths, preview=True) == first
    assert looked_at == []


def test_everything_about_a_finding_is_kept():
    fix = Fix("Name it", (Edit(Span(1, 2, 3, 4), "a\n\ud800ü"), Edit(Span(5, 1, 5, 1), "")), "safe")
    full = Diagnostic(
        "a.py",
        Span(1, 2, 3, 4),
        "SG101",
        "bare-squeeze",
        "message",
        ("one", "two"),
        "hint",
        fix,
        3,
        "info",
        preview=True,
    )
    bare = Diagnostic("a.py", Span(1, 1, 1, 1), "SG101", "bare-squeeze", "message")
    tracking = Tracking(5, 4, 3, {"f(x)": 2}, ("a.py: f", "a.py: "))
    kept = json.loads(json.dumps(plain(((full, bare), tracking), "a.py")))
    assert restored(kept, "a.py") == ((full, bare), tracking)
    moved = replace(full, path="./a.py")
    assert restored(kept, "./a.py")[0][0] == moved
    # What is added to these is to be kept too.
    names = [{field.name for field in dataclasses.fields(kind)} for kind in (Diagnostic, Fix, Edit, Span, Tracking)]
    assert list(map(len, names)) == [11, 3, 2, 4, 5]


@pytest.mark.parametrize("change", ["deep", "gone", "shadowed", "itself"])
def test_what_a_file_depends_on_is_noticed(change, looked_at):
    assert "SG301" not in codes_of(remembering("pkg/uses.py"))
    match change:
        case "deep":
            write("pkg/deep.py", FAILS)
        case "gone":
            Path("pkg/deep.py").unlink()
        case "shadowed":  # a module is found before a package of the same name
            write("pkg/deep/__init__.py", FAILS)
            Path("pkg/deep.py").unlink()
        case "itself":
            write("pkg/uses.py", USES.replace("make()", "make().T"))
    looked_at.clear()
    changed = remembering("pkg/uses.py")
    assert looked_at == ["uses.py"]
    assert changed == anew("pkg/uses.py")
    assert ("SG301" in codes_of(changed)) == (change != "gone")
    looked_at.clear()
    assert remembering("pkg/uses.py") == changed
    assert looked_at == []


def test_module_that_was_missing_is_noticed():
    write("pkg/uses.py", USES.replace("pkg.middle", "pkg.later"))
    assert codes_of(remembering()) == codes_of(anew())
    write("pkg/later.py", FAILS)
    changed = remembering()
    assert next(each.path for each in changed.diagnostics if each.code == "SG301") == "pkg/uses.py"
    assert changed == anew()


def test_package_around_a_file_is_noticed():
    write("outer/pkg/__init__.py", "")
    write("outer/pkg/middle.py", FAILS)
    write("outer/pkg/uses.py", USES)
    assert "SG301" in codes_of(remembering("outer/pkg/uses.py"))
    write("outer/__init__.py", "")  # the file is outer.pkg.uses now, and imports nothing of its own project
    assert remembering("outer/pkg/uses.py") == anew("outer/pkg/uses.py")
    assert codes_of(remembering("outer/pkg/uses.py")) == []


def test_only_what_depends_on_a_change_is_checked_again(looked_at):
    remembering()
    looked_at.clear()
    write("pkg/deep.py", f"{FITS}# still\n")
    remembering()
    assert sorted(looked_at) == ["deep.py", "middle.py", "uses.py"]


def test_change_is_noticed_by_a_run_over_other_files():
    remembering()
    write("pkg/deep.py", FAILS)
    write("pkg/other.py", USES)
    assert "SG301" in codes_of(remembering("pkg/other.py"))
    assert remembering() == anew()


def test_touching_a_file_changes_nothing(looked_at):
    first = remembering()
    looked_at.clear()
    for name in PROJECT:
        os.utime(name, ns=(1, 1))
    assert remembering() == first
    assert looked_at == []


def test_change_within_the_tick_of_a_clock_is_noticed():
    for name in PROJECT:
        os.utime(name, ns=(1, 1))
    remembering()
    write("pkg/deep.py", FAILS)  # of the same size
    os.utime("pkg/deep.py", ns=(1, 1))
    assert "SG301" in codes_of(remembering("pkg/uses.py"))


def test_settings_are_remembered_apart(looked_at):
    for settings in (
        {},
        {"select": ("SG301",)},
        {"ignore": ("SG301",)},
        {"per_file_ignores": (("pkg/wrong.py", ("SG301",)),)},
        {"preview": True},
    ):
        for _ in range(2):
            looked_at.clear()
            assert remembering(**settings) == anew(**settings)
        looked_at.clear()
        remembering(**settings)
        assert looked_at == []
    looked_at.clear()
    remembering(exclude=("plain.py",), output_format="json", baseline="known.json")
    assert looked_at == []


def test_settings_that_are_long_unused_are_forgotten(monkeypatch):
    monkeypatch.setattr(cache, "_MOST_SETTINGS", 2)
    for select in ("SG301", "SG302", "SG303"):
        remembering(select=(select,))
    assert len(stored()) == 2


@pytest.mark.parametrize("what", ["shapeguard", "python"])
def test_other_versions_begin_anew(what, monkeypatch, looked_at):
    remembering()
    looked_at.clear()
    if what == "shapeguard":
        monkeypatch.setattr(cache, "_ours", lambda: ("0.0", 0))
    else:
        monkeypatch.setattr(sys, "version", "3.99")
    remembering()
    assert len(looked_at) == len(PROJECT)
    assert len(stored()) == 1


def test_change_to_shapeguard_is_a_change_of_version(tmp_path, monkeypatch):
    (tmp_path / "tool").mkdir()
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "tool" / "cache.py"))
    before = cache._ours()
    write(tmp_path / "tool" / "rules" / "new.py", "")
    assert cache._ours() != before


def test_files_that_could_not_be_read_are_not_remembered(looked_at):
    Path("bad.py").write_bytes(b"import torch\n# \xff\n")
    assert codes_of(remembering("bad.py")) == ["SG001"]
    looked_at.clear()
    assert codes_of(remembering("bad.py")) == ["SG001"]
    assert looked_at == ["bad.py"]


def test_path_is_reported_as_it_is_given(tmp_path):
    assert {each.path for each in remembering("pkg/wrong.py").diagnostics} == {"pkg/wrong.py"}
    whole = str(tmp_path / "pkg" / "wrong.py")
    assert {each.path for each in remembering(whole).diagnostics} == {whole}
    assert remembering(whole) == anew(whole)


def damaged(text):
    header, paths, *_ = text.split("\n")
    yield ""
    yield text[: len(text) // 2]
    yield text[:-1]
    yield text.replace("SG301", "SG302")
    yield "{}\n[]"
    yield "[" * 100_000
    yield "\x00" * 100
    yield f"{header}\n{paths}"


def forged(text):
    """Files of which the checksum is right."""
    _, paths, *lines = text.split("\n")
    key = json.loads(text.split("\n", 1)[0])[0]
    for bad in ("[]", "1", "null", "[1,2,3,4,5,6]", '["", null, [-1], [99999], ["x"], 7]', "[" * 100_000):
        yield key, [paths, *(bad for _ in lines)]
    yield key, ["[1, null, []]", *lines]
    yield key, ["7", *lines]
    for old, new in (('"SG', '3,"SG'), ('"error"', '"fatal"'), ("false", "0"), ("[[[", "[[["[:2])):
        yield key, [paths, *(line.replace(old, new) for line in lines)]


def test_damaged_file_is_ignored_and_written_anew(capfd):
    first = remembering()
    (file,) = stored()
    whole = file.read_text(encoding="ascii")
    for text in damaged(whole):
        file.write_text(text, encoding="ascii")
        assert remembering() == first
        assert file.read_text(encoding="ascii").count("\n") == whole.count("\n")
    for key, lines in forged(whole):
        body = "\n".join(lines)
        file.write_text(f"{json.dumps([key, zlib.crc32(body.encode())])}\n{body}", encoding="ascii")
        assert remembering() == first
    assert capfd.readouterr() == ("", "")


def test_folder_that_cannot_be_written_is_no_matter(capfd):
    first = anew()
    Path(FOLDER).write_text("in the way")
    assert remembering() == first
    Path(FOLDER).unlink()
    remembering()
    (file,) = stored()
    file.unlink()
    file.mkdir()
    assert remembering() == first
    assert capfd.readouterr() == ("", "")
    assert not [path for path in Path(FOLDER).iterdir() if path.name.startswith(f".{file.name}")]


def test_folder_is_passed_over_by_others():
    remembering()
    assert Path(FOLDER, ".gitignore").read_text() == "*\n"
    assert Path(FOLDER, "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert Path(FOLDER).parent == Path()


def test_folder_is_where_the_configuration_says(tmp_path):
    remembering(cache_dir="build/remembered")
    assert list(Path("build/remembered").glob("*.json"))
    assert not Path(FOLDER).exists()
    remembering(cache_dir=str(tmp_path / "elsewhere"))
    assert list(Path("elsewhere").glob("*.json"))


def test_nothing_is_written_unless_it_is_asked_for():
    anew()
    assert not Path(FOLDER).exists()


def test_deleted_files_are_forgotten():
    remembering()
    (file,) = stored()
    Path("pkg/wrong.py").unlink()
    write("plain.py", "x = 2\n")
    remembering()
    assert "wrong.py" not in file.read_text(encoding="ascii")


def test_file_that_changes_during_the_run_is_not_remembered():
    memory = open_cache(Config(root=str(Path.cwd())))
    traces = [cache.Trace(digest, set(), set(), set()) for digest in ("1", "2")]
    place = str(Path("plain.py").absolute())
    for trace in traces:
        memory.add({"plain.py": ((), Tracking())}, {place: trace})
    memory.save()
    assert "plain.py" not in stored()[0].read_text(encoding="ascii")


def test_many_processes_remember_what_one_does(looked_at):
    for number in range(30):
        write(f"pkg/m{number}.py", USES.replace("make()", "make().T" if number % 2 else "make()"))
    config = Config(root=str(Path.cwd()))
    first = check_paths(["."], config, jobs=2, cached=True)
    assert looked_at == []
    assert check_paths(["."], config, jobs=1, cached=True) == first == anew()
    looked_at.clear()
    write("pkg/deep.py", FAILS)
    again = check_paths(["."], config, jobs=2, cached=True)
    assert again == anew()
    assert again.diagnostics != first.diagnostics


def test_two_at_once_leave_a_whole_file():
    first = anew()
    errors = []

    def work(select):
        for number in range(8):
            write(f"{select}.py", f"x = {number}\n")
            if remembering(".", select=("SG3",)).diagnostics != expected:
                errors.append(number)

    expected = tuple(each for each in first.diagnostics if each.code.startswith("SG3"))
    command = [sys.executable, "-c", TWICE]
    others = [subprocess.Popen([*command, str(number)]) for number in range(2)]
    thread = threading.Thread(target=work, args=("here",))
    thread.start()
    thread.join()
    assert [other.wait(60) for other in others] == [0, 0]
    assert errors == []
    (file,) = stored()
    assert cache._read(file, open_cache(Config(root=str(Path.cwd()), select=("SG3",))).key)


TWICE = """
import pathlib, sys
from shapeguard.check import check_paths
from shapeguard.config import Config
for number in range(8):
    pathlib.Path(f"other{sys.argv[1]}.py").write_text(f"x = {number}")
    check_paths(["."], Config(root=str(pathlib.Path.cwd()), select=("SG3",)), jobs=1, cached=True)
"""


def test_run_that_knows_everything_loads_no_rule():
    remembering()
    program = """
import sys
from pathlib import Path
from shapeguard.check import check_paths
from shapeguard.config import Config
assert check_paths(["."], Config(root=str(Path.cwd())), cached=True).files == 6
loaded = [name for name in sys.modules if name.startswith(("shapeguard.rules", "shapeguard.ops", "shapeguard.infer.i"))]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True)
