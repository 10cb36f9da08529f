"""The house: who may import whom, and what must not be loaded early."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "shapeguard"

# Room -> the rooms below it. A room is a folder or a top-level file; `shapeguard` itself is the face, which loads its
# names on first use.
MAY_IMPORT = {
    "shapes": set(),
    "diagnostics": set(),
    "spelling": set(),
    "arguments": {"spelling"},
    "config": {"diagnostics", "spelling"},
    "source": {"kinds", "diagnostics", "config", "spelling"},
    "ops": {"shapes"},
    "infer": {"ops", "source", "shapes", "diagnostics", "config"},
    "lint": {"ops", "source", "shapes", "diagnostics", "config"},
    "rules": {"lint", "ops", "source", "shapes", "diagnostics", "config"},
    "runtime": {"shapes"},
    "losses": {"runtime"},
    "models": {"runtime"},
    "train": {"models", "losses", "config", "arguments", "spelling"},
    "kinds": {"diagnostics"},
    "catalog": {"kinds", "rules", "diagnostics", "config", "spelling"},
    "fixes": {"source", "diagnostics", "config"},
    "results": {"diagnostics"},
    "cache": {"results", "source", "config"},
    "processes": set(),
    "baseline": {"kinds", "source", "diagnostics", "config"},
    "report": {"catalog", "source", "shapes", "diagnostics", "config"},
    "check": {
        "cache",
        "processes",
        "catalog",
        "kinds",
        "infer",
        "lint",
        "rules",
        "source",
        "diagnostics",
        "config",
    },
    "demo": {"runtime", "check", "fixes", "catalog", "report", "source", "config"},
    "pytest_plugin": {"runtime"},
    "flake8": {"check", "catalog", "source", "config"},
    "run": {"check", "fixes", "baseline", "catalog", "report", "source", "diagnostics", "config"},
    "cli": {"run", "check", "catalog", "report", "train", "demo", "config", "arguments", "spelling"},
    "__main__": {"cli"},
}
FACE = "__init__"


def modules() -> dict[str, Path]:
    return {
        ".".join(("shapeguard", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def room(module: str) -> str:
    return [*module.split("."), FACE][1]


def imports(module: str, path: Path) -> set[str]:
    """The modules of this package that a module loads at run time, at its top or inside a function."""
    known = modules()
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            found |= {name if (name := f"{node.module}.{alias.name}") in known else node.module for alias in node.names}
    return {name for name in found if name in known and name != module}


@pytest.mark.parametrize("module", modules())
def test_imports_run_downward(module):
    here = room(module)
    for imported in imports(module, modules()[module]):
        there = room(imported)
        allowed = there in (here, FACE) or (here != FACE and there in MAY_IMPORT[here])
        assert allowed, f"{module} imports {imported}; {here} may import {sorted(MAY_IMPORT.get(here, ()))}"


def test_no_import_circle():
    graph = {module: imports(module, path) for module, path in modules().items()}
    while True:
        free = {module for module, needed in graph.items() if not needed}
        if not free:
            break
        graph = {module: needed - free for module, needed in graph.items() if module not in free}
    assert not graph, f"these import each other: {sorted(graph)}"


@pytest.mark.parametrize(
    "program",
    [
        "import shapeguard",
        "import shapeguard.cli; shapeguard.cli.main([])",
        "import shapeguard.pytest_plugin",
        "from shapeguard import guard, expect, switch",
    ],
)
def test_loads_no_torch(program):
    check = f"{program}\nimport sys\nassert not {{'torch', 'transformers', 'libcst'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("x = torch.zeros(2, 3).softmax(-1).squeeze(0)\ntorch.zeros(2) + torch.zeros(3)\n", 1),
        ("x = torch.nn.functional.softmax(torch.zeros(2, 3))  # noqa: SG401\n", 0),
    ],
    ids=["finds nothing to mend", "has all silenced"],
)
def test_loads_no_libcst_in_a_run_that(code, status, tmp_path):
    file = tmp_path / "code.py"
    file.write_text(f"import torch\n\n{code}")
    program = (
        f"import sys; from shapeguard.cli import main; found = main(['check', '--no-cache', {str(file)!r}])\n"
        f"assert found == {status}\nassert 'libcst' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_face_loads_nothing_of_the_guard_before_it_is_used():
    check = "import shapeguard, sys; assert not {'jaxtyping', 'beartype', 'numpy'} & set(sys.modules); shapeguard.guard"
    subprocess.run([sys.executable, "-c", check], check=True)


def test_unknown_name_is_an_attribute_error():
    import shapeguard

    with pytest.raises(AttributeError, match="no attribute 'gaurd'"):
        _ = shapeguard.gaurd
    assert set(shapeguard.__all__) <= set(dir(shapeguard))


def test_every_file_says_what_it_knows():
    silent = [module for module, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


PAGE = PACKAGE.parent / "docs" / "architecture.md"
TOLD_TOGETHER = ("ops", "lint", "rules", "report", "losses", "models", "train", "demo")
"""Folders whose files each say for themselves what they are."""


def picture() -> str:
    (drawn,) = re.findall(r"^ {4}shapeguard/\n(?:^ {4}.*\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return drawn


def test_the_page_names_every_file():
    files = (path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py")
    there = [path for path in files if path.parts[0] not in TOLD_TOGETHER]
    assert [str(path) for path in there if not re.search(rf"\b{path.name}\b", picture())] == []


def test_the_page_names_no_file_that_is_gone():
    there = {path.name for path in PACKAGE.rglob("*.py")}
    assert set(re.findall(r"\b\w+\.py\b", picture())) <= there
