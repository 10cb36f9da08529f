"""A function made wrong without making it longer or shorter: on its syntax tree, which says that it is wrong."""

import ast
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Line = tuple[int, str]
"""A line's number, and what it becomes."""

_TRIES = 8
_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)
_TURNED: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Lt: ("<", ">"),
    ast.Gt: (">", "<"),
    ast.LtE: ("<=", ">="),
    ast.GtE: (">=", "<="),
}


@dataclass(frozen=True, slots=True)
class _Step:
    """A statement, the names that it binds and reads when it runs, and whether nothing behind it is reached."""

    statement: ast.stmt
    bound: set[str]
    read: set[str]
    last: bool


def spoil_order(function: FunctionNode, statements: Sequence[ast.stmt], chance: random.Random) -> list[ast.stmt] | None:
    """The statements in an order that can't work; None where none was found, or they don't work as they stand."""
    if len(statements) == 1:
        return None
    steps = [_step(statement) for statement in statements]
    local = set().union(*(step.bound for step in steps)) - _outside(function)
    if _cannot_work(steps, local):
        return None
    for _ in range(_TRIES):
        chance.shuffle(steps)
        if _cannot_work(steps, local):
            return [step.statement for step in steps]
    return None


def spoil_assignment(function: FunctionNode, lines: Sequence[str], chance: random.Random) -> Line | None:
    """A line with `one = other`, both of them names, turned round."""
    found = [
        (statement.targets[0], statement.value)
        for statement in ast.walk(function)
        if isinstance(statement, ast.Assign)
        and len(statement.targets) == 1
        and _is_name(statement.targets[0])
        and _is_name(statement.value)
        and ast.dump(statement.value) != ast.dump(statement.targets[0]).replace("Store()", "Load()")
        and _between(statement.targets[0], statement.value, lines) == " = "
    ]
    if not found:
        return None
    target, value = chance.choice(found)
    line = lines[target.lineno - 1]
    turned = f"{line[value.col_offset : value.end_col_offset]} = {line[target.col_offset : target.end_col_offset]}"
    return target.lineno, line[: target.col_offset] + turned + line[value.end_col_offset :]


def spoil_comparison(function: FunctionNode, lines: Sequence[str], chance: random.Random) -> Line | None:
    """A line with a comparison whose sign is turned round."""
    found = [
        (node.left, signs)
        for node in ast.walk(function)
        if isinstance(node, ast.Compare)
        and len(node.ops) == 1
        and (signs := _TURNED.get(type(node.ops[0]))) is not None
        and _between(node.left, node.comparators[0], lines) == f" {signs[0]} "
    ]
    if not found:
        return None
    left, (sign, turned) = chance.choice(found)
    line, end = lines[left.lineno - 1], left.end_col_offset
    assert end is not None
    return left.lineno, line[:end] + line[end:].replace(sign, turned, 1)


def _cannot_work(steps: Sequence[_Step], local: set[str]) -> bool:
    """Whether something comes behind a `return` or a `raise`, or a name is read that only later statements bind."""
    if any(step.last for step in steps[:-1]):
        return True
    unbound = set(local)
    for step in steps:
        if (step.read - step.bound) & unbound:
            return True
        unbound -= step.bound
    return False


def _outside(function: FunctionNode) -> set[str]:
    """Names that have a value before the first statement: parameters, and what is declared to be from outside."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = {argument.arg for argument in named if argument is not None}
    return names.union(*(node.names for node in ast.walk(function) if isinstance(node, ast.Global | ast.Nonlocal)))


def _step(statement: ast.stmt) -> _Step:
    bound: set[str] = set()
    read: set[str] = set()
    for node in _own_nodes(statement):
        if not isinstance(node, ast.Name):
            bound |= _bound_otherwise(node)
        elif isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        else:
            read.add(node.id)
    return _Step(statement, bound, read, isinstance(statement, ast.Return | ast.Raise))


def _bound_otherwise(node: ast.AST) -> set[str]:
    """The names that a node binds without being a Name, those in scopes of their own left out."""
    match node:
        case ast.Import() | ast.ImportFrom():
            return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return {name}
    return set()


def _own_nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    nodes: list[ast.AST] = [statement]
    while nodes:
        node = nodes.pop()
        yield node
        if not isinstance(node, _SCOPES):
            nodes.extend(ast.iter_child_nodes(node))


def _is_name(node: ast.expr) -> bool:
    """`name`, or `name.name` and so on."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _between(left: ast.expr, right: ast.expr, lines: Sequence[str]) -> str:
    """What stands between two expressions on one line; nothing where its columns aren't simply letters."""
    line = lines[left.lineno - 1]
    if left.end_lineno != right.lineno or left.lineno != right.end_lineno or not line.isascii():
        return ""
    return line[left.end_col_offset : right.col_offset]
