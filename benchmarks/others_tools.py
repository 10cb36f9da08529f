"""The tools that others.py measures: how each is installed, what it is handed of a program, and what it says."""

import ast
import json
import os
import re
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from others_programs import Program

TORCH = ("torch==2.13.0", "jaxtyping==0.3.11", "numpy==2.4.6")
ADDED = "  # added"
"""Ends a line that a program doesn't have of its own."""
SECONDS = 7200
"""For which a tool is waited."""


class Finding(NamedTuple):
    """What a tool says, as it says it."""

    stem: str
    line: int
    kind: str


# What a tool is handed


def as_it_is(program: Program) -> str:
    return program.text


def if_annotated(program: Program) -> str:
    return "" if program.group == "plain" else program.text


def annotations(node: ast.AST) -> Iterator[tuple[ast.Subscript, str]]:
    """The annotations of jaxtyping in a program, each with what it says of the shape."""
    for each in ast.walk(node):
        match each:
            case ast.Subscript(slice=ast.Tuple(elts=[_, ast.Constant(value=str(said))])):
                yield each, said


def reworded(text: str, words: Callable[[str, str], str]) -> str:
    """The program with each of its annotations made anew, from the kind of tensor and from the shape."""
    rows = text.splitlines()
    for node, said in sorted(annotations(ast.parse(text)), key=lambda item: -item[0].col_offset):
        row = rows[node.lineno - 1].encode()
        assert node.lineno == node.end_lineno
        made = words(ast.unparse(node.slice.elts[0]), said).encode()
        rows[node.lineno - 1] = (row[: node.col_offset] + made + row[node.end_col_offset :]).decode()
    return "\n".join(rows) + "\n"


def with_driver(program: Program) -> str:
    """The program without its shapes, so that it is run alone, and what calls it; annotated pairs do as the plain ones."""
    if not program.driver or program.group == "annotated":
        return ""
    return f"{reworded(program.text, lambda tensor, _: tensor)}\n\n{program.driver}"


def in_words_of_torchshapeflow(program: Program) -> str:
    """`Float[Tensor, "b 3"]` as `Annotated[Tensor, Shape("b", 3)]`; what it has no words for, as a tensor."""

    def words(tensor: str, said: str) -> str:
        axes = said.split()
        if not all(axis.isalnum() or (axis.isidentifier() and axis != "_") for axis in axes):
            return tensor
        return f"Annotated[{tensor}, Shape({', '.join(axis if axis.isdigit() else repr(axis) for axis in axes)})]"

    head = [f"from typing import Annotated{ADDED}", f"from torchshapeflow import Shape{ADDED}"]
    return "\n".join([*head, reworded(program.text, words)])


def declared_for_pyrefly(program: Program) -> str:
    """Each function under the decorator that names the sizes in its annotations, without which it reads none."""
    rows = program.text.splitlines()
    functions = [node for node in ast.walk(ast.parse(program.text)) if isinstance(node, ast.FunctionDef)]
    declared = False
    for function in sorted(functions, key=lambda node: -node.lineno):
        shapes = [said for _, said in annotations(function)]
        words = {word for said in shapes for word in said.split()}
        names = {name for word in words for name in re.findall(r"^\*\w+$|\b[^\W\d]\w*", word)} - {"_"}
        if shapes:
            first = min([function.lineno, *(each.lineno for each in function.decorator_list)])
            said = " ".join(sorted(names))
            rows.insert(first - 1, f'{" " * function.col_offset}@static_jaxtyping("{said}"){ADDED}')
            declared = True
    head = [f"from shape_extensions import static_jaxtyping{ADDED}"] if declared else []
    return "\n".join([*head, *rows]) + "\n"


# Tools


def output(*command: str | Path, folder: Path, fails: Sequence[int] = ()) -> str:
    """What a command prints; it may end with 1, since it is there to find something."""
    done = subprocess.run(  # noqa: S603
        [str(each) for each in command], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode not in (0, 1, *fails):
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def shapeguard_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    said = output(
        programs / "python",
        "-m",
        "shapeguard",
        "check",
        "--no-cache",
        "--output-format",
        "json",
        folder.name,
        folder=folder.parent,
    )
    for each in json.loads(said):
        yield Finding(Path(each["filename"]).stem, each["location"]["row"], each["name"])


def ruff_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    said = output(
        programs / "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "ALL",
        "--output-format",
        "json",
        ".",
        folder=folder,
    )
    for each in json.loads(said):
        yield Finding(Path(each["filename"]).stem, each["location"]["row"], str(each["code"]))


def torchfix_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    said = output(programs / "torchfix", "--select", "ALL", "--jobs", "1", ".", folder=folder)
    for found in re.finditer(r"^(\S+\.py):(\d+):\d+: (TOR\d+)", said, re.MULTILINE):
        yield Finding(Path(found[1]).stem, int(found[2]), found[3])


def mypy_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    said = output(
        programs / "mypy", "--check-untyped-defs", "--output", "json", "--cache-dir", os.devnull, ".", folder=folder
    )
    for each in map(json.loads, said.splitlines()):
        if each["severity"] == "error":
            yield Finding(Path(each["file"]).stem, each["line"], each["code"])


def pyright_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    said = output(programs / "pyright", "--pythonpath", programs / "python", "--outputjson", ".", folder=folder)
    for each in json.loads(said)["generalDiagnostics"]:
        if each["severity"] == "error":
            line = each["range"]["start"]["line"] + 1
            yield Finding(Path(each["file"]).stem, line, each.get("rule", "syntax"))


def pyrefly_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    python = json.dumps(str(programs / "python"))
    (folder / "pyrefly.toml").write_text(f'preset = "default"\npython-interpreter-path = {python}\n')
    said = output(programs / "pyrefly", "check", "--output-format", "json", folder=folder)
    for each in json.loads(said)["errors"]:
        if each["severity"] == "error":
            yield Finding(Path(each["path"]).stem, each["line"], each["name"])


def torchshapeflow_finds(programs: Path, folder: Path) -> Iterator[Finding]:
    for file in json.loads(output(programs / "tsf", "check", "--json", ".", folder=folder))["files"]:
        for each in file["diagnostics"]:
            if each["severity"] == "error":
                yield Finding(Path(file["path"]).stem, each["line"], each["code"])


def torchtyc_checks(programs: Path, folder: Path) -> Iterator[Finding]:
    return torchtyc_finds(programs, folder, lambda rule: rule != "run-error")


def torchtyc_runs(programs: Path, folder: Path) -> Iterator[Finding]:
    entries = [f"{file.name}::outcome" for file in sorted(folder.glob("*.py"))]
    (folder / "pyproject.toml").write_text(f"[tool.torchtyc]\nrun-timeout = 30.0\nrun = {json.dumps(entries)}\n")
    return torchtyc_finds(programs, folder, lambda rule: rule == "run-error")


def torchtyc_finds(programs: Path, folder: Path, counts: Callable[[str], bool]) -> Iterator[Finding]:
    said = output(
        programs / "torchtyc",
        "check",
        "--format",
        "json",
        "--timeout",
        str(SECONDS),
        "--python",
        programs / "python",
        ".",
        folder=folder,
    )
    answer = json.loads(said)
    if answer["worker_error"]:
        raise RuntimeError(answer["worker_error"])
    for each in answer["diagnostics"]:
        if each["severity"] == "error" and counts(each["rule"]):
            yield Finding(Path(each["path"]).stem, each["line"] + 1, each["rule"])


@dataclass(frozen=True)
class Tool:
    """Something that finds bugs in files."""

    name: str
    environment: str
    """Tools of one name share it."""
    requirements: tuple[str, ...]
    command: str
    finds: Callable[[Path, Path], Iterator[Finding]]
    writes: Callable[[Program], str] = as_it_is
    """What it is handed of a program; empty where it has nothing to say by design."""


TYPES = ("mypy==2.4.1", "pyright==1.1.414", *TORCH)
TYC = ("torchtyc==0.5.0", *TORCH)
FLY = ("pyrefly==1.4.1", "pyrefly-torch-stubs==1.4.0", *TORCH)
FLOW = ("torchshapeflow==0.7.3",)
FIX = ("torchfix==0.7.0", "libcst<1.6")
TOOLS = (
    Tool("shapeguard check", "", (), "python", shapeguard_finds),
    Tool("ruff 0.17.5, every rule", "ruff", ("ruff==0.17.5",), "ruff", ruff_finds),
    Tool("torchfix 0.7.0, every rule", "torchfix", FIX, "torchfix", torchfix_finds),
    Tool("mypy 2.4.1", "types", TYPES, "mypy", mypy_finds),
    Tool("pyright 1.1.414", "types", TYPES, "pyright", pyright_finds),
    Tool("Pyrefly 1.4.1, shapes declared", "pyrefly", FLY, "pyrefly", pyrefly_finds, declared_for_pyrefly),
    Tool("torchshapeflow 0.7.3", "torchshapeflow", FLOW, "tsf", torchshapeflow_finds, in_words_of_torchshapeflow),
    Tool("torchtyc 0.5.0, check", "torchtyc", TYC, "torchtyc", torchtyc_checks, if_annotated),
    Tool("torchtyc 0.5.0, run", "torchtyc", TYC, "torchtyc", torchtyc_runs, with_driver),
)


def programs_of(tool: Tool, tools: Path | None) -> Path:
    """The folder of the tool's commands, which are installed where they are missing."""
    if tools is None or not tool.environment:
        found = Path(sys.executable).parent
        if not (found / tool.command).exists():
            raise FileNotFoundError("not installed in this environment")
        return found
    folder = tools.resolve() / tool.environment
    if not (folder / "bin" / tool.command).exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", *tool.requirements]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise RuntimeError(f"pip: {done.stderr.strip().splitlines()[-1]}")
    return folder / "bin"


def asked(tool: Tool, of: Sequence[Program], tools: Path | None, scratch: Path) -> dict[str, list[Finding]]:
    """What the tool says, by the file that it says it of, on the lines of the program itself."""
    commands = programs_of(tool, tools)
    folder = scratch / re.sub(r"\W+", "_", tool.name)
    folder.mkdir()
    given = {each.stem: tool.writes(each) for each in of}
    for stem, text in given.items():
        if text:
            (folder / f"{stem}.py").write_text(text)
    said: dict[str, list[Finding]] = {stem: [] for stem, text in given.items() if text}
    for each in tool.finds(commands, folder):
        rows = given[each.stem].splitlines()[: each.line]
        said[each.stem].append(each._replace(line=sum(not row.endswith(ADDED) for row in rows)))
    return said
