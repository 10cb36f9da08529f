"""The benchmarks run, and print what their pages quote; what they measure is nobody's test."""

import json
import subprocess
import sys
from pathlib import Path

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
