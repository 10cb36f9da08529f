"""What is said of targets that don't stand one moment after what their scores have read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.ahead import Scoring, is_causal_way, scorings
from shapeguard.lint.losses import OF_DIFFERENCES, losses
from shapeguard.lint.moments import Moments, cut_of
from shapeguard.lint.reading import Reading, last_name, number
from shapeguard.lint.rule import Found
from shapeguard.lint.shifting import sites, token_losses

_CAUSAL = re.compile(r"gpt|causal|next[-_ ]?token|language[-_ ]?model|lm_head|is_causal", re.IGNORECASE)
_BOTH_WAYS = re.compile(r"bert|mlm|mask_token|masked_lm|auto_?encod|denois|diffusion|reconstruct", re.IGNORECASE)
_FROM_THE_RIGHT = re.compile(r"backward_|reverse|flip|right_to_left|r2l|bidirectional|previous", re.IGNORECASE)
_NEXT = re.compile(r"next|future|forecast|dynamics|world_?model|predict_ahead|horizon|pred_len", re.IGNORECASE)
_TWICE = 2


def astray(file: Reading, seen: set[ast.AST]) -> Iterator[Found]:
    """Losses whose targets are of the moment that was read, of the one before it, or of the one after the next.

    Without those of which something is said already, at one of the places `seen`.
    """
    told = {loss.call for loss in token_losses(file) if loss.model is not None}
    for call, scores, target, _ in sites(file):
        if call not in told:
            yield from _of_scorings(file, scorings(file, call, scores, target), seen)
    for loss in losses(file, *OF_DIFFERENCES):
        if loss.target is not None and _NEXT.search(_around(file, loss.call)):
            found = [each for each in scorings(file, loss.call, loss.given, loss.target) if each.read.start]
            yield from _of_scorings(file, found, seen)


def _of_scorings(file: Reading, found: Iterator[Scoring] | list[Scoring], seen: set[ast.AST]) -> Iterator[Found]:
    for each in found:
        said = _verdict(file, each)
        places = {each.loss, *each.read.steps, *each.targets.steps}
        if said is not None and said.node not in seen and not places & seen:
            seen.add(said.node)
            yield said


def _verdict(file: Reading, scoring: Scoring) -> Found | None:
    if scoring.ahead == 0 and _is_copied(file, scoring):
        return _copied(file, scoring)
    if scoring.ahead == _TWICE and _is_twice(scoring):
        return _twice(file, scoring)
    if scoring.ahead == -1 and _is_turned(file, scoring):
        read, targets = _text(file, scoring.read), _text(file, scoring.targets)
        message = f"`{targets}` is scored by what has read `{read}`: each position against the one before it"
        return Found(
            _place(file, scoring), message, _notes(file, scoring), "the targets are to begin one later than the input"
        )
    return None


def _is_copied(file: Reading, scoring: Scoring) -> bool:
    """Whether what is read and what is to be said are the same, of which something was cut off for the next one."""
    if scoring.read.is_step:
        return _leaves_one(file, scoring.targets)
    if _BOTH_WAYS.search(_around(file, scoring.loss)) or _BOTH_WAYS.search(last_name(scoring.model.func)):
        return False
    if scoring.read.start:
        return scoring.read.drops is None and scoring.targets.drops is None
    if not scoring.read.steps and not scoring.targets.steps:
        return is_causal_way(file, scoring.way)
    if scoring.read.shift == 0:
        return scoring.read.drops == scoring.targets.drops == 1
    return scoring.read.shift == 1 and looks_back(file.source.text)


def looks_back(text: str) -> bool:
    """Whether a text speaks of models that only look back, and of none that look both ways."""
    return bool(_CAUSAL.search(text)) and not _BOTH_WAYS.search(text)


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


def _is_twice(scoring: Scoring) -> bool:
    """Whether two steps shift by one each: a single one by two is meant."""
    steps = {*scoring.read.steps, *scoring.targets.steps}
    cuts = [cut_of(each, logits=False) for each in steps if isinstance(each, ast.Subscript)]
    if scoring.read.is_step or any(each is not None and each.shift >= _TWICE for each in cuts):
        return False
    if len(scoring.targets.steps) < _TWICE and scoring.targets.shift == _TWICE:
        return False
    return len(steps) >= _TWICE and (scoring.read.shift, scoring.targets.shift) in {(-1, 1), (0, _TWICE)}


def _is_turned(file: Reading, scoring: Scoring) -> bool:
    if scoring.read.is_step or _FROM_THE_RIGHT.search(_around(file, scoring.loss)):
        return False
    plain = (scoring.read.shift, scoring.targets.shift, scoring.targets.drops) == (1, 0, 1)
    return plain and not scoring.read.start and bool(scoring.targets.steps)


# In words.


def _copied(file: Reading, scoring: Scoring) -> Found:
    targets, model = _text(file, scoring.targets), _model(file, scoring)
    message = f"`{targets}` is what `{model}` reads: each position is scored against the one that stands there"
    made = [each for each in scoring.targets.steps if file.function(each) is not file.function(scoring.loss)]
    place = made[0] if made and scoring.caller is None else _place(file, scoring)
    return Found(place, message, _notes(file, scoring), "begin the targets one later than the input")


def _twice(file: Reading, scoring: Scoring) -> Found:
    root = file.text(scoring.targets.root.node)
    message = (
        f"the targets are two positions ahead of what `{_model(file, scoring)}` has read of `{root}`: shifted twice"
    )
    return Found(_place(file, scoring), message, _notes(file, scoring), "shift in one of the two places")


def _model(file: Reading, scoring: Scoring) -> str:
    """What reads, where the loss can see it."""
    near = [each for each in scoring.way if file.function(each) is file.function(scoring.loss)]
    return file.text((near or scoring.way)[-1].func)


def _place(file: Reading, scoring: Scoring) -> ast.expr:
    """The loss, or the call that brings to it what was shifted before."""
    function = file.function(scoring.loss)
    here = [each for each in (*scoring.targets.steps, *scoring.read.steps) if file.function(each) is function]
    everything = (*scoring.targets.steps, *scoring.read.steps)
    return scoring.caller.call if scoring.caller is not None and len(here) < len(everything) else scoring.loss


def _notes(file: Reading, scoring: Scoring) -> tuple[str, ...]:
    shown: dict[str, None] = {}
    for word, found in (("read", scoring.read), ("targets", scoring.targets)):
        for each in reversed(found.steps):
            shown[f"{word}, line {each.lineno}: {file.text(each)}"] = None
    return tuple(shown)


def _text(file: Reading, found: Moments) -> str:
    return file.text(found.steps[0] if found.steps else found.root.node)


def _around(file: Reading, node: ast.expr) -> str:
    """The text of the class or function around a node."""
    owner = file.class_of(node) or file.function(node)
    return file.source.text if owner is None or isinstance(owner, ast.Lambda) else file.source.segment(owner)
