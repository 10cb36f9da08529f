"""What a rule wants changed, as edits: made on libcst's tree of the expression, so that comments and spaces stay."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from shapeguard.diagnostics import Edit, Fix, Span
from shapeguard.lint.reading import Reading
from shapeguard.lint.rule import Argument, Arguments, Change, Repair, Replacement

_BINDS_TIGHTEST = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)
_NEEDS_NO_PARENTHESES = (ast.Call, ast.keyword, ast.Assign, ast.AnnAssign, ast.Return, ast.Expr, ast.Tuple, ast.List)
"""Around these an expression of any kind can stand, but for a generator, a walrus and a `yield`."""


def fix_from(file: Reading, repair: Repair) -> Fix | None:
    """The repair as edits; None where the source can't be changed in that way."""
    edits: list[Edit] = []
    try:
        for change in repair.changes:
            edit = _edit(file, change)
            if edit is not None:
                edits.append(edit)
    except (cst.ParserSyntaxError, RecursionError):
        return None
    return Fix(repair.message, tuple(edits), repair.applicability) if edits else None


def _edit(file: Reading, change: Change) -> Edit | None:
    match change:
        case Argument(call, value, keyword):
            return _rewritten(file, call, lambda found: _with_argument(found, value, keyword))
        case Arguments(call, values):
            return _rewritten(file, call, lambda found: _with_arguments(found, values))
        case Replacement(node):
            return _trimmed(file.source.span_of(node), file.source.segment(node), _replaced(file, change))


def _rewritten(file: Reading, call: ast.Call, rewrite: object) -> Edit | None:
    """The edit that makes of a call what a function makes of its libcst node."""
    span, text = file.source.span_of(call), file.source.segment(call)
    module = cst.parse_module(f"({text}\n)")  # in parentheses it may go over several lines
    statement = module.body[0]
    assert isinstance(statement, cst.SimpleStatementLine)
    expression = cst.ensure_type(statement.body[0], cst.Expr).value
    found = cst.ensure_type(expression, cst.Call).with_changes(lpar=(), rpar=())
    assert callable(rewrite)
    return _trimmed(span, text, module.code_for_node(rewrite(found)))


def _with_argument(call: cst.Call, value: str, keyword: str | None) -> cst.Call:
    arguments = list(call.args)
    new = cst.parse_expression(value)
    if keyword is not None:
        for position, each in enumerate(arguments):
            if each.keyword is not None and each.keyword.value == keyword:
                arguments[position] = each.with_changes(value=new)
                return call.with_changes(args=arguments)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    added = cst.Arg(new) if keyword is None else cst.Arg(new, cst.Name(keyword), equal)
    where = len(arguments)
    if keyword is None:
        where = next((i for i, each in enumerate(arguments) if each.keyword is not None or each.star == "**"), where)
    if where < len(arguments):
        added = added.with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
    elif arguments:
        last = arguments[-1]
        if isinstance(last.comma, cst.Comma):
            # It stood before the closing parenthesis, perhaps with a line's end after it: so does the new one's.
            added = added.with_changes(comma=last.comma)
            between = arguments[-2].comma if len(arguments) > 1 else None
            if not isinstance(between, cst.Comma):
                between = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
            arguments[-1] = last.with_changes(comma=between)
        else:
            arguments[-1] = last.with_changes(
                comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")),
                whitespace_after_arg=cst.SimpleWhitespace(""),
            )
            added = added.with_changes(whitespace_after_arg=last.whitespace_after_arg)
    arguments.insert(where, added)
    return call.with_changes(args=arguments)


def _with_arguments(call: cst.Call, values: Sequence[str]) -> cst.Call:
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    arguments = [cst.Arg(cst.parse_expression(value), comma=comma) for value in values]
    arguments[-1:] = [each.with_changes(comma=cst.MaybeSentinel.DEFAULT) for each in arguments[-1:]]
    return call.with_changes(args=arguments, whitespace_before_args=cst.SimpleWhitespace(""))


def _replaced(file: Reading, change: Replacement) -> str:
    """What takes the place of an expression."""
    plain = change.text == "{}"
    parts = [_part(file, each, bare=plain) for each in change.parts]
    text = change.text.format(*parts)
    tree = ast.parse(f"({text}\n)", mode="eval").body
    if isinstance(tree, _BINDS_TIGHTEST) or isinstance(file.parent(change.node), _NEEDS_NO_PARENTHESES):
        return text
    return f"({text})"


def _part(file: Reading, node: ast.expr, *, bare: bool) -> str:
    text = file.source.segment(node)
    return text if bare or isinstance(node, _BINDS_TIGHTEST) else f"({text})"


def _trimmed(span: Span, before: str, after: str) -> Edit | None:
    """The edit without what stays the same at both ends; None if nothing changes."""
    if before == after:
        return None
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    first = _moved(span, before[:start])
    last = _moved(span, before[: len(before) - end])
    return Edit(Span(*first, *last), after[start : len(after) - end])


def _moved(span: Span, text: str) -> tuple[int, int]:
    """The place behind a text that begins where a span does."""
    lines = text.count("\n")
    column = span.column + len(text) if not lines else len(text) - text.rfind("\n")
    return span.line + lines, column
