"""What a rule wants changed, as edits: made on libcst's tree of the expression, so that comments and spaces stay."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TypeAlias

import libcst as cst

from shapeguard.diagnostics import Edit, Fix, Span
from shapeguard.lint.reading import Reading
from shapeguard.lint.rule import Argument, Arguments, Change, Repair, Replacement
from shapeguard.source.comments import scan_comments
from shapeguard.source.file import parse

Swaps: TypeAlias = Mapping[ast.AST, ast.expr]
"""Expression -> what is to stand in its place."""

_STRINGS = ("JoinedStr", "TemplateStr")
_FEW = 4
"""So many parts are tried with and without parentheses."""

_NO_SPACE, _SPACE = cst.SimpleWhitespace(""), cst.SimpleWhitespace(" ")


def fix_from(file: Reading, repair: Repair) -> Fix | None:
    """The repair as edits, to be shown only if a comment would go; None where the source can't be changed in that way."""
    applicability = repair.applicability
    edits: list[Edit] = []
    swaps: dict[ast.AST, ast.expr] = {}
    try:
        for change in repair.changes:
            node = change.node if isinstance(change, Replacement) else change.call
            if node in swaps:
                return None
            wanted = _wanted(change)
            before, after = file.source.segment(node), _written(file, node, wanted, change)
            if after is None:
                return None
            swaps[node] = wanted
            edits.append(_trimmed(file.source.span_of(node), before, after))
            if _comments(before) != _comments(after):
                applicability = "display"
        together = len(edits) == 1 or _hold_together(file, edits, swaps)
    except (cst.ParserSyntaxError, cst.CSTValidationError, SyntaxError, RecursionError):
        return None
    real = tuple(each for each in edits if each.text != file.source.text_at(each.span))
    return Fix(repair.message, real, applicability) if real and together else None


# What the changed source must mean.


def _wanted(change: Change) -> ast.expr:
    """What is to stand there in the end; it holds the file's own nodes, where they stay."""
    match change:
        case Argument(call, value, keyword):
            new = _parsed(value)
            if keyword is None:
                return ast.Call(call.func, [*call.args, new], call.keywords)
            named = ast.keyword(keyword, new)
            if all(each.arg != keyword for each in call.keywords):
                return ast.Call(call.func, call.args, [*call.keywords, named])
            return ast.Call(call.func, call.args, [named if each.arg == keyword else each for each in call.keywords])
        case Arguments(call, values):
            return ast.Call(call.func, [_parsed(value) for value in values], [])
        case Replacement(_, text, parts):
            names = {f"_part_{index}": part for index, part in enumerate(parts)}
            return _Filled(names).visit(_parsed(text.format(*names)))  # type: ignore[no-any-return] # it was an expression


class _Filled(ast.NodeTransformer):
    """Puts expressions in the place of names."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """What the name stands for."""
        return self.values.get(node.id, node)


def _parsed(text: str) -> ast.expr:
    return ast.parse(f"({text}\n)", mode="eval").body


def _means(file: Reading, statement: ast.stmt, edits: Sequence[Edit], swaps: Swaps) -> bool:
    """Whether a statement with these edits is what it was but for the swaps."""
    span = _whole(file, statement)
    pieces: list[str] = []
    here = span.line, span.column
    for edit in sorted(edits, key=lambda each: each.span):
        start, end = (edit.span.line, edit.span.column), (edit.span.end_line, edit.span.end_column)
        if start < here:
            return False
        pieces += (file.source.text_at(Span(*here, *start)), edit.text)
        here = end
    text = "".join((*pieces, file.source.text_at(Span(*here, span.end_line, span.end_column))))
    text = text[2:] if text.startswith("elif") else text
    indent = file.source.lines[span.line - 1][: span.column - 1]
    inside = indent != "" and indent.isspace()
    tree = parse(f"if 1:\n{indent}{text}" if inside else text)
    if not isinstance(tree, ast.Module):
        return False
    body = tree.body[0].body if inside and isinstance(tree.body[0], ast.If) else tree.body
    return len(tree.body) == len(body) == 1 and _same(statement, body[0], swaps)


def _whole(file: Reading, statement: ast.stmt) -> Span:
    """The place of a statement with its decorators."""
    span = file.source.span_of(statement)
    decorators = getattr(statement, "decorator_list", None)
    if not decorators:
        return span
    line = file.source.span_of(decorators[0]).line
    while not file.source.lines[line - 1].lstrip().startswith("@"):
        line -= 1
    return Span(line, span.column, span.end_line, span.end_column)


def _same(one: object, other: object, swaps: Swaps) -> bool:
    if isinstance(one, ast.AST):
        if one in swaps:
            # It may stand again in what takes its place.
            return _same(swaps[one], other, {key: value for key, value in swaps.items() if key is not one})
        return type(one) is type(other) and all(
            _same(getattr(one, name, None), getattr(other, name, None), swaps) for name in one._fields if name != "ctx"
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_same(*pair, swaps) for pair in zip(one, other, strict=True))
    return type(one) is type(other) and one == other


def _hold_together(file: Reading, edits: Sequence[Edit], swaps: Swaps) -> bool:
    """Whether several changes mean together what each of them means alone."""
    for statement in {file.statement(node) for node in swaps}:
        span = _whole(file, statement)
        first, last = (span.line, span.column), (span.end_line, span.end_column)
        inside = [
            each
            for each in edits
            if first <= (each.span.line, each.span.column) and (each.span.end_line, each.span.end_column) <= last
        ]
        if not _means(file, statement, inside, swaps):
            return False
    return True


# How it is written.


def _written(file: Reading, node: ast.expr, wanted: ast.expr, change: Change) -> str | None:
    """How an expression is written when it is what is wanted."""
    parts = change.parts if isinstance(change, Replacement) else ()
    if any(type(each).__name__ in _STRINGS for part in (node, *parts) for each in file.around(part)):
        return None  # what stands where in such a string isn't sure, and quotes in it would have to differ
    span, statement = file.source.span_of(node), file.statement(node)
    if isinstance(change, Replacement):
        texts = _replacements(change.text, [file.source.segment(part) for part in parts])
    else:
        texts = iter((_rewritten(file.source.segment(node), change),))
    return next((text for text in texts if _means(file, statement, [Edit(span, text)], {node: wanted})), None)


def _replacements(text: str, parts: Sequence[str]) -> Iterator[str]:
    """The ways to write a replacement, those with the fewest parentheses first."""
    for closed in sorted(product((False, True), repeat=min(len(parts), _FEW)), key=sum):
        every = (*closed, *(True for _ in parts[_FEW:]))
        written = text.format(*(f"({part})" if each else part for part, each in zip(parts, every, strict=True)))
        yield written
        yield f"({written})"


def _comments(text: str) -> list[str]:
    return [each.text for each in scan_comments(text).values()]


def _rewritten(text: str, change: Argument | Arguments) -> str:
    """The text of a call with other arguments."""
    module = cst.parse_module(f"({text}\n)")  # in parentheses it may go over several lines
    statement = cst.ensure_type(module.body[0], cst.SimpleStatementLine)
    expression = cst.ensure_type(statement.body[0], cst.Expr).value
    call = cst.ensure_type(expression, cst.Call).with_changes(lpar=(), rpar=())
    match change:
        case Argument(_, value, keyword):
            return module.code_for_node(_with_argument(call, cst.parse_expression(value), keyword))
        case Arguments(_, values):
            return module.code_for_node(_with_arguments(call, values))


def _with_argument(call: cst.Call, value: cst.BaseExpression, keyword: str | None) -> cst.Call:
    arguments = [_closed(each) for each in call.args]
    if keyword is None:
        added = cst.Arg(value)
        named = (i for i, each in enumerate(arguments) if each.keyword is not None or each.star == "**")
        where = next(named, len(arguments))
    else:
        for position, each in enumerate(arguments):
            if each.keyword is not None and each.keyword.value == keyword:
                arguments[position] = each.with_changes(value=value)
                return call.with_changes(args=arguments)
        added = cst.Arg(value, cst.Name(keyword), cst.AssignEqual(_NO_SPACE, _NO_SPACE))
        where = len(arguments)
    if where < len(arguments):
        after = cst.Comma(whitespace_after=_between(_before(call, where), _SPACE))
        arguments.insert(where, added.with_changes(comma=after))
    elif arguments:
        arguments[-1:] = _one_more(arguments[-1], added, _before(call, where - 1))
    else:
        arguments.append(added)
    return call.with_changes(args=arguments)


def _before(call: cst.Call, position: int) -> cst.BaseParenthesizableWhitespace:
    """The space before an argument."""
    if position == 0:
        return call.whitespace_before_args
    return cst.ensure_type(call.args[position - 1].comma, cst.Comma).whitespace_after


def _one_more(last: cst.Arg, added: cst.Arg, before: cst.BaseParenthesizableWhitespace) -> tuple[cst.Arg, cst.Arg]:
    """The last argument and one more, set as the last one was: on a line of its own, if that had one."""
    has_comma = isinstance(last.comma, cst.Comma)
    closing = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else last.whitespace_after_arg
    between = _between(before, closing)
    if isinstance(between, cst.ParenthesizedWhitespace) and isinstance(closing, cst.ParenthesizedWhitespace):
        closing = closing.with_changes(first_line=cst.TrailingWhitespace())
    if has_comma:
        comma = cst.ensure_type(last.comma, cst.Comma).with_changes(whitespace_after=between)
        return last.with_changes(comma=comma), added.with_changes(comma=cst.Comma(whitespace_after=closing))
    comma = cst.Comma(whitespace_after=between)
    return (
        last.with_changes(comma=comma, whitespace_after_arg=_NO_SPACE),
        added.with_changes(whitespace_after_arg=closing),
    )


def _between(
    before: cst.BaseParenthesizableWhitespace, behind: cst.BaseParenthesizableWhitespace
) -> cst.BaseParenthesizableWhitespace:
    """What separates two arguments where `before` stands before one; a comment on that one's line is in `behind`."""
    if not isinstance(before, cst.ParenthesizedWhitespace):
        return _SPACE
    first_line = behind.first_line if isinstance(behind, cst.ParenthesizedWhitespace) else cst.TrailingWhitespace()
    return cst.ParenthesizedWhitespace(first_line, indent=True, last_line=before.last_line)


def _closed(argument: cst.Arg) -> cst.Arg:
    """The argument with parentheses of its own, where a call's own may have been meant: `f(x for x in y)`."""
    value = argument.value
    if not isinstance(value, cst.GeneratorExp) or value.lpar:
        return argument
    return argument.with_changes(value=value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()]))


def _with_arguments(call: cst.Call, values: Sequence[str]) -> cst.Call:
    comma = cst.Comma(whitespace_after=_SPACE)
    arguments = [cst.Arg(cst.parse_expression(value), comma=comma) for value in values]
    arguments[-1:] = [each.with_changes(comma=cst.MaybeSentinel.DEFAULT) for each in arguments[-1:]]
    return call.with_changes(args=arguments, whitespace_before_args=_NO_SPACE)


def _trimmed(span: Span, before: str, after: str) -> Edit:
    """The edit without what stays the same at both ends."""
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
