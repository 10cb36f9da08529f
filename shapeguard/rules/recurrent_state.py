"""What a recurrent layer has read is taken from the wrong end.

## Example

    import torch
    from torch import nn


    class Sentiment(nn.Module):
        def __init__(self, dim, hidden):
            super().__init__()
            self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
            self.head = nn.Linear(2 * hidden, 2)

        def forward(self, x):
            out, (h_n, _) = self.lstm(x)
            return self.head(out[:, -1])

The check says:

    example.py:13:26 SG205 recurrent-state: `out[:, -1]` is the last step, where the backward direction of `nn.LSTM` has read one step only
        hint: the two directions end at `h_n[-2]` and `h_n[-1]`: `torch.cat([h_n[-2], h_n[-1]], dim=-1)`

Use instead:

    def forward(self, x):
        out, (h_n, _) = self.lstm(x)
        return self.head(torch.cat([h_n[-2], h_n[-1]], dim=-1))

## Why is this bad?

Every such index has the right size for the next layer. The model trains, on half of what it has read or on another
example's state, and is worse than it could be.

## What it does

Marks an index into what an `nn.LSTM`, `nn.GRU` or `nn.RNN` gives that is taken for its summary and isn't:

- `out[:, -1]` with `bidirectional=True`: at the last step the backward direction has read one step;
- `h_n[0]` of several layers, the state of the lowest; `h_n[-1]` of two directions, the backward one alone;
- `h_n[:, -1]`, the last example: a state is `(layers, batch, hidden)`, with `batch_first=True` as well;
- `out[-1]` with `batch_first=True`, the last example, and not the last step;
- `h_n.squeeze(0)` of several layers or directions, which takes nothing away;
- `state[-1]` of an LSTM's `(h_n, c_n)`, the cell state, where it goes into a linear layer.

Left alone are places beside which the others are read as well, as in `torch.cat([h_n[-2], h_n[-1]], dim=-1)`.

## Fix safety

There is a fix for `h_n[0]`, which becomes `h_n[-1]`, and for `out[-1]`, which becomes the last step; elsewhere the
finding only hints. Unsafe: it changes the result, on purpose.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.layouts import directions
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.recurrence import Given, Recurrences, stacked
from shapeguard.lint.rule import Found, Repair, Replacement, Rule

_TWO = 2


def _net(layers: str, body: str, init: str = "self, d, hidden") -> str:
    """The source of a model with these layers and this forward pass."""
    made = "".join(f"        self.{each}\n" for each in layers.split("\n"))
    steps = "".join(f"        {each}\n" for each in body.split("\n"))
    head = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
    return f"{head}class Net(nn.Module):\n    def __init__({init}):\n{made}    def forward(self, x):\n{steps}"


class RecurrentState(Rule):
    """The end of a sequence is read where it isn't."""

    code = "SG205"
    name = "recurrent-state"
    severity = "warning"
    fixable = True
    words = ("LSTM(", "GRU(", "RNN(")

    valid = (
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, h = self.gru(x)\nreturn out[:, -1]"),
        _net("gru = nn.GRU(d, hidden, 3, batch_first=True)", "_, h = self.gru(x)\nreturn h[-1]"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "_, h = self.gru(x)\nreturn h[0]"),
        _net("lstm = nn.LSTM(d, hidden)", "out, (h, c) = self.lstm(x)\nreturn out[-1] + h.squeeze(0)"),
        # both ends
        _net(
            "lstm = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, (h, c) = self.lstm(x)\nreturn torch.cat([h[-2], h[-1]], dim=-1)",
        ),
        _net(
            "lstm = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.lstm(x)\nreturn torch.cat([out[:, -1, :self.hidden], out[:, 0, self.hidden:]], dim=-1)",
        ),
        _net(
            "lstm = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.lstm(x)\nlast, first = out[:, -1], out[:, 0]\n"
            "return torch.cat([last[:, :self.hidden], first[:, self.hidden:]], dim=-1)",
        ),
        _net(
            "gru = nn.GRU(d, hidden, bidirectional=True)", "_, h = self.gru(x)\nreturn torch.cat((h[0], h[1]), dim=1)"
        ),
        # every layer
        _net("gru = nn.GRU(d, hidden, 2)", "_, h = self.gru(x)\nreturn torch.cat([h[0], h[1]], dim=-1)"),
        _net("gru = nn.GRU(d, hidden, 2)", "_, h = self.gru(x)\nreturn sum(h[i] for i in range(2)) + h[0]"),
        _net("gru = nn.GRU(d, hidden, 2)", "out, h = self.gru(x)\nreturn out, h"),
        # an LSTM's tuple
        _net("lstm = nn.LSTM(d, hidden, 2, batch_first=True)", "_, state = self.lstm(x)\nreturn state[0][-1]"),
        _net("lstm = nn.LSTM(d, hidden, 2, batch_first=True)", "result = self.lstm(x)\nreturn result[0][:, -1]"),
        _net(
            "lstm = nn.LSTM(d, hidden, 2, batch_first=True)", "result = self.lstm(x)\nh, c = result[-1]\nreturn h[-1]"
        ),
        # the axes have changed places
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, h = self.gru(x)\nreturn out.transpose(0, 1)[-1]"),
        _net(
            "gru = nn.GRU(d, hidden, bidirectional=True)",
            "_, h = self.gru(x)\nh = h.transpose(0, 1)\nreturn h[:, -1] + h[:, 0]",
        ),
        # one sequence
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, h = self.gru(x.unsqueeze(0))\nreturn out[-1][-1]"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, h = self.gru(x)\nreturn out[-1, -1]"),
        # an option
        _net(
            "gru = nn.GRU(d, hidden, batch_first=True, bidirectional=both)",
            "out, h = self.gru(x)\nreturn out[:, -1]",
            "self, d, hidden, both",
        ),
        _net("cell = nn.GRUCell(d, hidden)", "h = self.cell(x)\nreturn h[0]"),
        _net(
            "gru = nn.GRU(d, hidden, num_layers=layers)", "_, h = self.gru(x)\nreturn h[0]", "self, d, hidden, layers=1"
        ),
    )
    invalid = (
        _net(
            "lstm = nn.LSTM(d, hidden, 2, batch_first=True, bidirectional=True)\nfc = nn.Linear(2 * hidden, 3)",
            "out, (h, c) = self.lstm(x)\nsummary = out[:, -1, :]  # <-\nreturn self.fc(summary)",
        ),
        _net(
            "encoder = nn.GRU(d, hidden, bidirectional=True)\ndrop = nn.Dropout(0.1)",
            "out = self.drop(self.encoder(x)[0])\nreturn out[-1]  # <-",
        ),
        _net(
            "rnn = nn.RNN(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.rnn(x)\nreturn out.transpose(0, 1)[-1]  # <-",
        ),
        _net(
            "rnn = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.rnn(x)\nreturn out.select(1, -1)  # <-",
        ),
        _net(
            "rnn = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.rnn(x)\nreturn out[:, out.size(1) - 1]  # <-",
        ),
        _net(
            "rnn = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.rnn(x)\nrows = torch.arange(x.size(0))\nreturn out[rows, lengths - 1]  # <-",
        ),
        _net(
            "rnn = nn.LSTM(d, hidden, bidirectional=True, batch_first=True)",
            "out, _ = self.rnn(x)\nat = (lengths - 1).view(-1, 1, 1).expand(-1, 1, 8)\nreturn out.gather(1, at).squeeze(1)  # <-",
        ),
        (
            _net(
                "gru = nn.GRU(d, hidden, num_layers=3, batch_first=True)\nnorm = nn.LayerNorm(hidden)",
                "_, h_n = self.gru(x)\nstate = h_n[0]  # <-\nreturn self.norm(state)",
            ),
            _net(
                "gru = nn.GRU(d, hidden, num_layers=3, batch_first=True)\nnorm = nn.LayerNorm(hidden)",
                "_, h_n = self.gru(x)\nstate = h_n[-1]  # <-\nreturn self.norm(state)",
            ),
        ),
        _net(
            "lstm = nn.LSTM(d, hidden, layers)",
            "_, (h, c) = self.lstm(x)\nreturn h[0, :, :]  # <-",
            "self, d, hidden, layers=2",
        ),
        _net("lstm = nn.LSTM(d, hidden, 2)", "out, state = self.lstm(x)\nreturn state[0][0]  # <-"),
        _net(
            "gru = nn.GRU(d, hidden, 2, bidirectional=True)",
            "_, h = self.gru(x)\nreturn torch.cat((h[0], h[1]), dim=1)  # <-",
        ),
        _net("gru = nn.GRU(d, hidden, bidirectional=True)", "_, h = self.gru(x)\nreturn h[-1]  # <-"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "_, h = self.gru(x)\nreturn h[:, -1]  # <-"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "_, h = self.gru(x)\nreturn h[:, -1, :]  # <-"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, _ = self.gru(x)\nreturn out[-1]  # <-"),
        _net("gru = nn.GRU(d, hidden, batch_first=True)", "out, _ = self.gru(x)\nreturn F.relu(out)[-1, :, :]  # <-"),
        _net(
            "gru = nn.GRU(d, hidden, 2)\nfc = nn.Linear(hidden, 1)",
            "_, h = self.gru(x)\nreturn self.fc(h.squeeze(0))  # <-",
        ),
        _net(
            "lstm = nn.LSTM(d, hidden, 2, batch_first=True)\nfc = nn.Linear(hidden, 1)",
            "out, hidden = self.lstm(x)\nreturn self.fc(hidden[-1])  # <-",
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Subscripts and squeezes of what recurrent layers give."""
        given = Recurrences(file)
        done: set[tuple[ast.Call, str]] = set()
        for node in file.all(ast.Subscript):
            if isinstance(node.ctx, ast.Load) and _may_be_end(node.slice):
                for found in _of_part(file, given, node):
                    key = (whole.call, found.message) if (whole := given.of(node.value)) else None
                    if key is None or key not in done:
                        yield found
                    if key is not None:
                        done.add(key)
        for call in file.calls("squeeze", "select", "gather"):
            yield from _of_method(file, given, call)


def _may_be_end(index: ast.expr) -> bool:
    return number(index) in {0, -1} or isinstance(index, ast.Tuple)


def _of_part(file: Reading, given: Recurrences, node: ast.Subscript) -> Iterator[Found]:
    whole = given.of(node.value)
    if whole is None:
        return
    parts = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if whole.kind == "output" and whole.first is not None:
        yield from _of_output(file, given, whole, node, parts)
    elif whole.kind == "state":
        yield from _of_state(file, given, whole, node, parts)
    elif whole.kind == "states" and number(node.slice) == -1 and _goes_into_linear(file, node):
        text = file.text(node)
        yield Found(
            node, f"`{text}` of an LSTM is `c_n`, its cell state: the output's state is `{file.text(node.value)}[0]`"
        )


# Outputs.


def _of_output(
    file: Reading, given: Recurrences, whole: Given, node: ast.Subscript, parts: list[ast.expr]
) -> Iterator[Found]:
    at = 1 if whole.first else 0
    others = [*parts[:at], *parts[at + 1 :]]
    is_last = _is_end(file, parts, at, node.value) and all(map(_is_all, others))
    if is_last or _is_picked(file, parts, at):
        yield from _of_two(file, given, whole, node)
        return
    is_example = whole.first and number(parts[0]) == -1 and all(map(_is_all, parts[1:]))
    if is_example and not _is_one_row(file, whole.call.args[0]) and not _is_taken_on(file, node):
        text = file.text(node)
        message = f"`{text}` is the last example: `nn.{whole.layer}` has `batch_first=True`, and the steps are axis 1"
        change = Replacement(node, "{}[:, -1]", (node.value,))
        yield Found(node, message, repair=Repair("Take the last step", (change,)) if len(parts) == 1 else None)


def _of_two(file: Reading, given: Recurrences, whole: Given, node: ast.expr) -> Iterator[Found]:
    """The last step of two directions."""
    if directions(whole.made) != _TWO or _reads_both_ends(file, given, whole, node) or _is_taken_apart(file, node):
        return
    text = file.text(node)
    message = f"`{text}` is the last step, where the backward direction of `nn.{whole.layer}` has read one step only"
    hint = "the two directions end at `h_n[-2]` and `h_n[-1]`: `torch.cat([h_n[-2], h_n[-1]], dim=-1)`"
    yield Found(node, message, hint=hint)


def _is_all(node: ast.expr) -> bool:
    match node:
        case ast.Slice(lower=None, upper=None, step=None):
            return True
        case ast.Constant(value=value):
            return value is ...
    return False


def _is_end(file: Reading, parts: list[ast.expr], at: int, whole: ast.expr) -> bool:
    """Whether the part at a place is the last step: `-1`, `-1:`, `out.size(1) - 1`."""
    if at >= len(parts):
        return False
    match parts[at]:
        case ast.Slice(lower=ast.expr() as lower, upper=None, step=None):
            return number(lower) == -1
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)):
            text = file.text(file.origin(left))
            name = file.text(whole)
            return text in {f"{name}.size({at})", f"{name}.shape[{at}]", f"{name}.size(dim={at})"}
    return number(parts[at]) == -1


def _is_picked(file: Reading, parts: list[ast.expr], at: int) -> bool:
    """Whether each row's last step is picked: `out[torch.arange(n), lengths - 1]`."""
    if len(parts) < _TWO or not all(map(_is_all, parts[2:])):
        return False
    rows, steps = file.origin(parts[1 - at]), file.origin(parts[at])
    while isinstance(steps, ast.Call) and (inner := receiver(steps)) is not None:
        steps = file.origin(inner)
    if not (isinstance(rows, ast.Call) and last_name(rows.func) == "arange"):
        return False
    match steps:
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)):
            return "len" in file.text(left)
    return False


def _is_one_row(file: Reading, node: ast.expr) -> bool:
    """Whether a value is surely a batch of one, or has no batch."""
    made = file.origin(node)
    match made:
        case ast.Call(func=ast.Attribute(attr="unsqueeze"), args=[place]):
            return number(place) == 0
        case ast.Call(func=ast.Attribute(attr="view" | "reshape"), args=[first, *_]):
            return number(first) == 1
        case ast.Subscript(slice=ast.Constant(value=None)):
            return True
        case ast.Subscript(slice=ast.Tuple(elts=[ast.Constant(value=None), *_])):
            return True
    shape = file.shape_of(node)
    return shape is not None and shape.axes is not None and len(shape.axes) == _TWO


def _is_taken_on(file: Reading, node: ast.expr) -> bool:
    """Whether a further index takes a step of it: `out[-1][-1]`."""
    return isinstance(file.parent(node), ast.Subscript)


def _is_taken_apart(file: Reading, node: ast.expr) -> bool:
    """Whether parts of its features are taken, as the half of one direction."""
    for reader in file.reads(node):
        each = file.parent(reader)
        if isinstance(each, ast.Subscript) and each.value is reader:
            return True
        if isinstance(each, ast.Attribute) and each.attr in {"chunk", "split", "view", "reshape", "unflatten"}:
            return True
        if isinstance(each, ast.Call) and last_name(each.func) in {"chunk", "split", "rearrange"}:
            return True
    return False


def _reads_both_ends(file: Reading, given: Recurrences, whole: Given, node: ast.expr) -> bool:
    """Whether the function takes the first step as well."""
    at = 1 if whole.first else 0
    for each in file.all(ast.Subscript):
        if each is node or file.function(each) is not file.function(node):
            continue
        parts = list(each.slice.elts) if isinstance(each.slice, ast.Tuple) else [each.slice]
        if at < len(parts) and number(parts[at]) == 0:
            other = given.of(each.value)
            if other is not None and other.kind == "output" and other.call is whole.call:
                return True
    return False


# States.


def _of_state(
    file: Reading, given: Recurrences, whole: Given, node: ast.Subscript, parts: list[ast.expr]
) -> Iterator[Found]:
    layers, both = stacked(file, whole.made), directions(whole.made)
    place, text = number(parts[0]), file.text(node)
    if _is_all(parts[0]) and len(parts) > 1 and number(parts[1]) == -1 and all(map(_is_all, parts[2:])):
        if not _is_one_row(file, whole.call.args[0]):
            message = f"`{text}` is the state of the last example: what `nn.{whole.layer}` ends with is (layers, batch, hidden)"
            yield Found(node, message, hint=f"`{file.text(node.value)}[-1]` is that of the last layer")
        return
    if place is None or not all(map(_is_all, parts[1:])) or layers is None or both is None:
        return
    others = _places_read(file, given, whole, node)
    if others is None:
        return
    read = {place, *others}
    count = layers * both
    read = {each % count if -count <= each < count else each for each in read}
    if layers > 1 and read <= set(range(both)):
        message = f"`{text}` is the state of the lowest of {layers} layers of `nn.{whole.layer}`, and nothing reads the last layer's"
        repair = None
        if both == 1 and len(parts) == 1:
            repair = Repair("Take the last layer's: `[-1]`", (Replacement(node, "{}[-1]", (node.value,)),))
        yield Found(node, message, repair=repair)
    elif both == _TWO and len(read) == 1 and (layers == 1 or count - 1 in read):
        which = "backward" if count - 1 in read else "forward"
        message = f"`{text}` is the state of the {which} direction of `nn.{whole.layer}` alone, and nothing reads the other one"
        name = file.text(node.value)
        yield Found(node, message, hint=f"both are `torch.cat([{name}[-2], {name}[-1]], dim=-1)`")


def _places_read(file: Reading, given: Recurrences, whole: Given, node: ast.Subscript) -> set[int] | None:
    """Which other states a function reads by their place; None where it reads them in another way."""
    found: set[int] = set()
    for each in _states(file, given, whole, node):
        parent = file.parent(each)
        if isinstance(parent, ast.Subscript) and parent.value is each:
            first = parent.slice.elts[0] if isinstance(parent.slice, ast.Tuple) and parent.slice.elts else parent.slice
            place = number(first)
            if place is None:
                return None
            found.add(place)
        elif isinstance(parent, ast.Attribute) and parent.attr in {"shape", "size", "device", "dtype"}:
            continue
        elif not _is_moved_on(file, each):
            return None
    return found


def _states(file: Reading, given: Recurrences, whole: Given, node: ast.Subscript) -> Iterator[ast.expr]:
    for name in file.all(ast.Name):
        if not isinstance(name.ctx, ast.Load) or file.function(name) is not file.function(node):
            continue
        found = given.of(name)
        if found is not None and found.call is whole.call and found.kind == "state":
            yield name
    for each in file.all(ast.Subscript):
        if file.function(each) is file.function(node) and isinstance(each.ctx, ast.Load):
            found = given.of(each)
            if found is not None and found.call is whole.call and found.kind == "state":
                yield each


def _is_moved_on(file: Reading, node: ast.expr) -> bool:
    """Whether a value is only given another name, or kept as it is."""
    match file.parent(node):
        case ast.Assign(value=value):
            return value is node
        case ast.Attribute(attr=name):
            return name in {"contiguous", "detach", "clone", "to", "float"}
    return False


def _of_method(file: Reading, given: Recurrences, call: ast.Call) -> Iterator[Found]:
    owner = receiver(call)
    whole = None if owner is None else given.of(owner)
    if whole is None or owner is None:
        return
    if last_name(call.func) == "gather":
        if whole.kind == "output" and _gathers_last(file, call):
            yield from _of_two(file, given, whole, call)
        return
    numbers = list(map(number, call.args)) or [number(each.value) for each in call.keywords if each.arg == "dim"]
    if last_name(call.func) == "select":
        if whole.kind == "output" and whole.first is not None and numbers == [int(whole.first), -1]:
            yield from _of_two(file, given, whole, call)
        return
    layers, both = stacked(file, whole.made), directions(whole.made)
    if whole.kind == "state" and numbers == [0] and layers is not None and both is not None and layers * both > 1:
        what = f"{layers} layers" if both == 1 else f"{layers * both} states, of layers and directions"
        message = f"`{file.text(call)}` takes nothing away: `nn.{whole.layer}` has {what}, and `{file.text(owner)}` is (layers, batch, hidden)"
        yield Found(call, message, hint=f"`{file.text(owner)}[-1]` is the last one")


def _gathers_last(file: Reading, call: ast.Call) -> bool:
    """Whether each row's last step is picked: by an index that is made of `lengths - 1`."""
    index: ast.expr | None = argument(call, 1, "index")
    while index is not None:
        index = file.origin(index)
        match index:
            case ast.BinOp(left=left, op=ast.Sub(), right=ast.Constant(value=1)):
                return "len" in file.text(left)
            case ast.Call(func=ast.Attribute(value=inner)) | ast.Subscript(value=inner):
                index = inner
            case _:
                return False
    return False


def _goes_into_linear(file: Reading, node: ast.expr) -> bool:
    """Whether a linear layer takes a value."""
    for each in file.reads(node):
        call = file.parent(each)
        if isinstance(call, ast.Call) and each in call.args:
            made = file.layer(call.func)
            if made is not None and last_name(made.func) == "Linear":
                return True
    return False
