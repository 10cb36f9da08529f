"""Losses over sequences of tokens: which logits meet which targets, and which model makes them of what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from shapeguard.lint.identity import is_same
from shapeguard.lint.losses import OF_CLASSES
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.sequences import Sequence, is_called_tokens, sequence

_LOSS_NAMES = re.compile(r"^(ce|ce_loss|criterion|cross_entropy_loss|lm_loss|loss_fct|loss_fn|loss_func)$")
_LIKE_A_LOSS = re.compile(r"loss|crit|(^|_)ce($|_)|entropy|nll|objective", re.IGNORECASE)
_LOSS_LAYERS = ("CrossEntropyLoss", "NLLLoss")
_INPUTS = ("input_ids", "tokens", "token_ids", "idx", "ids", "x")
_BESIDE_INPUTS = re.compile(r"mask|position|cache|token_type|segment|output_|return_|labels|past|kwargs|dropout|train")
_CHANGES_TOKENS = re.compile(r"shift|roll|mask|noise|noisy|corrupt|perturb|pad|cat|generate|shuffle|insert|drop|flip")
_SAME_MODEL = frozenset({"bfloat16", "cpu", "cuda", "eval", "float", "half", "requires_grad_", "to", "train"})
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class TokenLoss:
    """Logits, each of which is scored against a target."""

    call: ast.Call
    written: tuple[ast.expr, ast.expr]
    """The logits and the targets as they are written in the call."""
    logits: Sequence
    targets: Sequence
    model: ast.Call | None
    """The call that makes the logits of the very sequence that the targets are of, if it does."""
    read: Sequence
    """What that call reads."""
    gathers: bool
    """Whether logits beyond the last target are left out without a word."""

    @property
    def ahead(self) -> int:
        """How many positions after the last token that its logits have read a target stands: 1 is right."""
        return self.targets.start - self.logits.start - self.read.start

    @property
    def missing(self) -> int:
        """How many targets fewer than logits there are."""
        cut = self.logits.start + self.logits.stop + self.read.start + self.read.stop
        return self.targets.start + self.targets.stop - cut


@lru_cache(maxsize=1)  # several rules ask for those of one file
def token_losses(file: Reading) -> tuple[TokenLoss, ...]:
    """The losses and gathers over logits and targets, where it is sure what is cut off both.

    Those with nothing cut off, and with targets that aren't called tokens, are left out.
    """
    return tuple(_token_losses(file))


def uncut_losses(file: Reading) -> tuple[TokenLoss, ...]:
    """Those whose targets are the very thing that the model reads, whatever it is called, with nothing cut off."""
    found = _token_losses(file, named=False)
    return tuple(each for each in found if each.model is not None and not each.logits.cuts and not each.targets.cuts)


def _token_losses(file: Reading, *, named: bool = True) -> Iterator[TokenLoss]:
    for call, scores, target, gathers in sites(file):
        targets = sequence(file, target)
        logits = None if targets is None else sequence(file, scores, logits=True)
        if logits is None or targets is None:
            continue
        if named and not logits.cuts and not targets.cuts and not is_called_tokens(targets.root):
            continue
        model, read = None, Sequence(targets.root)
        for maker, given, outer in _makers(file, logits.root):
            if is_same(file, given.root, targets.root):
                model, read, logits = maker, given, Sequence(logits.root).cut_like(outer).cut_like(logits)
                break
        yield TokenLoss(call, (scores, target), logits, targets, model, read, gathers)


def sites(file: Reading) -> Iterator[tuple[ast.Call, ast.expr, ast.expr, bool]]:
    """The losses and gathers over tokens: the call, the logits, the targets, and whether it is a gather."""
    for call in file.all(ast.Call):
        name = last_name(call.func)
        if name == "gather" or name.startswith("selective_log_softmax"):
            found = _gathered(file, call, name)
            gathers = True
        elif _is_token_loss(file, call):
            found = argument(call, 0, "input"), argument(call, 1, "target")
            gathers = False
        else:
            continue
        if found[0] is not None and found[1] is not None:
            yield call, found[0], found[1], gathers


def _is_token_loss(file: Reading, call: ast.Call) -> bool:
    """Whether a call is of a cross-entropy, or of something that is called as one."""
    if isinstance(call.func, ast.Name | ast.Attribute) and not _LIKE_A_LOSS.search(last_name(call.func)):
        return False
    if file.is_torch(call, *OF_CLASSES):
        return True
    layer = call.func if isinstance(call.func, ast.Call) else file.layer(call.func)
    if layer is not None:
        return file.is_torch(layer, *_LOSS_LAYERS)
    return bool(_LOSS_NAMES.match(last_name(call.func)))


def _gathered(file: Reading, call: ast.Call, name: str) -> tuple[ast.expr | None, ast.expr | None]:
    if name != "gather":
        return argument(call, 0, "logits"), argument(call, 1, "index")
    if number(file.given(call, 1, "dim")) not in {-1, 2}:
        return None, None
    index = file.given(call, 2, "index")
    return file.given(call, 0, "input"), None if index is None else _flat_index(index)


def _flat_index(index: ast.expr) -> ast.expr | None:
    """`ids` of `ids.unsqueeze(-1)` and `ids[..., None]`."""
    match index:
        case ast.Call(func=ast.Attribute(value=owner, attr="unsqueeze")):
            return owner
        case ast.Subscript(slice=ast.Tuple(elts=[*_, ast.Constant(value=None)])):
            return index
    return None


# Models.


def _makers(file: Reading, logits: ast.expr) -> Iterator[tuple[ast.Call, Sequence, Sequence]]:
    """The calls that logits come out of, from the last to the first; what each reads; what is cut off in between."""
    outer = Sequence(logits)
    node: ast.expr | None = logits
    for _ in range(_DEEPEST):
        call = None if node is None else maker(file, node)
        if call is None or _CHANGES_TOKENS.search(last_name(call.func)):
            return
        given = read_by(file, call)
        if given is None:
            return
        yield call, given, outer
        node, outer = given.root, given.cut_like(outer)


def beginning(file: Reading, scores: ast.expr) -> int | None:
    """How many positions are cut off the beginning of logits and of what their model reads; None if that isn't sure."""
    logits = sequence(file, scores, logits=True)
    if logits is None:
        return None
    read = [given.start + outer.start for _, given, outer in _makers(file, logits.root)]
    return logits.start + max(read, default=0)


def maker(file: Reading, node: ast.expr) -> ast.Call | None:
    """The call that gives a value, or the record, tuple or dict that it is an item of."""
    for _ in range(_DEEPEST):
        match node:
            case ast.Call():
                return node
            case ast.Attribute(value=owner, attr="logits" | "last_hidden_state" | "prediction_logits"):
                node = owner
            case ast.Subscript(value=owner, slice=ast.Constant()):
                node = owner
            case ast.Name():
                binding = file.definition(node)
                if binding is None or binding.value is None or binding.index not in {None, 0}:
                    return None
                node = binding.value
            case _:
                return None
    return None


def read_by(file: Reading, call: ast.Call) -> Sequence | None:
    """The tokens or states that a model reads; None where that isn't sure."""
    if file.is_torch(call, last_name(call.func)) and last_name(call.func) not in {"embedding", "linear", "checkpoint"}:
        return None
    keywords = {each.arg: each.value for each in call.keywords}
    others = [last_name(each) for each in call.args[1:]]
    others += [each for each in keywords if each is not None and each not in _INPUTS]
    if not all(_BESIDE_INPUTS.search(each) and not each.startswith(("decoder", "encoder")) for each in others):
        return None
    given = argument(call, 0, *_INPUTS)
    if given is None and keywords.keys() == {None}:
        packed = keywords[None]
        return Sequence(ast.Subscript(packed, ast.Constant("input_ids"), ast.Load()))
    return None if given is None else sequence(file, given, untouched=True)


def made_of(file: Reading, call: ast.Call) -> str | None:
    """The full name of the class that makes what is called: `transformers.AutoModel` behind `model(...)`."""
    layer = file.layer(call.func)
    while layer is not None and last_name(layer.func) in _SAME_MODEL:
        inner = receiver(layer)
        layer = inner if isinstance(inner, ast.Call) else None
    match None if layer is None else layer.func:
        case ast.Attribute(value=maker, attr="from_pretrained" | "from_config"):
            return file.full_name(maker)
        case ast.expr() as maker:
            return file.full_name(maker)
    return None


def is_causal(maker: str | None) -> bool:
    """Whether a class, by its full name, is a causal language model of transformers."""
    return maker is not None and maker.startswith("transformers") and maker.endswith(("ForCausalLM", "LMHeadModel"))
