"""The benchmarks run, and print what their pages quote; what they measure is nobody's test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_benchmark_of_the_guard_prints_its_table(tmp_path):
    figures = tmp_path / "guard.json"
    command = [sys.executable, "benchmarks/guard.py", "--quick", "--skip-compile", "--json", str(figures)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.startswith("case") and "guard / by hand" in line for line in lines)
    for case in ("2 tensors of 1 axis", "4 tensors of 3 axes", "LSTM forward"):
        assert any(line.startswith(case) for line in lines)
    for result in json.loads(figures.read_text(encoding="utf-8"))["small"]:
        assert "guard" not in result["blind"]
        assert "by hand" not in result["blind"]


def test_benchmark_of_the_checker_prints_its_tables(tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    for name in ("modeling_one.py", "two.py"):
        (code / name).write_text("import torch\n\nx = torch.zeros(2, 3) @ torch.zeros(3, 4)\n")
    figures = tmp_path / "check.json"
    options = ["--path", str(code), "--rounds", "1", "--files", "1", "--json", str(figures)]

    done = subprocess.run(
        [sys.executable, "benchmarks/check.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "code: 2 files, 6 lines" in done.stdout
    for row in ("code: `shapeguard check`, s", "modeling_one.py, 3 lines: s, at most", "times ruff, at most"):
        assert any(line.startswith(f"| {row}") for line in done.stdout.splitlines())
    written = json.loads(figures.read_text(encoding="utf-8"))
    assert {"shapeguard", "ruff", "model", "short", "help"} <= written["seconds"].keys()
    assert all(len(seconds) == 1 for seconds in written["seconds"].values())
    assert len(written["slowest"]) == 1


@pytest.mark.slow
def test_benchmark_of_the_lint_prints_its_tables(tmp_path):
    code = tmp_path / "code"
    code.mkdir()
    for name in ("one.py", "two.py"):
        (code / name).write_text("import torch\n\nx = torch.zeros(2, 3) @ torch.zeros(3, 4)\n")
    figures = tmp_path / "lint.json"
    peer = tmp_path / "flake8"
    peer.write_text("#!/bin/sh\nexit 1\n")
    peer.chmod(0o755)
    options = ["--path", str(code), "--rounds", "1", "--peer-files", "1", f"--flake8={peer}", "--json", str(figures)]

    done = subprocess.run(
        [sys.executable, "benchmarks/lint.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PATH": ""},
    )

    assert done.returncode == 0, done.stderr
    assert "code: 2 files, 6 lines" in done.stdout
    for name in ("torchfix", "fixit"):
        assert f"{name} isn't installed, and left out; `--{name} FILE` says where it is" in done.stdout
    starts = (
        "all of code",
        "1 of its files, 3 lines",
        "`flake8`",
        "a clean file",
        "the rules alone: times ruff, at most",
    )
    for row in starts:
        assert any(line.startswith(f"| {row}") for line in done.stdout.splitlines())
    seconds = json.loads(figures.read_text(encoding="utf-8"))["seconds"]
    assert {"ruff", "rules", "rules, warm", "rules, two", "all", "all, warm", "all, two"} == seconds["tree"].keys()
    assert seconds["files"].keys() == {"ruff", "rules", "all", "flake8"}
    assert len(seconds["tree"]["all"]) == 1


@pytest.mark.slow
def test_comparison_with_other_tools_prints_its_tables(tmp_path):
    figures = tmp_path / "others.json"
    options = ["--only", "ruff", "pyright", "torchfix", "--limit", "3", "--json", str(figures)]

    done = subprocess.run(
        [sys.executable, "benchmarks/others.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for row in ("shapeguard check", "ruff", "pyright", "torchfix", "torch alone"):
        assert any(line.startswith(f"| {row}") for line in lines)
    assert "torchfix 0.7.0, every rule could not be run: not installed in this environment" in lines
    ours = json.loads(figures.read_text(encoding="utf-8"))["found"]["shapeguard check"]
    for group in ("plain", "annotated", "refused"):
        assert ours[group]["buggy"] == 3
        assert ours[group]["on_line"] > 0
        assert ours[group]["flagged"] == 0


def test_pictures_are_drawn_from_the_figures_of_benchmarks(tmp_path):
    overheads = {"jaxtyped": 9000.0, "dltype": 8000.0, "by hand": 300.0, "guard": 310.0}
    score = {"on_line": 2, "in_file": 2, "buggy": 3, "flagged": 0, "correct": 3, "kinds": {}, "is_asked": True}
    figures = {
        "guard": {"small": [{"case": "list of tensors", "overheads": overheads, "blind": ["jaxtyped"]}]},
        "check": {"path": "/code", "seconds": {"shapeguard": [2.0, 3.0], "ruff": [1.0, 1.0]}},
        "lint": {"path": "/code", "seconds": {"files": {"all": [2.0], "rules": [1.0], "ruff": [0.5]}}},
        "others": {"found": {"shapeguard check": dict.fromkeys(("plain", "annotated", "refused"), score)}},
    }
    options = ["--into", str(tmp_path)]
    for name, of in figures.items():
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(of), encoding="utf-8")
        options += [f"--{name}", str(file)]

    done = subprocess.run(
        [sys.executable, "benchmarks/plots.py", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    pictures = sorted(tmp_path.glob("*.png"))
    assert [each.name for each in pictures] == ["benchmark-check.png", "benchmark-found.png", "benchmark-guard.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in pictures)
