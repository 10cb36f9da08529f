"""What the running Python's own source has to train on: functions, and the same functions made wrong.

A pair is a function's head, with the first paragraph of its docstring, and two bodies. The chosen one is what stands in
the library. The rejected one is as long, to the letter, and wrong in one of three ways: its statements are in an order
that can't work (something comes behind a `return`, or a name is read before it is bound), an assignment is turned
round (`x = self.x` for `self.x = x`), or a comparison is (`==` for `!=`, `<` for `>`, `<=` for `>=`). So the length
says nothing, and neither does which names occur.
"""

import ast
import random
import re
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings

from shapeguard.config import UsageError
from shapeguard.train.data.records import Loaded, Pair, Text
from shapeguard.train.data.spoiling import FunctionNode, spoil_assignment, spoil_comparison, spoil_order

NAME = "standard-library"

_LEFT_OUT = {
    "__pycache__",
    "dist-packages",
    "encodings",  # tables
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "turtledemo",
}
_BODY = range(20, 241)
"""Letters in a body."""
_HEAD = 200
_INDENT = " " * 4
_LINES_OF_A_FUNCTION = 60
_LINE_ENDS = re.compile("\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Function:
    """One function as it stands in a file, moved to the left margin; comments between its statements are left out."""

    place: str
    head: str
    documented: bool
    body: str
    wrong: tuple[tuple[str, str], ...] = ()
    """Places and bodies that are wrong."""


def library_pairs() -> Loaded[Pair]:
    """Functions of the standard library, and the same made wrong; a function may have several such pairs."""
    pairs = [
        Pair(function.head, function.body, wrong, place=place)
        for function in _functions(spoiled=True)
        for place, wrong in function.wrong
    ]
    about = (
        "short functions of Python's own standard library: the head of one, then its body (chosen) or a body as long "
        "that is wrong (rejected): statements in an order that can't work, an assignment or a comparison turned round"
    )
    return Loaded(tuple(pairs), about=about)


def library_texts() -> Loaded[Text]:
    """The same functions to be learned as text: the head is the prompt, and the body is learned."""
    texts = [Text(function.head, function.body, function.place) for function in _functions()]
    return Loaded(
        tuple(texts), about="short functions of Python's own standard library: a head to begin with, its body"
    )


def library_prompts() -> Loaded[Text]:
    """Heads of functions that have a docstring, to be continued."""
    prompts = [Text(function.head, "", function.place) for function in _functions() if function.documented]
    return Loaded(
        tuple(prompts), about="heads of short functions of Python's own standard library, with their docstrings"
    )


def _functions(*, spoiled: bool = False) -> Iterator[Function]:
    seen: set[tuple[str, str]] = set()
    for name, tree, lines in _files():
        for node in _definitions(tree):
            function = _function(name, node, lines, spoiled=spoiled)
            if function is not None and (function.head, function.body) not in seen:
                seen.add((function.head, function.body))
                yield function
    if not seen:
        raise UsageError("the source of this Python's standard library isn't there as files: name other data by --data")


def _files() -> Iterator[tuple[str, ast.Module, list[str]]]:
    """The modules of the standard library that parse."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not _LEFT_OUT.isdisjoint(parts):
            continue
        try:
            source = path.read_bytes().decode("utf-8-sig")
            with catch_warnings(action="ignore"):
                tree = ast.parse(source)
        except (OSError, ValueError, SyntaxError, RecursionError):
            continue
        yield "/".join(parts), tree, _LINE_ENDS.split(source)


def _definitions(tree: ast.Module) -> Iterator[FunctionNode]:
    """Functions of a module and methods of its classes, in their order."""
    for statement in tree.body:
        members = statement.body if isinstance(statement, ast.ClassDef) else [statement]
        yield from (member for member in members if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef))


def _function(name: str, node: FunctionNode, lines: list[str], *, spoiled: bool) -> Function | None:
    """A function that is short, and laid out plainly."""
    if (node.end_lineno or node.lineno) - node.lineno >= _LINES_OF_A_FUNCTION:
        return None
    docstring = ast.get_docstring(node)
    statements = node.body if docstring is None else node.body[1:]
    if not statements or not _is_plain(node, lines):
        return None
    body, head = _join(statements, lines), _head(node, lines, docstring)
    if len(body) not in _BODY or len(head) > _HEAD:
        return None
    place = f"{name}:{node.lineno}"
    wrong = tuple(_spoil(name, node, statements, lines)) if spoiled else ()
    return Function(place, head, docstring is not None, body, wrong)


def _spoil(
    name: str, node: FunctionNode, statements: Sequence[ast.stmt], lines: list[str]
) -> Iterator[tuple[str, str]]:
    """Wrong bodies, each with the place where it is wrong. A function always has the same ones."""
    chance = random.Random(f"{name}:{node.lineno}")  # noqa: S311 - no secret
    order = spoil_order(node, statements, chance)
    if order is not None:
        yield f"{name}:{node.lineno}", _join(order, lines)
    for spoil in (spoil_assignment, spoil_comparison):
        changed = spoil(node, lines, chance)
        if changed is not None:
            yield f"{name}:{changed[0]}", _join(statements, lines, dict([changed]))


def _is_plain(node: FunctionNode, lines: list[str]) -> bool:
    """Whether every statement begins on a line of its own, and all lines are indented by four spaces or more."""
    indent = " " * (node.col_offset + len(_INDENT))
    end = node.lineno
    for statement in node.body:
        begin = _first_line(statement)
        if statement.col_offset != len(indent) or begin <= end:
            return False
        end = statement.end_lineno or begin
        if any(line.strip() and not line.startswith(indent) for line in lines[begin - 1 : end]):
            return False
    return True


def _first_line(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min([statement.lineno, *(decorator.lineno for decorator in decorators)])


def _join(statements: Sequence[ast.stmt], lines: list[str], changed: Mapping[int, str] = {}) -> str:
    """The lines of these statements, moved to the left."""
    moved = []
    for statement in statements:
        for number in range(_first_line(statement), (statement.end_lineno or statement.lineno) + 1):
            line = changed.get(number, lines[number - 1])
            moved.append((_INDENT + line[statement.col_offset :]).rstrip())
    return "\n".join(moved)


def _head(node: FunctionNode, lines: list[str], docstring: str | None) -> str:
    """The signature, and the first paragraph of the docstring on one line."""
    signature = lines[node.lineno - 1 : _first_line(node.body[0]) - 1]
    while not signature[-1].strip() or signature[-1].lstrip().startswith("#"):
        signature.pop()
    head = "\n".join(line[node.col_offset :].rstrip() for line in signature)
    paragraph = " ".join((docstring or "").split("\n\n")[0].split())
    return f'{head}\n{_INDENT}"""{paragraph}"""\n' if paragraph else f"{head}\n"
