"""Padded batches of tokens: on which side, by which token, and where a mask or the tokens tell."""

from __future__ import annotations

import ast
import re

from shapeguard.lint.reading import Reading, argument, last_name, number, receiver

_PAD = re.compile(r"^pad(ding)?(_token)?(_id|_idx|_index)?$")
_EOS = re.compile(r"^(eos|eot|eod)(_token)?(_id|_idx|_index)?$", re.IGNORECASE)
_GENERATES = re.compile(
    r"generat|sampl|decod|beam|next|prefill|prepare|cache|^(score|step|forward_step|predict)|_step$"
)
ROW_AXES = frozenset({-1, 1})
"""Along which the tokens of one text stand."""


def sides(file: Reading) -> frozenset[str]:
    """The sides on which a file tells its tokenizers to pad."""
    given = [each.value for each in file.all(ast.keyword) if each.arg == "padding_side"]
    for statement in file.all(ast.Assign):
        given += [statement.value for each in statement.targets if last_name(each) == "padding_side"]
    return frozenset(each.value if isinstance(each, ast.Constant) else "" for each in given)  # type: ignore[misc] # strings, in code that runs


def asks_side(file: Reading) -> bool:
    """Whether a file does one thing for padding on the left, and another for the right."""
    tests = (part for each in file.all(ast.Compare) for part in (each.left, *each.comparators))
    return any(last_name(each) == "padding_side" for each in tests)


def padding_tokenizer(file: Reading, node: ast.expr) -> ast.Call | None:
    """The call of a tokenizer that pads a batch, if a value comes from one."""
    for _ in range(8):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="to" | "cuda" | "items")):
                node = owner
            case ast.Call() if re.search(r"tok(enizer)?$|processor$", last_name(node.func), re.IGNORECASE):
                return node if _pads_several(file, node) else None
            case ast.Subscript(value=owner, slice=ast.Constant()) | ast.Attribute(value=owner):
                node = owner
            case ast.DictComp(generators=[ast.comprehension(iter=items)]):
                node = items
            case ast.Name():
                made = file.origin(node)
                if made is node:
                    return None
                node = made
            case _:
                return None
    return None


def _pads_several(file: Reading, call: ast.Call) -> bool:
    padding = next((each.value for each in call.keywords if each.arg == "padding"), None)
    match padding:
        case None | ast.Constant(value=False | None | "do_not_pad"):
            return False
        case ast.Constant(value="max_length"):
            return True
    texts = argument(call, 0, "text")
    match None if texts is None else file.origin(texts):
        case ast.Constant() | ast.JoinedStr() | ast.List(elts=[_]):
            return False
    return True


def is_generating(name: str) -> bool:
    """Whether a function of this name goes on with texts, each of whose last positions is a token."""
    return bool(_GENERATES.search(name))


def is_pad(node: ast.expr) -> bool:
    """Whether an expression is the number of the token that pads, by its name."""
    return bool(_PAD.match(last_name(node)))


def pad_set_to_eos(file: Reading) -> ast.expr | None:
    """Where a file makes the token that ends a text the one that pads: `tokenizer.pad_token` of an assignment."""
    for statement in file.all(ast.Assign):
        for target in statement.targets:
            if _PAD.match(last_name(target)) and _may_be_eos(statement.value):
                return target
    for call in file.calls("from_pretrained", "add_special_tokens"):
        given = [(each.arg, each.value) for each in call.keywords]
        for made in (each for each in call.args if isinstance(each, ast.Dict)):
            keys = (each.value if isinstance(each, ast.Constant) else None for each in made.keys)
            given += zip(keys, made.values, strict=True)  # type: ignore[arg-type] # other keys name nothing
        for name, value in given:
            if name in {"pad_token", "pad_token_id"} and _may_be_eos(value):
                return value
    return None


def ends_texts(file: Reading) -> bool:
    """Whether a file puts the token that ends a text behind texts, and not just behind prompts to be continued."""
    found: list[ast.AST] = []
    for operation in file.all(ast.BinOp):
        parts = (operation.left, operation.right)
        if isinstance(operation.op, ast.Add) and any(_is_eos(each) for each in parts):
            found.append(operation)
    found += [each for each in file.all(ast.FormattedValue) if _is_eos(each.value)]
    found += [each for each in file.calls("append") if each.args and _is_eos(each.args[0])]
    found += [each for each in file.all(ast.keyword) if each.arg == "add_eos_token" and _is_true(each.value)]
    for statement in file.all(ast.Assign):
        if last_name(statement.targets[0]) == "add_eos_token" and _is_true(statement.value):
            found.append(statement)
    return any("generate(" not in _function_text(file, each) for each in found)


def _function_text(file: Reading, node: ast.AST) -> str:
    function = file.function(node)
    return "" if function is None or isinstance(function, ast.Lambda) else file.source.segment(function)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_eos(node: ast.expr) -> bool:
    match node:
        case ast.List(elts=[only]):
            return _is_eos(only)
    return bool(_EOS.match(last_name(node)))


def _may_be_eos(node: ast.expr) -> bool:
    match node:
        case ast.BoolOp(op=ast.Or(), values=[*_, last]):
            return _may_be_eos(last)
        case ast.IfExp(body=body, orelse=orelse):
            return _may_be_eos(body) or _may_be_eos(orelse)
    return _is_eos(node)


def pad_test(node: ast.expr, *, equal: bool) -> tuple[ast.expr, ast.expr] | None:
    """The tokens and the padding token of `ids == pad`, or of `ids != pad`, however it is written and converted."""
    while isinstance(node, ast.Call) and last_name(node.func) in {"int", "long", "float", "to", "bool", "byte"}:
        inner = receiver(node)
        if inner is None:
            return None
        node = inner
    found: tuple[ast.expr, ast.expr] | None = None
    match node:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]) if equal:
            found = left, right
        case ast.Compare(left=left, ops=[ast.NotEq()], comparators=[right]) if not equal:
            found = left, right
        case ast.Call(func=ast.Attribute(attr=name), args=[left, right]) if name == ("eq" if equal else "ne"):
            found = left, right
        case ast.Call(func=ast.Attribute(value=left, attr=name), args=[right]) if name == ("eq" if equal else "ne"):
            found = left, right
    return found if found is not None and is_pad(found[1]) else None


def along_row(file: Reading, node: ast.expr, name: str) -> ast.expr | None:
    """`mask` of `mask.sum(dim=1)` and of `torch.sum(mask, -1)`, where the step is called `sum`."""
    if not isinstance(node, ast.Call) or last_name(node.func) != name:
        return None
    return file.given(node, 0, "input") if number(file.given(node, 1, "dim", "axis")) in ROW_AXES else None


def summed_row(file: Reading, node: ast.expr) -> ast.expr | None:
    """The same of a sum, as integers too: `mask.sum(dim=1).long()`."""
    while isinstance(node, ast.Call) and last_name(node.func) in {"int", "long", "to"}:
        inner = receiver(node)
        if inner is None:
            return None
        node = inner
    return along_row(file, node, "sum")


def less_one(node: ast.expr) -> ast.expr | None:
    """`n` of `n - 1`."""
    match node:
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)):
            return left
    return None


def is_index(file: Reading, node: ast.expr) -> bool:
    """Whether a value is used to index or to gather, as far as it is followed."""

    def onward(each: ast.AST) -> ast.AST | None:
        around = file.parent(each)
        leads = ast.Attribute | ast.BinOp | ast.Tuple | ast.keyword | ast.Subscript | ast.Call
        return around if isinstance(around, leads) else None

    for each, around in file.reads_beyond(node, onward):
        match around:
            case ast.Subscript(slice=index) if index is each:
                return True
            case ast.Call(func=func) if last_name(func) in {"gather", "index_select", "take_along_dim"}:
                return True
    return False
