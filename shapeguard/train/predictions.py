"""What a trained model predicts, beside what was to be predicted, in lines that a person can read."""

from typing import Any

import torch

from shapeguard.models.backbone import positions_of
from shapeguard.train.next_token import NextTokenTask
from shapeguard.train.windows import Window

_SHOWN = 3
_COLUMNS = 84
_LEAST = 12
"""Fewer tokens than these show little."""
_CONTINUED = 32
_UNKNOWN, _END = "□", "∎"
_VISIBLE = str.maketrans({" ": "·", "\n": "↵", "\t": "→"})


def show_predictions(task: NextTokenTask) -> str:
    """Some held-out tokens, the ones behind them, what was predicted for these, and where that was wrong."""
    lines = [
        "Held-out texts, the tokens behind each of theirs, and those that were predicted",
        f"(· is a space, ↵ the end of a line, {_END} that of the text, {_UNKNOWN} what the tokenizer doesn't know):",
    ]
    for window in _choose(task):
        guesses = _predict(task, window)
        right = [guess == token for guess, token in zip(guesses, window.ids[window.given :], strict=True)]
        columns = [
            (_seen(task.tokenizer, before), _seen(task.tokenizer, token), _seen(task.tokenizer, guess), hit)
            for before, token, guess, hit in zip(
                window.ids[window.given - 1 : -1], window.ids[window.given :], guesses, right, strict=True
            )
        ]
        lines += ["", *_align(columns)]
    return "\n".join(line.rstrip() for line in lines)


def show_continuations(task: NextTokenTask) -> str:
    """The beginnings of some held-out texts, how they go on, and how the model would have them go on."""
    lines = [
        f"Held-out texts, and how the model goes on where they are cut (· is a space, ↵ the end of a line, {_END} of all):"
    ]
    for window in _choose(task):
        at = window.given if window.given > 1 else len(window.ids) // 2
        shown = {"text": window.ids[:at], "goes on": window.ids[at:], "model": _continue(task, window.ids[:at])}
        lines += [
            "",
            *(f"  {name:9} {_one_line(task.tokenizer, ids, its_end=name == 'text')}" for name, ids in shown.items()),
        ]
    return "\n".join(lines)


def _choose(task: NextTokenTask) -> list[Window]:
    """Windows from all over what is held out, of a length that shows something if there are such."""
    long = [window for window in task.held_out if len(window.ids) - window.given >= _LEAST] or list(task.held_out)
    return long[:: max(1, len(long) // _SHOWN)][:_SHOWN]


def _predict(task: NextTokenTask, window: Window) -> list[int]:
    """The likeliest token at each place that is learned."""
    device = next(task.model.parameters()).device
    batch = {name: values.to(device) for name, values in task.collate([window]).items()}
    task.model.eval()
    with torch.no_grad():
        logits = task.predict(task.model, batch)[0, window.given - 1 : -1]
    guesses: list[int] = logits.argmax(dim=-1).tolist()
    return guesses


def _continue(task: NextTokenTask, ids: list[int]) -> list[int]:
    """What a language model of transformers writes behind these tokens; the same each time."""
    model: Any = task.model.eval()
    given = torch.tensor([ids], device=model.device)
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        written = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=_room(model, len(ids)),
            do_sample=True,
            temperature=0.5,
            pad_token_id=task.tokenizer.pad_token_id or 0,
            eos_token_id=task.tokenizer.eos_token_id,
        )
    new: list[int] = written[0, len(ids) :].tolist()
    return new


def _room(model: Any, used: int) -> int:
    most = positions_of(model)
    return _CONTINUED if most is None else max(1, min(_CONTINUED, most - used))


def _align(columns: list[tuple[str, str, str, bool]]) -> list[str]:
    """Rows of cells of one width each, as many as there is room for."""
    apart = "" if all(len(cell) == 1 for before, token, _, _ in columns[:-1] for cell in (before, token)) else " "
    rows: list[list[str]] = [[], [], [], []]
    for before, token, guess, right in columns:
        cells = (before, token, guess, "" if right else "^")
        width = max(map(len, cells))
        if sum(len(cell) + len(apart) for cell in rows[0]) + width > _COLUMNS:
            break
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell.ljust(width))
    names = ("input", "target", "predicted", "wrong")
    return [f"  {name:9} {apart.join(row)}" for name, row in zip(names, rows, strict=True)]


def _seen(tokenizer: Any, token: int) -> str:
    if token == tokenizer.unk_token_id:
        return _UNKNOWN
    return _END if token == tokenizer.eos_token_id else visible(tokenizer.decode([token])) or _UNKNOWN


def _one_line(tokenizer: Any, ids: list[int], *, its_end: bool) -> str:
    ends = ids[-1:] == [tokenizer.eos_token_id]
    text = visible(tokenizer.decode(ids[:-1] if ends else ids)) + _END * ends
    if len(text) <= _COLUMNS:
        return text
    return "…" + text[1 - _COLUMNS :] if its_end else text[: _COLUMNS - 1] + "…"


def visible(text: str) -> str:
    """The text with its spaces, tabs and line ends as characters that can be seen."""
    shown = text.translate(_VISIBLE)
    return "".join(character if character.isprintable() else _UNKNOWN for character in shown)
