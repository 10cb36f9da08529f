"""The command line as its user sees it."""

import subprocess
import sys

import pytest

from shapeguard import __version__
from shapeguard.cli import main


def test_demo_stops_every_accident(capsys):
    assert main(["demo"]) == 0
    printed = capsys.readouterr().out
    assert "IndexError: Dimension specified as 0 but tensor has no dimensions" in printed
    assert "no error; a result of shape" in printed
    assert "called at " in printed
    assert "3 of 3 stopped at the boundary" in printed


def test_demo_without_torch_says_what_to_install():
    program = "import sys; sys.modules['torch'] = None; import shapeguard.cli; sys.exit(shapeguard.cli.main(['demo']))"
    ran = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == "shapeguard demo needs PyTorch: pip install 'shapeguard[torch]'\n"


def test_no_command_shows_the_help(capsys):
    assert main([]) == 0
    assert "demo" in capsys.readouterr().out


def test_unknown_command_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["dmo"])
    assert stopped.value.code == 2
    assert "invalid choice: 'dmo' (choose from 'demo')" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"shapeguard {__version__}\n"


def test_guard_works_without_torch_on_numpy():
    program = """
import sys
sys.modules["torch"] = None
import numpy as np
from jaxtyping import Float
from shapeguard import ShapeError, guard

@guard
def add(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return a + b

add(np.ones(3), np.ones(3))
try:
    add(np.ones(3), np.ones(4))
except ShapeError as error:
    print(error.headline)
"""
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert ran.stdout == "`b` axis 0 is 4, expected n = 3 (bound by `a` axis 0)\n"
