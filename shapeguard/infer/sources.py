"""Where a value in a body comes from and where it goes, as far as straight lines of code tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

MODULES = frozenset({"torch", "nn", "F", "np", "numpy", "math", "functional"})
"""Names by which modules of functions are imported."""
_SAME_AXES = frozenset({
    "abs", "bfloat16", "bool", "ceil", "clamp", "clamp_max", "clamp_min", "clip", "clone", "contiguous", "cpu", "cuda",
    "detach", "double", "dropout", "elu", "exp", "expm1", "float", "gelu", "half", "int", "leaky_relu", "log", "log1p", "log2", "log10",
    "logsigmoid", "long", "nan_to_num", "neg", "pow", "relu", "requires_grad_", "round", "rsqrt", "sigmoid", "sign",
    "silu", "softplus", "sqrt", "square", "tanh", "to", "type", "type_as",
})  # fmt: skip
"""What changes the numbers in a tensor and none of its axes."""
_DEEPEST = 12


class Sources:
    """The assignments and uses in one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        """What each node stands in."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement around a node."""
        found: ast.AST | None = node
        while found is not None and not isinstance(found, ast.stmt):
            found = self.parents.get(found)
        return found

    def function(self, node: ast.AST) -> ast.AST:
        """The function around a node, or the file."""
        found = self.parents.get(node, self.tree)
        while not isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Module):
            found = self.parents.get(found, self.tree)
        return found

    def made(self, name: ast.Name) -> ast.expr | None:
        """The expression that a name surely got its value from, in the same function."""
        statement = self.statement(name)
        while statement is not None:
            around = self.parents.get(statement)
            for other in reversed(_before(around, statement)):
                if name.id not in _stored(other):
                    continue
                return _assigned(other, name.id)
            if around is None or isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                return None
            if isinstance(around, ast.For | ast.AsyncFor | ast.While) and name.id in _stored(around):
                # It may be that of the pass before.
                return None
            statement = around if isinstance(around, ast.stmt) else self.statement(around)
        return None

    def same_axes(self, node: ast.expr) -> ast.expr:
        """The expression that a value's axes come from, through names and what changes numbers alone."""
        for _ in range(_DEEPEST):
            inner = plain_step(node) or (self.made(node) if isinstance(node, ast.Name) else None)
            if inner is None:
                break
            node = inner
        return node

    def roots(self, node: ast.expr, depth: int = 0) -> frozenset[str]:
        """The names that a value is made from: parameters and what nothing is known of."""
        if depth > _DEEPEST:
            return frozenset()
        if isinstance(node, ast.Name):
            made = self.made(node)
            return frozenset({node.id}) - MODULES if made is None else self.roots(made, depth + 1)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return frozenset({f"self.{node.attr}"})
        parts: list[ast.expr] = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if isinstance(node, ast.Call):
            parts = [*node.args, *(keyword.value for keyword in node.keywords)]
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if owner is not None and not (isinstance(owner, ast.Name) and owner.id == "self"):
                parts.append(owner)
        return frozenset().union(*(self.roots(part, depth + 1) for part in parts))

    def uses(self, node: ast.expr, depth: int = 0) -> Iterator[tuple[ast.expr, ast.AST]]:
        """Where a value is used, through names and what changes numbers alone: the value there, and what it is in."""
        around = self.parents.get(node)
        outer = around
        if isinstance(around, ast.Attribute) and isinstance(self.parents.get(around), ast.Call):
            outer = self.parents[around]
        if depth > _DEEPEST or around is None:
            return
        if isinstance(outer, ast.expr) and plain_step(outer) is node:
            yield from self.uses(outer, depth + 1)
        elif isinstance(around, ast.Assign) and len(around.targets) == 1 and isinstance(around.targets[0], ast.Name):
            name = around.targets[0].id
            for part in ast.walk(self.function(node)):
                if not isinstance(part, ast.Name) or part.id != name or not isinstance(part.ctx, ast.Load):
                    continue
                if self.made(part) is node:
                    yield from self.uses(part, depth + 1)
        else:
            yield node, outer if outer is not None else around


def plain_step(node: ast.expr) -> ast.expr | None:
    """The operand of an expression that changes no axis: `-x`, `x.float()`, `torch.sigmoid(x)`, `x ** 2`."""
    match node:
        case ast.UnaryOp(operand=operand):
            return operand
        case ast.BinOp(left=left, right=ast.Constant()):
            return left
        case ast.BinOp(left=ast.Constant(), right=right):
            return right
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=name), args=[first, *_]) if owner in MODULES:
            return first if name in _SAME_AXES else None
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="functional"), attr=name), args=[first, *_]):
            return first if name in _SAME_AXES else None
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=name), args=[first]):
            return first if "drop" in name else None
        case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _SAME_AXES:
            return owner
    return None


def _before(around: ast.AST | None, statement: ast.stmt) -> list[ast.stmt]:
    """The statements that stand before one in its block."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(around, field, None)
        if isinstance(block, list) and statement in block:
            return block[: block.index(statement)]
    return []


def _stored(node: ast.AST) -> frozenset[str]:
    """The names that a piece of code may bind or change in place."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            found.add(part.id)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr.endswith("_"):
            owner = part.func.value
            if isinstance(owner, ast.Name):
                found.add(owner.id)
    return frozenset(found)


def _assigned(statement: ast.stmt, name: str) -> ast.expr | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return value
        case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name:
            return value
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(values):
            for part, item in zip(targets, values, strict=True):
                if isinstance(part, ast.Name) and part.id == name:
                    return item
    return None
