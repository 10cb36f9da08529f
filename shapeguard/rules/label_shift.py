"""Labels that are shifted twice, not at all, or not with their mask, on the way through a file's functions.

## Example

    import torch.nn.functional as F


    def loss_of(logits, labels):
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


    def training_loss(model, tokens):
        inputs, labels = tokens[:, :-1], tokens[:, 1:]
        return loss_of(model(inputs), labels)

The check says:

    example.py:10:12 SG509 label-shift: `loss_of` shifts `labels` itself, and `labels` has been shifted already
        line 9: tokens[:, 1:]
        hint: shift in one of the two places

Use instead:

    def training_loss(model, tokens):
        return loss_of(model(tokens), tokens)

## Why is this bad?

The shapes agree in each case. A model that is scored against its own input learns to copy, and its loss falls to
nothing; one whose labels are shifted twice learns to leave out a word, and looks merely bad.

## What it does

Marks the place at which two cuts meet that don't go together: a call, a loss, or the second cut.

Across functions, models and data sets of a file:

- labels that are shifted where they are made and again in the function that takes them, as above;
- `return rows[:, :-1], rows[:, :-1]` in a `get_batch`, a collate function or a data set, if the file trains on them;
- `decoder(src, shift_right(tgt))[:, :-1]` against `tgt[:, 1:]`, which shifts twice.

Within one function:

- `decoder(src, tgt[:, :-1])` scored against `tgt[:, :-1]`: the decoder reads what it is scored on;
- `cell(x[:, i])` scored against `x[:, i]`;
- `(losses * mask[:, :-1]).sum()` where the losses are those of `ids[:, 1:]`;
- `next_obs - obs[:, :-1]` where `next_obs = model(obs[:, :-1])` (in preview where no name says that it comes next).

Plain cases within one function are reported by `unshifted-lm-labels`, `double-shifted-labels` and `one-sided-shift`, of
which a wrong cut is an error; what is followed through several steps is less sure, and a warning. Where
`unshifted-lm-labels` says that nothing is shifted, it isn't said again.

## Fix safety

There is no fix: either of the two places may be the one to change.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.identity import is_same, name_of
from shapeguard.lint.losses import OF_CLASSES, OF_DIFFERENCES, losses
from shapeguard.lint.making import functions_called, makers, returned
from shapeguard.lint.next_moment import astray, looks_back
from shapeguard.lint.produced import item_of, produced, window
from shapeguard.lint.reading import Reading, argument, last_name
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.sequences import is_called_tokens, sequence
from shapeguard.lint.shifting import TokenLoss, maker, read_by, token_losses

_MODEL = re.compile(r"(^|_)(model|net|network|policy|lm|gpt|decoder|module)$", re.IGNORECASE)
_MASK = re.compile(r"mask", re.IGNORECASE)
_NEXT = re.compile(r"next|future|forecast|dynamics|world|predict|ahead|transition", re.IGNORECASE)
_NEXT_STEP = re.compile(r"(^|_)next(_|$)|forecast|one_ahead|dynamics|world_model|transition", re.IGNORECASE)
_TARGETS = re.compile(r"^(y|yb|ys|Y|y_batch|targets?|labels?|tgt|target_ids)$")
_INPUTS = re.compile(r"^(x|xb|xs|X|x_batch|inputs?|input_ids|idx|src|tokens|context)$")

_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
_SHIFTS = (
    "def lm_loss(logits, labels):\n    shift_logits = logits[:, :-1, :].contiguous()\n"
    "    shift_labels = labels[:, 1:].contiguous()\n"
    "    return F.cross_entropy(shift_logits.flatten(0, 1), shift_labels.flatten())\n"
)
_RECURRENT = (
    "class Net(nn.Module):\n    def __init__(self, v, d):\n        super().__init__()\n"
    "        self.emb, self.rnn, self.out = nn.Embedding(v, d), nn.GRU(d, d, batch_first=True), nn.Linear(d, v)\n"
    "        self.cell = nn.GRUCell(d, d)\n    def forward(self, x):\n        h, _ = self.rnn(self.emb(x))\n"
    "        return self.out(h)\n"
)
_SHIFTED_RIGHT = (
    "def moved(y, start):\n    out = torch.full_like(y, start)\n    out[:, 1:] = y[:, :-1]\n    return out\n"
)
_MODEL_THAT_SHIFTS = (
    "class LM(nn.Module):\n    def forward(self, input_ids, labels=None):\n        logits = self.head(self.body(input_ids))\n"
    "        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())\n        return loss, logits\n"
)


class LabelShift(Rule):
    """Labels aren't shifted once."""

    code = "SG509"
    name = "label-shift"
    severity = "warning"
    words = (
        "cross_entropy",
        "CrossEntropyLoss",
        "nll_loss",
        "gather(",
        "mse_loss & :-1",
        "l1_loss & :-1",
        "mse_loss & , 1:",
        "l1_loss & , 1:",
        "MSELoss & __getitem__",
        "L1Loss & __getitem__",
        "HuberLoss & __getitem__",
        ":-1 & pow(",
        ":-1 & ** 2",
        ":-1 & abs()",
    )

    valid = (
        _HEAD
        + "def fit(self, states, acts):\n    next_states = self.core(states, acts)\n"
        + "    return F.mse_loss(next_states[:, :-1], states[:, 1:])\n",
        _HEAD
        + _MODEL_THAT_SHIFTS
        + "def collate(rows):\n    ids = torch.stack(rows)\n    return dict(input_ids=ids[:, :-1], labels=ids[:, :-1])\n"
        + "def train(model, loader):\n    for batch in loader:\n        loss, _ = model(**batch)\n",
        _HEAD + _SHIFTS + "def step(model, tokens):\n    return lm_loss(model(tokens), tokens)\n",
        _HEAD + _MODEL_THAT_SHIFTS + "def step(model, tokens):\n    return model(tokens, labels=tokens)[0]\n",
        # shifted in the data, and not again
        _HEAD
        + "def lm_loss(logits, labels):\n    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())\n"
        + "def step(model, tokens):\n    return lm_loss(model(tokens[:, :-1]), tokens[:, 1:])\n",
        # labels of another sequence, cut as the logits are
        _HEAD
        + "def logps(logits, labels):\n    labels = labels[:, :-1].clone()\n    logits = logits[:, :-1, :]\n"
        + "    return torch.gather(logits.log_softmax(-1), 2, labels.unsqueeze(2)).squeeze(2)\n"
        + "def step(model, ids, labels):\n    return logps(model(ids), labels)\n",
        _HEAD
        + "def get_batch(data, n, starts):\n    x = torch.stack([data[i : i + n] for i in starts])\n"
        + "    y = torch.stack([data[i + 1 : i + 1 + n] for i in starts])\n    return x, y\n"
        + "def step(model, data, n, starts):\n    X, Y = get_batch(data, n, starts)\n"
        + "    return F.cross_entropy(model(X).flatten(0, 1), Y.flatten())\n",
        # an autoencoder
        _HEAD
        + "def step(model, x):\n    return F.mse_loss(model(x), x)\n"
        + "def crop(model, x):\n    return (model(x[:, :-1]) - x[:, 1:]).pow(2).mean()\n",
        _HEAD
        + "def loss_of(logits, targets):\n    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())\n"
        + "def step(bert, tokens):\n    logits = bert(tokens)\n    return loss_of(logits, tokens)\n",
        _HEAD
        + "def step(model, src, tgt):\n    logits = model(src, tgt[:, :-1])\n"
        + "    return F.cross_entropy(logits.transpose(1, 2), tgt[:, 1:])\n",
        # the mask goes with the targets
        _HEAD
        + "def step(model, ids, mask):\n    logits = model(ids)[:, :-1]\n"
        + "    loss = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction='none')\n"
        + "    return (loss * mask[:, 1:]).sum() / mask[:, 1:].sum()\n",
        _HEAD
        + "def step(model, obs, act):\n    pred = model(obs[:, :-1], act[:, :-1])\n    return (pred - obs[:, 1:]).pow(2).mean()\n",
        # the decoder is fed what was said before, and is to say all of it
        _HEAD
        + _SHIFTED_RIGHT
        + "def step(model, src, tgt):\n    logits = model(src, moved(tgt, 0))\n"
        + "    return F.cross_entropy(logits.transpose(1, 2), tgt)\n",
        _HEAD
        + _RECURRENT
        + "def step(net: Net, notes):\n    n = notes.size(1)\n    logits = net(notes.narrow(1, 0, n - 1))\n"
        + "    return F.cross_entropy(logits.transpose(1, 2), notes.narrow(1, 1, n - 1))\n",
        _HEAD
        + "class Text:\n    def __getitem__(self, i):\n        row = self.data[i : i + self.n + 1]\n"
        + "        return {'seen': row[:-1], 'wanted': row[1:]}\n"
        + "class Lit:\n    def training_step(self, batch):\n        scores = self.lm(batch['seen'])\n"
        + "        return F.cross_entropy(scores.transpose(1, 2), batch['wanted'])\n",
        # each letter is for the next one
        _HEAD
        + _RECURRENT
        + "    def loss(self, s, h):\n        total = 0\n        for i in range(1, s.size(1)):\n"
        + "            h = self.cell(self.emb(s[:, i - 1]), h)\n"
        + "            total = total + F.cross_entropy(self.out(h), s[:, i])\n        return total\n",
        # a head that is to look two tokens ahead
        _HEAD + "def step(net, ids):\n    return F.cross_entropy(net(ids)[:, :-2].transpose(1, 2), ids[:, 2:])\n",
        # a tagger: labels of its own
        _HEAD
        + _RECURRENT
        + "def step(net: Net, words, tags):\n    return F.cross_entropy(net(words).transpose(1, 2), tags)\n",
        # transformers shifts them itself
        (
            "import torch\nfrom transformers import AutoModelForCausalLM\n"
            "def collate(rows):\n    x = rows[:, :9]\n    y = rows[:, :9]\n    return x, y\n# cross_entropy\n"
        ),
    )
    invalid = (
        _HEAD
        + _SHIFTED_RIGHT
        + "def step(model, src, tgt):\n    logits = model(src, moved(tgt, 0))\n"
        + "    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tgt[:, 1:])  # <-\n",
        _HEAD
        + "def step(model, src, tgt, bos):\n    first = torch.full((len(tgt), 1), bos)\n"
        + "    logits = model(src, torch.cat([first, tgt[:, :-1]], dim=1))\n"
        + "    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tgt[:, 1:])  # <-\n",
        _HEAD
        + "def step(lm, ids):\n    labels = ids.roll(-1, 1)\n    logits = lm(ids)\n"
        + "    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:])  # <-\n",
        _HEAD
        + _RECURRENT
        + "def step(net: Net, notes):\n    n = notes.size(1)\n    logits = net(notes.narrow(1, 0, n - 1))\n"
        + "    return F.cross_entropy(logits.transpose(1, 2), notes.narrow(1, 0, n - 1))  # <-\n",
        _HEAD
        + _RECURRENT
        + "def step(net: Net, notes):\n    return F.cross_entropy(net(notes).transpose(1, 2), notes)  # <-\n",
        _HEAD
        + _RECURRENT
        + "    def loss(self, s, h):\n        total = 0\n        for i in range(s.size(1) - 1):\n"
        + "            h = self.cell(self.emb(s[:, i]), h)\n"
        + "            total = total + F.cross_entropy(self.out(h), s[:, i])  # <-\n        return total\n",
        _HEAD
        + "class Text:\n    def __getitem__(self, i):\n        row = self.data[i : i + self.n + 1]\n"
        + "        return {'seen': row[:-1], 'wanted': row[1:]}\n"
        + "class Lit:\n    def training_step(self, batch):\n        scores = self.lm(batch['seen'])[:, :-1]\n"
        + "        return F.cross_entropy(scores.transpose(1, 2), batch['wanted'][:, 1:])  # <-\n",
        _HEAD
        + "class Trainer:\n    def load(self, batch):\n        self.x, self.y = batch[:, :-1], batch[:, :-1]  # <-\n"
        + "    def step(self, net):\n        return F.cross_entropy(net(self.x).flatten(0, 1), self.y.flatten())\n",
        _HEAD
        + "class Windows:\n    def __getitem__(self, i):\n        past = self.series[i : i + self.look_back]\n"
        + "        future = self.series[i : i + self.horizon]  # <-\n        return past, future\n"
        + "def fit(model, loader):\n    criterion = nn.MSELoss()\n    for past, future in loader:\n"
        + "        criterion(model(past), future).backward()\n",
        _HEAD
        + _SHIFTS
        + "def step(model, tokens):\n    inputs, labels = tokens[:, :-1], tokens[:, 1:]\n"
        + "    return lm_loss(model(inputs), labels)  # <-\n",
        _HEAD
        + _SHIFTS
        + "def collate(rows):\n    ids = torch.stack(rows)\n    return {'input_ids': ids[:, :-1], 'labels': ids[:, 1:]}\n"
        + "def train(model, loader):\n    for batch in loader:\n"
        + "        loss = lm_loss(model(batch['input_ids']), batch['labels'])  # <-\n",
        _HEAD
        + _SHIFTS
        + "class Rows:\n    def __getitem__(self, i):\n        row = self.rows[i]\n        return row[:-1], row[1:]\n"
        + "def train(model, loader):\n    for x, y in loader:\n        y = y.to('cuda')\n"
        + "        loss = lm_loss(model(x), y)  # <-\n",
        _HEAD
        + _SHIFTS
        + "def get_batch(data, i, n):\n    return data[i : i + n], data[i + 1 : i + n + 1]\n"
        + "def train(model, data):\n    x, y = get_batch(data, 0, 9)\n    return lm_loss(model(x), y)  # <-\n",
        _HEAD
        + _MODEL_THAT_SHIFTS
        + "def step(model, tokens):\n    inputs = tokens[:, :-1]\n    targets = tokens[:, 1:]\n"
        + "    loss, _ = model(inputs, labels=targets)  # <-\n    return loss\n",
        _HEAD
        + _MODEL_THAT_SHIFTS
        + "def step(tokens):\n    model = LM()\n    return model(tokens[:, :-1], tokens[:, 1:])[0]  # <-\n",
        _HEAD
        + "def logps(logits, labels):\n    labels = labels[:, :-1].clone()\n    logits = logits[:, :-1, :]\n"
        + "    labels[labels == -100] = 0\n"
        + "    return torch.gather(logits.log_softmax(-1), 2, labels.unsqueeze(2)).squeeze(2)  # <-\n"
        + "def dpo(model, chosen):\n    return logps(model(chosen.clamp(min=0)), chosen).sum()\n",
        _HEAD
        + "def get_batch(data, n, starts):\n    x = torch.stack([data[i : i + n] for i in starts])\n"
        + "    y = torch.stack([data[i : i + n] for i in starts])  # <-\n    return x, y\n"
        + "def step(model, data, n, starts):\n    X, Y = get_batch(data, n, starts)\n"
        + "    return F.cross_entropy(model(X).flatten(0, 1), Y.flatten())\n",
        _HEAD
        + "class Text:\n    def __getitem__(self, i):\n        chunk = self.data[i : i + self.n + 1]\n"
        + "        return chunk[:-1], chunk[:-1]  # <-\n"
        + "def train(model, loader):\n    for x, y in loader:\n        logits = model(x)\n"
        + "        loss = F.cross_entropy(logits.view(-1, 9), y.view(-1))\n",
        _HEAD
        + "def step(model, input_ids, completion_mask):\n    logits = model(input_ids)\n"
        + "    pred, target = logits[:, :-1], input_ids[:, 1:]\n    mask = completion_mask[:, :-1]\n"
        + "    loss = F.cross_entropy(pred.transpose(1, 2), target, reduction='none')\n"
        + "    return (loss * mask).sum() / mask.sum()  # <-\n",
        _HEAD
        + "def step(self, obs, act):\n    next_obs = self(obs[:, :-1], act[:, :-1])\n"
        + "    return (next_obs - obs[:, :-1]).pow(2).mean()  # <-\n",
        _HEAD
        + "def step(model, src, tgt):\n    logits = model(src, tgt[:, :-1])\n"
        + "    return F.cross_entropy(logits.transpose(1, 2), tgt[:, :-1])  # <-\n",
        _HEAD
        + "def loss_of(logits, targets):\n    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())\n"
        + "def step(gpt, tokens):\n    logits = gpt(tokens)\n    return loss_of(logits, tokens)  # <-\n",
        _HEAD
        + "def step(dyn, s, a):\n    pred_next = dyn.f(torch.cat([s[:, :-1], a[:, :-1]], -1))\n"
        + "    return F.mse_loss(pred_next, s[:, :-1])  # <-\n",
        _HEAD
        + "def step(model, series):\n    forecast = model(series[:, :-1])\n"
        + "    return F.mse_loss(forecast, series[:, :-1])  # <-\n",
        _HEAD
        + "def fit(self, states, acts):\n    next_states = self.core(states, acts)\n"
        + "    error = next_states[:, :-1] - states[:, :-1]  # <-\n    return error.pow(2).mean()\n",
        _HEAD
        + "def dynamics_loss(net, batch):\n    s, a = batch\n    out = net(torch.cat([s, a], dim=-1))\n"
        + "    return F.smooth_l1_loss(out[:, 1:], s[:, 1:])  # <-\n",
        _HEAD
        + _MODEL_THAT_SHIFTS
        + "def collate(rows):\n    ids = torch.stack(rows)\n"
        + "    return dict(input_ids=ids[:, :-1], labels=ids[:, 1:])\n"
        + "def train(model, loader):\n    for batch in loader:\n        loss, _ = model(**batch)  # <-\n",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses, calls and batches in which labels aren't one step ahead."""
        told: set[ast.AST] = set()
        for found in self._written(file):
            told.add(found.node)
            yield found
        yield from astray(file, told)

    def _written(self, file: Reading) -> Iterator[Found]:
        shifting: dict[ast.FunctionDef, str] = {}
        for loss in token_losses(file):
            yield from _of_mask(file, loss)
            if loss.model is None:
                yield from _cut_alike(file, loss)
                yield from _against_own_input(file, loss)
            function, name = _shifts(file, loss)
            if function is not None:
                shifting[function] = name
        if shifting:
            for call in file.all(ast.Call):
                yield from _shifted_before(file, shifting, call)
        yield from _same_window(file)
        yield from _uncut(file)
        yield from _of_present(file)


# Twice.


def _shifts(file: Reading, loss: TokenLoss) -> tuple[ast.FunctionDef | None, str]:
    """The function that shifts a parameter against the logits, and the parameter's name."""
    root = loss.targets.root
    function = file.function(loss.call)
    if (loss.targets.start, loss.targets.stop, loss.logits.stop) != (1, 0, 1) or not isinstance(root, ast.Name):
        return None, ""
    if not isinstance(function, ast.FunctionDef):
        return None, ""
    names = {each.arg for each in (*function.args.args, *function.args.kwonlyargs)}
    whole = file.definition(root)
    is_parameter = whole is not None and isinstance(whole.statement, ast.arg) and root.id in names
    return (function, root.id) if is_parameter and loss.logits.start == 0 else (None, "")


def _shifted_before(file: Reading, shifting: dict[ast.FunctionDef, str], call: ast.Call) -> Iterator[Found]:
    if not isinstance(call.func, ast.Name | ast.Attribute):
        return
    for function in _run_by(file, shifting, call):
        names = [each.arg for each in function.args.args]
        name = shifting[function]
        at = names.index(name) - (names[0] == "self") if name in names else len(call.args)
        given = argument(call, at, name) or _packed(call, name)
        where = None if given is None else _where_shifted(file, given)
        if given is None or where is None:
            continue
        func, text = file.text(call.func), ast.unparse(given)
        message = f"`{func}` shifts `{name}` itself, and `{text}` has been shifted already"
        yield Found(call, message, (f"line {where.lineno}: {file.text(where)}",), "shift in one of the two places")
        return


def _packed(call: ast.Call, name: str) -> ast.expr | None:
    """`batch["labels"]`, which `model(**batch)` is given as its labels."""
    packed = [each.value for each in call.keywords if each.arg is None]
    if call.args or len(packed) != 1 or not isinstance(packed[0], ast.Name):
        return None
    return ast.Subscript(packed[0], ast.Constant(name), ast.Load())


def _run_by(file: Reading, shifting: dict[ast.FunctionDef, str], call: ast.Call) -> list[ast.FunctionDef]:
    """Which of these functions a call runs: a model of unknown make is taken for the only one that the file has."""
    found = [each for each in functions_called(file, call) if each in shifting]
    if found or not _MODEL.search(last_name(call.func)) or makers(file, call.func):
        return found
    forwards = [each for each in shifting if each.name == "forward"]
    others = [each for each in file.all(ast.FunctionDef) if each.name == "forward" and each not in shifting]
    takes = [each for each in others if any(one.arg in {"labels", "targets"} for one in each.args.args)]
    given = {each.arg for each in call.keywords}
    return forwards if len(forwards) == 1 and not takes and {shifting[forwards[0]], None} & given else []


def _where_shifted(file: Reading, node: ast.expr) -> ast.expr | None:
    """Where labels are cut to begin one token later, here or in the function that makes the batch."""
    found = sequence(file, node)
    if found is not None and found.cuts:
        return found.cuts[-1] if (found.start, found.stop) == (1, 0) else None
    items = produced(file, _unwrapped(node))
    cuts = [_begins_later(file, each) for each in items]
    return cuts[0] if cuts and None not in cuts else None


def _unwrapped(node: ast.expr) -> ast.expr:
    while (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in {"to", "long", "cuda"}
    ):
        node = node.func.value
    return node


def _begins_later(file: Reading, node: ast.expr) -> ast.expr | None:
    cut = window(file, node)
    return cut.node if cut is not None and cut.offset == 1 and _is_pair(file, node) else None


def _is_pair(file: Reading, node: ast.expr) -> bool:
    """Whether what is handed out beside a window begins one earlier."""
    own = window(file, node)
    function = file.function(node)
    if own is None or not isinstance(function, ast.FunctionDef):
        return False
    for value in returned(file, function) or []:
        for each in _items(file, value):
            other = window(file, each)
            if other is not None and (other.start, other.offset) == (own.start, own.offset - 1):
                return True
    return False


def _items(file: Reading, value: ast.expr) -> list[ast.expr]:
    match file.origin(value):
        case ast.Dict(values=values):
            return values
        case ast.Tuple(elts=parts):
            return parts
        case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
            return [each.value for each in keywords]
    return []


# Not at all.


def _cut_alike(file: Reading, loss: TokenLoss) -> Iterator[Found]:
    """A function that cuts logits and labels on the same side, given a model's logits of those labels."""
    function = file.function(loss.call)
    cuts = (loss.logits.start, loss.logits.stop, loss.targets.start, loss.targets.stop)
    if cuts not in {(0, 1, 0, 1), (1, 0, 1, 0)} or not isinstance(function, ast.FunctionDef):
        return
    one, other = loss.logits.root, loss.targets.root
    names = [each.arg for each in function.args.args]
    if not (isinstance(one, ast.Name) and isinstance(other, ast.Name) and {one.id, other.id} <= set(names)):
        return
    places = [names.index(each.id) - (names[0] == "self") for each in (one, other)]
    for call in file.calls(function.name):
        if function not in functions_called(file, call):
            continue
        logits, labels = argument(call, places[0], one.id), argument(call, places[1], other.id)
        read = None if logits is None else _read(file, logits)
        if read is None or labels is None or not is_same(file, read, labels):
            continue
        text = file.text(loss.targets.cuts[-1])
        message = f"`{text}` is cut on the same side as the logits: each position's logits are scored against the token it has just read"
        note = f"line {call.lineno}: {file.text(call)}"
        yield Found(loss.call, message, (note,), "cut the last logits and the first target")
        return


def _against_own_input(file: Reading, loss: TokenLoss) -> Iterator[Found]:
    """Targets that are cut as one of a model's several inputs is, as those of a decoder: `model(src, tgt[:, :-1])`."""
    if (loss.targets.start, loss.targets.stop) != (0, 1) or loss.logits.cuts:
        return
    call = maker(file, loss.logits.root)
    for each in () if call is None else (*call.args, *(keyword.value for keyword in call.keywords)):
        read = None if isinstance(each, ast.Starred) else sequence(file, each)
        if call is None or read is None or (read.start, read.stop) != (0, 1):
            continue
        if is_same(file, read.root, loss.targets.root):
            text = file.text(loss.targets.cuts[-1])
            message = f"`{text}` is what `{file.text(call.func)}` reads: each position's logits are scored against the token there"
            yield Found(loss.call, message, hint=f"the next tokens are `{file.text(loss.targets.root)}[:, 1:]`")
            return


def _uncut(file: Reading) -> Iterator[Found]:
    """A function that scores logits against tokens as they are, given a causal model's logits of those tokens."""
    if not looks_back(file.source.text):
        return
    for loss in losses(file, *OF_CLASSES):
        function = file.function(loss.call)
        logits = sequence(file, loss.given, logits=True)
        targets = None if loss.target is None else sequence(file, loss.target)
        if (
            not isinstance(function, ast.FunctionDef)
            or logits is None
            or targets is None
            or logits.cuts
            or targets.cuts
        ):
            continue
        call = _given_unshifted(file, function, logits.root, targets.root)
        if call is not None:
            message = (
                f"`{file.text(loss.call)}` scores each position's logits against the token there: nothing is shifted"
            )
            yield Found(call, message, hint="cut the last logits and the first target")


def _given_unshifted(file: Reading, function: ast.FunctionDef, one: ast.expr, other: ast.expr) -> ast.Call | None:
    """A call that gives a function a model's logits and the tokens that it has read."""
    names = [each.arg for each in function.args.args]
    if not (isinstance(one, ast.Name) and isinstance(other, ast.Name) and {one.id, other.id} <= set(names)):
        return None
    places = [names.index(each.id) - (names[0] == "self") for each in (one, other)]
    for call in file.calls(function.name):
        if function not in functions_called(file, call):
            continue
        logits, labels = argument(call, places[0], one.id), argument(call, places[1], other.id)
        read = None if logits is None else _read(file, logits)
        if read is not None and labels is not None and is_called_tokens(labels) and is_same(file, read, labels):
            return call
    return None


def _read(file: Reading, logits: ast.expr) -> ast.expr | None:
    """The tokens that a model reads to give logits."""
    call = maker(file, logits)
    given = None if call is None or not call.args else call.args[0]
    while isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute):
        if given.func.attr not in {"clamp", "clamp_min", "to", "long"}:
            return None
        given = given.func.value
    return given


def _same_window(file: Reading) -> Iterator[Found]:
    """Inputs and targets that are cut out of a sequence at the same place."""
    if "transformers" in file.source.text or not any(True for _ in losses(file, *OF_CLASSES)):
        return
    if any(loss.targets.cuts for loss in token_losses(file)):
        return
    for function in file.all(ast.FunctionDef):
        for value in returned(file, function) or []:
            named = list(_named_items(file, value))
            inputs = [each for name, each in named if _INPUTS.match(name)]
            targets = [each for name, each in named if _TARGETS.match(name)]
            if len(inputs) != 1 or len(targets) != 1:
                inputs, targets = _used_as(file, function, value)
            if len(inputs) != 1 or len(targets) != 1:
                continue
            one, other = window(file, inputs[0]), window(file, targets[0])
            if (
                one is None
                or other is None
                or (one.base, one.start, one.offset) != (other.base, other.start, other.offset)
            ):
                continue
            if ast.dump(one.node.slice) == ast.dump(other.node.slice) and _is_short(one.node):
                text = file.text(other.node)
                message = f"`{text}` is what the inputs are: the targets don't begin one token later"
                yield Found(other.node, message, (f"inputs: {file.text(one.node)}",), "begin the targets one later")


def _named_items(file: Reading, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match file.origin(value):
        case ast.Dict(keys=keys, values=values):
            for key, each in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, each
        case ast.Tuple(elts=parts):
            for each in parts:
                yield last_name(each), each


def _used_as(file: Reading, function: ast.FunctionDef, value: ast.expr) -> tuple[list[ast.expr], list[ast.expr]]:
    """Which two items of a tuple are a model's input and a loss's target."""
    for loss in losses(file, *OF_CLASSES):
        target = None if loss.target is None else sequence(file, loss.target)
        logits = sequence(file, loss.given, logits=True)
        call = None if logits is None else maker(file, logits.root)
        read = None if call is None else read_by(file, call)
        if target is None or read is None:
            continue
        places = [_place_in(file, function, each) for each in (read.root, target.root)]
        items = [None if each is None else item_of(file, value, each) for each in places]
        if items[0] is not None and items[1] is not None:
            return [items[0]], [items[1]]
    return [], []


def _place_in(file: Reading, function: ast.FunctionDef, node: ast.expr) -> int | str | None:
    match node:
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key if produced(file, node) else None
        case ast.Name():
            items = produced(file, node)
            for value in returned(file, function) or []:
                for at, each in enumerate(_items(file, value)):
                    if each in items:
                        return at
    return None


def _is_short(node: ast.Subscript) -> bool:
    """Whether a slice leaves something of its sequence for the token after it."""
    cut = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
    return isinstance(cut, ast.Slice) and cut.upper is not None


# Masks.


def _of_mask(file: Reading, loss: TokenLoss) -> Iterator[Found]:
    """A mask that is cut on the other side than the targets whose losses it is for."""
    if (loss.targets.start, loss.targets.stop) != (1, 0) or loss.logits.stop != 1:
        return
    for losses_of_tokens, product in _readers(file, loss.call):
        match product:
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                mask = right if left is losses_of_tokens else left
            case ast.Call(args=[first, ast.expr() as mask, *_]) if first is losses_of_tokens and "mask" in last_name(
                product.func
            ):
                pass
            case _:
                continue
        found = sequence(file, mask)
        if found is None or (found.start, found.stop) != (0, 1) or not _MASK.search(name_of(found.root)):
            continue
        text, targets = file.text(found.cuts[-1]), file.text(loss.targets.cuts[-1])
        message = f"`{text}` is the mask of the tokens before those of `{targets}`, whose losses it is for"
        unsure = "attention" in name_of(found.root)
        yield Found(product, message, hint=f"cut it as they are: `{file.text(found.root)}[:, 1:]`", preview=unsure)
        return


def _readers(file: Reading, node: ast.expr) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """The places that read a value, as it is or in another form, and what stands around each."""

    def onward(each: ast.AST) -> ast.AST | None:
        match file.parent(each):
            case ast.UnaryOp() as around:
                return around
            case ast.Attribute(attr="view" | "reshape" | "squeeze" | "float") as method:
                call = file.parent(method)
                return call if isinstance(call, ast.Call) else None
        return None

    return file.reads_beyond(node, onward)


# The present.


def _of_present(file: Reading) -> Iterator[Found]:
    """A prediction of the next that is compared with what it was made from."""
    for loss in losses(file, *OF_DIFFERENCES):
        if loss.target is not None:
            yield from _compared(file, loss.call, loss.given, loss.target)
            yield from _compared(file, loss.call, loss.target, loss.given)
    for difference in file.all(ast.BinOp):
        if isinstance(difference.op, ast.Sub) and _is_error(file, difference):
            yield from _compared(file, difference, difference.left, difference.right)
            yield from _compared(file, difference, difference.right, difference.left)


def _is_error(file: Reading, node: ast.BinOp) -> bool:
    """Whether a difference is squared or made positive."""
    for each, around in _readers(file, node):
        match around:
            case ast.Attribute(attr="pow" | "abs" | "square" | "norm"):
                return True
            case ast.BinOp(left=left, op=ast.Pow()) if left is each:
                return True
            case ast.Call(func=func) if last_name(func) in {"abs", "square"}:
                return True
    return False


def _cut_like_the_read(file: Reading, where: ast.expr, prediction: ast.expr, target: ast.expr) -> Iterator[Found]:
    """`next_obs[:, 1:]` beside `obs[:, 1:]`, where `next_obs = model(obs)`."""
    one, other = sequence(file, prediction, logits=True), sequence(file, target, logits=True)
    if one is None or other is None or not other.cuts or (one.start, one.stop) != (other.start, other.stop):
        return
    call = maker(file, one.root)
    if call is None or not _is_named_next(file, where, one.root) or not _is_model(file, call, is_next=True):
        return
    for each in _parts(file, call):
        read = None if isinstance(each, ast.Starred) else sequence(file, each)
        if read is not None and not read.cuts and is_same(file, read.root, other.root):
            text = file.text(other.cuts[-1])
            message = f"`{file.text(prediction)}` is compared with `{text}`, which it was made from: both are cut alike"
            note = f"line {call.lineno}: {file.text(call)}"
            yield Found(where, message, (note,), "cut the last predictions, and the first of what they are held to")
            return


def _is_named_next(file: Reading, where: ast.expr, prediction: ast.expr) -> bool:
    """Whether the name of a prediction, or of the function that scores it, says that it is of the next step."""
    names = [last_name(prediction), *(each.id for each in ast.walk(prediction) if isinstance(each, ast.Name))]
    shown = next((file.statement(each) for each in file.around(prediction) if isinstance(each, ast.stmt)), None)
    targets = shown.targets if isinstance(shown, ast.Assign) else []
    names += [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
    return any(_NEXT_STEP.search(each) for each in (*names, getattr(file.function(where), "name", "")))


def _compared(file: Reading, where: ast.expr, prediction: ast.expr, target: ast.expr) -> Iterator[Found]:
    yield from _cut_like_the_read(file, where, prediction, target)
    found = sequence(file, target)
    if found is None or (found.start, found.stop) != (0, 1) or not isinstance(prediction, ast.Name | ast.Call):
        return
    call = maker(file, prediction)
    sure = _says_next(file, where, prediction)
    if call is None or not _is_model(file, call, is_next=sure):
        return
    for each in _parts(file, call):
        read = None if isinstance(each, ast.Starred) else sequence(file, each)
        if read is not None and (read.start, read.stop) == (0, 1) and is_same(file, read.root, found.root):
            text = file.text(found.cuts[-1])
            message = (
                f"`{file.text(prediction)}` is compared with `{text}`, which it was made from: nothing is predicted"
            )
            note = f"line {call.lineno}: {file.text(call)}"
            root = file.text(found.root)
            yield Found(where, message, (note,), f"what comes next is `{root}[:, 1:]`", preview=not sure)
            return


def _parts(file: Reading, call: ast.Call) -> Iterator[ast.expr]:
    """What a model is given, also put together by `torch.cat`."""
    for each in call.args:
        made = file.origin(each)
        if isinstance(made, ast.Call) and file.is_torch(made, "cat", "concat") and made.args:
            yield from made.args[0].elts if isinstance(made.args[0], ast.List | ast.Tuple) else []
        else:
            yield each


def _is_model(file: Reading, call: ast.Call, *, is_next: bool) -> bool:
    """Whether a model of its own is called, and no function of torch and no method of a value."""
    if file.full_name(call.func) is not None:
        return False
    match call.func:
        case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
            return True
        case ast.Attribute(value=ast.Name()):
            return is_next
    return False


def _says_next(file: Reading, where: ast.expr, prediction: ast.expr) -> bool:
    function, owner = file.function(where), file.class_of(where)
    names = [last_name(prediction), getattr(function, "name", ""), "" if owner is None else owner.name]
    return any(_NEXT.search(each) for each in names)
