"""What is said of targets that don't stand one moment after what their scores have read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.ahead import Meeting, is_causal_way, meetings
from shapeguard.lint.losses import losses
from shapeguard.lint.moments import Moments, cut_of
from shapeguard.lint.reading import Reading, last_name, number
from shapeguard.lint.rule import Found
from shapeguard.lint.shifting import sites, token_losses

_CAUSAL = re.compile(r"gpt|causal|next[-_ ]?token|language[-_ ]?model|lm_head|is_causal", re.IGNORECASE)
_BOTH_WAYS = re.compile(r"bert|mlm|mask_token|masked_lm|auto_?encod|denois|diffusion|reconstruct", re.IGNORECASE)
_FROM_THE_RIGHT = re.compile(r"backward_|reverse|flip|right_to_left|r2l|bidirectional|previous", re.IGNORECASE)
_NEXT = re.compile(r"next|future|forecast|dynamics|world_?model|predict_ahead|horizon|pred_len", re.IGNORECASE)
_REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_TWICE = 2


def astray(file: Reading, seen: set[ast.AST]) -> Iterator[Found]:
    """Losses whose targets are of the moment that was read, of the one before it, or of the one after the next.

    Without those of which something is said already, at one of the places `seen`.
    """
    told = {loss.call for loss in token_losses(file) if loss.model is not None}
    for call, scores, target, _ in sites(file):
        if call not in told:
            yield from _of_meetings(file, meetings(file, call, scores, target), seen)
    for loss in losses(file, *_REGRESSIONS):
        if loss.target is not None and _NEXT.search(_around(file, loss.call)):
            found = [each for each in meetings(file, loss.call, loss.given, loss.target) if each.read.start]
            yield from _of_meetings(file, found, seen)


def _of_meetings(file: Reading, found: Iterator[Meeting] | list[Meeting], seen: set[ast.AST]) -> Iterator[Found]:
    for each in found:
        said = _verdict(file, each)
        places = {each.loss, *each.read.steps, *each.targets.steps}
        if said is not None and said.node not in seen and not places & seen:
            seen.add(said.node)
            yield said


def _verdict(file: Reading, met: Meeting) -> Found | None:
    if met.ahead == 0 and _is_copied(file, met):
        return _copied(file, met)
    if met.ahead == _TWICE and _is_twice(met):
        return _twice(file, met)
    if met.ahead == -1 and _is_turned(file, met):
        read, targets = _text(file, met.read), _text(file, met.targets)
        message = f"`{targets}` is scored by what has read `{read}`: each position against the one before it"
        return Found(_place(file, met), message, _notes(file, met), "the targets are to begin one later than the input")
    return None


def _is_copied(file: Reading, met: Meeting) -> bool:
    """Whether what is read and what is to be said are the same, of which something was cut off for the next one."""
    if met.read.is_step:
        return _leaves_one(file, met.targets)
    if _BOTH_WAYS.search(_around(file, met.loss)) or _BOTH_WAYS.search(last_name(met.model.func)):
        return False
    if met.read.start:
        return met.read.drops is None and met.targets.drops is None
    if not met.read.steps and not met.targets.steps:
        return is_causal_way(file, met.way)
    if met.read.shift == 0:
        return met.read.drops == met.targets.drops == 1
    return met.read.shift == 1 and bool(_CAUSAL.search(file.source.text)) and not _BOTH_WAYS.search(file.source.text)


def _leaves_one(file: Reading, step: Moments) -> bool:
    """Whether the loop over single positions leaves out the last one, or begins with the second."""
    for loop in file.around(step.steps[0]) if step.steps else ():
        match loop:
            case ast.For(target=ast.Name(id=name), iter=ast.Call(func=ast.Name(id="range"), args=args)) if (
                name in step.start
            ):
                last = args[0] if len(args) == 1 else args[1]
                is_less = isinstance(last, ast.BinOp) and isinstance(last.op, ast.Sub) and number(last.right) == 1
                return is_less and (len(args) == 1 or number(args[0]) == 0)
    return False


def _is_twice(met: Meeting) -> bool:
    """Whether two steps shift by one each: a single one by two is meant."""
    steps = {*met.read.steps, *met.targets.steps}
    cuts = [cut_of(each, logits=False) for each in steps if isinstance(each, ast.Subscript)]
    if met.read.is_step or any(each is not None and each.shift >= _TWICE for each in cuts):
        return False
    if len(met.targets.steps) < _TWICE and met.targets.shift == _TWICE:
        return False
    return len(steps) >= _TWICE and (met.read.shift, met.targets.shift) in {(-1, 1), (0, _TWICE)}


def _is_turned(file: Reading, met: Meeting) -> bool:
    if met.read.is_step or _FROM_THE_RIGHT.search(_around(file, met.loss)):
        return False
    plain = (met.read.shift, met.targets.shift, met.targets.drops) == (1, 0, 1)
    return plain and not met.read.start and bool(met.targets.steps)


# In words.


def _copied(file: Reading, met: Meeting) -> Found:
    targets, model = _text(file, met.targets), _model(file, met)
    message = f"`{targets}` is what `{model}` reads: each position is scored against the one that stands there"
    made = [each for each in met.targets.steps if file.function(each) is not file.function(met.loss)]
    place = made[0] if made and met.caller is None else _place(file, met)
    return Found(place, message, _notes(file, met), "begin the targets one later than the input")


def _twice(file: Reading, met: Meeting) -> Found:
    root = file.text(met.targets.root.node)
    message = f"the targets are two positions ahead of what `{_model(file, met)}` has read of `{root}`: shifted twice"
    return Found(_place(file, met), message, _notes(file, met), "shift in one of the two places")


def _model(file: Reading, met: Meeting) -> str:
    """What reads, where the loss can see it."""
    near = [each for each in met.way if file.function(each) is file.function(met.loss)]
    return file.text((near or met.way)[-1].func)


def _place(file: Reading, met: Meeting) -> ast.expr:
    """The loss, or the call that brings to it what was shifted before."""
    function = file.function(met.loss)
    here = [each for each in (*met.targets.steps, *met.read.steps) if file.function(each) is function]
    everything = (*met.targets.steps, *met.read.steps)
    return met.caller.call if met.caller is not None and len(here) < len(everything) else met.loss


def _notes(file: Reading, met: Meeting) -> tuple[str, ...]:
    shown: dict[str, None] = {}
    for word, found in (("read", met.read), ("targets", met.targets)):
        for each in reversed(found.steps):
            shown[f"{word}, line {each.lineno}: {file.text(each)}"] = None
    return tuple(shown)


def _text(file: Reading, found: Moments) -> str:
    return file.text(found.steps[0] if found.steps else found.root.node)


def _around(file: Reading, node: ast.expr) -> str:
    """The text of the class or function around a node."""
    owner = file.class_of(node) or file.function(node)
    return file.source.text if owner is None or isinstance(owner, ast.Lambda) else file.source.segment(owner)
