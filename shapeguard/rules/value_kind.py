"""The right shape with the wrong meaning: logits for probabilities, one-hot rows for class indices.

## Example

    import torch


    def sample_next(model, ids, temperature):
        logits = model(ids)[:, -1] / temperature
        return torch.multinomial(logits, num_samples=1)

The check says:

    example.py:6:30 SG408 value-kind: `torch.multinomial` takes probabilities, and `logits` holds logits
        hint: give it their softmax or sigmoid

Use instead:

    def sample_next(model, ids, temperature):
        logits = model(ids)[:, -1] / temperature
        return torch.multinomial(logits.softmax(dim=-1), num_samples=1)

## Why is this bad?

The shapes fit, so the mistake shows late or never. A draw from logits that happen to be positive is a draw from
something else, and fails at the first negative one. A threshold of 0.5 on logits is one of 0.62 on probabilities. A
one-hot row is a row of valid indices: `q.gather(1, actions)` takes the columns 0 and 1.

## What it does

Marks the value that is taken for another kind, or the step that takes it:

- logits as probabilities: `torch.multinomial(logits, 1)`, `Categorical(logits)`, `logits > 0.5`,
  `logits * logits.log()`, `(1 - logits) ** gamma`, or for a parameter `probs` of a function of the file;
- probabilities as logits or logarithms: `Categorical(logits=softmax(x))`, a second softmax, or `exp(new - old)` of
  probabilities, where log-probabilities are meant;
- one-hot rows as class indices: the index of a `gather` or an embedding, the target of `nll_loss`;
- class indices as something else: `one_hot` of floats, `(lam * y + (1 - lam) * y[perm]).long()`;
- `argmax` or a rounding, through which no gradient flows, in a loss that is followed backwards.

What a value is shows in names that are assigned once, and in functions and models of the same file; else the names
`logits` and `probs` are believed, in a threshold only with `--preview`. Losses with a softmax or a sigmoid too many or
too few have their own rules.

## Fix safety

There is no fix: along which axis the softmax goes, and what a one-hot row was made of, is for its owner to say.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.drawing import Draw, draws, thresholds
from shapeguard.lint.identity import is_same, name_of
from shapeguard.lint.losses import OF_CLASSES, OF_DIFFERENCES, Loss, losses
from shapeguard.lint.making import functions_called
from shapeguard.lint.named_probabilities import handed, is_squashed_inside, probabilities
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.squashing import squashed
from shapeguard.lint.value_kinds import Meaning, OneHot, meaning, one_hot

_WHOLE = frozenset({"long", "int"})
_MOVES = frozenset({"float", "double", "half", "to", "view", "squeeze", "unsqueeze", "flatten", "reshape", "type"})
_SQUASHES = {"softmax": "softmax", "log_softmax": "softmax", "sigmoid": "sigmoid", "logsigmoid": "sigmoid"}
_LAYERS = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid", "LogSigmoid": "sigmoid"}
"""What squashes -> what it must not squash again: a logarithm may go through a softmax."""
_NO_GRADIENT = frozenset({"argmax", "round", "argmin"})


class ValueKind(Rule):
    """Values that mean something else than what takes them."""

    code = "SG408"
    name = "value-kind"
    severity = "warning"
    words = (
        "multinomial",
        "bernoulli",
        "Categorical",
        "Bernoulli(",
        "logit & 0.5",
        "ogits & round(",
        "logit & log(",
        "log_softmax & *",
        "logit & prob",
        "logit & kl_div",
        "logit & KLDiv",
        "nll_loss",
        "NLLLoss",
        "1 - & with_logits",
        "1 - & BCEWithLogits",
        "1.0 - & with_logits",
        "softmax(",
        "Softmax(",
        "sigmoid(",
        "Sigmoid(",
        "one_hot",
        "eye( & gather",
        "scatter_ & gather",
        "scatter_ & ross",
        ".long() & [",
        "argmax & backward",
        "round( & backward",
    )
    valid = (
        """\
import torch
import torch.nn.functional as F
def fine(z, w, y, old, actions, gamma):
    p = z.sigmoid()
    each = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    hinge = (1 - w) ** 2
    ratio = (z.log_softmax(-1).gather(1, actions) - old.log_softmax(-1).gather(1, actions)).exp()
    return ((1 - p) ** gamma * each).mean() + hinge, ratio
""",
        """\
import torch
import torch.nn.functional as F
def pick(x, w):
    log_p = F.log_softmax(x, -1)
    a = torch.softmax(x, -1) @ w
    return F.gumbel_softmax(log_p), log_p.softmax(-1), a.softmax(-1), torch.sigmoid(2 * torch.sigmoid(x) - 1)
""",
        """\
import torch
def sample(logits, temperature):
    probs = torch.softmax(logits / temperature, dim=-1)
    return torch.multinomial(probs, 1)
""",
        """\
import torch
def sample(logits):
    logits = torch.softmax(logits, -1)
    return torch.multinomial(logits, 1)
""",
        """\
from torch.distributions import Categorical
def act(logits, probs):
    return Categorical(logits=logits).sample(), Categorical(probs=probs), Categorical(probs)
""",
        """\
import torch
from torch.distributions import Categorical
def act(x):
    return Categorical(logits=torch.log_softmax(x, -1)), Categorical(torch.softmax(x, -1))
""",
        """\
import torch
def entropy(logits):
    p = logits.softmax(-1)
    return -(p * p.log()).sum(-1), -(p * torch.log_softmax(logits, -1)).sum(-1)
""",
        """\
import torch
def accuracy(logits, y):
    return ((logits.sigmoid() > 0.5) == y).float().mean(), (logits > 0).float()
""",
        """\
import torch.nn.functional as F
def loss(logits, y, c):
    return F.cross_entropy(logits, F.one_hot(y, c).float()), F.cross_entropy(logits, F.one_hot(y, c).to(logits.dtype))
""",
        """\
import torch.nn.functional as F
def taken(q, actions, n):
    rows = F.one_hot(actions, n)
    return (q * rows).sum(-1), q.gather(1, rows.argmax(1, keepdim=True)), q[rows.bool()]
""",
        """\
import torch.nn.functional as F
def mixed(y, lam, perm, n):
    rows = F.one_hot(y, n).float()
    return lam * rows + (1 - lam) * rows[perm]
""",
        """\
import torch
def blend(images, lam, perm):
    images = lam * images + (1 - lam) * images[perm]
    return images
""",
        """\
import torch
import torch.nn.functional as F
@torch.no_grad()
def error(logits, y):
    return F.l1_loss(logits.argmax(-1).float(), y.float()).item()
""",
        """\
import torch
def top_k(scores, k):
    _, at = torch.topk(scores, k, dim=1)
    mask = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, at, 1)
    return scores[mask]
""",
        """\
import torch
def parallel_cross_entropy(logits):
    sum_exp_logits = torch.exp(logits).sum(-1)
    return torch.log(sum_exp_logits)
""",
        """\
import torch.nn.functional as F
def divergence(student_logits, teacher_logits):
    return F.kl_div(F.log_softmax(student_logits, -1), F.softmax(teacher_logits, -1), reduction="batchmean")
""",
        """\
import torch
import torch.nn.functional as F
def focal(prob, y):
    prob = torch.sigmoid(prob)
    return -(y * prob.log()).mean()
def entropy(probs):
    return -probs.softmax(-1).max(-1).values.log()
def loss(logits, y):
    return focal(logits, y) + entropy(logits) + brier(logits.softmax(-1), y)
def brier(probs, y):
    return ((probs - y) ** 2).mean()
""",
        """\
import torch.nn.functional as F
class Graph:
    def __init__(self, kinds, n):
        self.nodes = F.one_hot(kinds, n)
        self.kinds = kinds
class Tree:
    def __init__(self, nodes):
        self.nodes = nodes
def message(table, graph, tree):
    return F.embedding(graph.kinds, table) + F.embedding(tree.nodes, table)
""",
        """\
import torch
def contrast(logits_per_image, threshold):
    return logits_per_image > threshold
""",
    )
    invalid = (
        """\
import torch
def surrogate(new_logits, old_logits, actions, gain):
    new = new_logits.softmax(-1).gather(1, actions)
    old = torch.softmax(old_logits, dim=-1).gather(1, actions).detach()
    return (torch.exp(new - old) * gain).mean()  # <-
""",
        """\
import torch.nn.functional as F
def focal(head, x, y, gamma):
    z = head(x)
    each = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    return ((1 - z) ** gamma * each).mean()  # <-
""",
        """\
import torch
from torch.distributions import Categorical
def draw(head, x, temperature):
    p = torch.softmax(head(x), dim=-1)
    return Categorical(logits=p / temperature).sample()  # <-
""",
        """\
import torch
from torch import nn
def brier(probs, y):
    return ((probs - nn.functional.one_hot(y, probs.size(1))) ** 2).sum(1).mean()
def evaluate(net, x, y):
    logits = net(x)
    return nn.functional.cross_entropy(logits, y), brier(y=y, probs=logits)  # <-
""",
        """\
import torch
import torch.nn.functional as F
class Scorer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(8, 1)
    @staticmethod
    def entropy(p_pos, pos_prob):
        return -(pos_prob * torch.log(pos_prob + 1e-6)).mean()
    def forward(self, x, y):
        z = self.head(x)
        return F.binary_cross_entropy_with_logits(z, y) + self.entropy(None, z)  # <-
""",
        """\
import torch.nn.functional as F
class Graph:
    def __init__(self, kinds, n):
        self.nodes = F.one_hot(kinds.clamp(min=0), num_classes=n)
def message(table, graph: Graph):
    return F.embedding(graph.nodes, table)  # <-
""",
        """\
import torch
import torch.nn.functional as F
def codes(encoder, x, tau):
    q = encoder(x).softmax(dim=-1)
    return F.gumbel_softmax(q.clamp_min(1e-6).float() if tau is None else q, tau=tau), F.gumbel_softmax(q, hard=True)  # <-
""",
        """\
from torch import nn
class Head(nn.Module):
    def __init__(self, d, classes):
        super().__init__()
        self.out = nn.Sequential(nn.Linear(d, classes), nn.Softmax(dim=-1))
    def forward(self, x):
        return self.out(x)
def predict(head: Head, x):
    return head(x).softmax(dim=-1)  # <-
""",
        """\
import torch
from torch import nn
class Gate(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc = nn.Linear(d, 1)
        self.act = nn.Sigmoid()
    def forward(self, x):
        p = self.act(self.fc(x))
        return torch.sigmoid(p) > 0.5  # <-
""",
        """\
import torch
def generate(model, ids, temperature):
    logits = model(ids)[:, -1, :] / temperature
    return torch.multinomial(logits, num_samples=1)  # <-
""",
        """\
import torch
from torch import nn
class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.actor = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 2))
    def act(self, state):
        dist = torch.distributions.Categorical(self.actor(state))  # <-
        return dist.sample()
""",
        """\
from torch.distributions import Categorical
def act(logits):
    return Categorical(logits).sample()  # <-
""",
        """\
import torch
import torch.distributions as D
def act(self, x):
    probs = torch.softmax(self.net(x), dim=-1)
    return D.Categorical(logits=probs)  # <-
""",
        """\
import torch
def spikes(self, x):
    return torch.bernoulli(nn_head(x).log_softmax(-1))  # <-
""",
        """\
import torch.nn.functional as F
def step(model, x, y):
    outputs = model(x)
    loss = F.binary_cross_entropy_with_logits(outputs, y)
    correct = ((outputs > 0.5) == y.bool()).float().mean()  # <-
    return loss, correct
""",
        """\
import torch
from torch import nn
criterion = nn.BCEWithLogitsLoss()
def evaluate(model, x, y):
    scores = model(x)
    loss = criterion(scores, y)
    return loss, (torch.round(scores) == y).sum()  # <-
""",
        """\
import torch
def predict(self, x):
    logits = self.head(x)
    return (logits >= 0.5).long()  # <-
""",
        """\
import torch
def entropy(logits):
    return -(logits * torch.log(logits)).sum(-1)  # <-
""",
        """\
import torch.nn.functional as F
def entropy(logits):
    return -(logits * F.log_softmax(logits, dim=-1)).sum(-1)  # <-
""",
        """\
import torch.nn.functional as F
def distil(student_logits, teacher_logits):
    return F.kl_div(F.log_softmax(student_logits, -1), teacher_logits, reduction="batchmean")  # <-
""",
        """\
import torch.nn.functional as F
def loss(logits, y, classes):
    target = F.one_hot(y, classes)
    return F.cross_entropy(logits, target)  # <-
""",
        """\
import torch
import torch.nn.functional as F
def loss(x, y, classes):
    return F.nll_loss(F.log_softmax(x, -1), F.one_hot(y, classes).float())  # <-
""",
        """\
import torch
import torch.nn.functional as F
def taken(q_values, actions):
    actions = F.one_hot(actions, q_values.size(1))
    return q_values.gather(1, actions)  # <-
""",
        """\
from torch import nn
import torch.nn.functional as F
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
    def forward(self, label):
        return self.embed(F.one_hot(label, 10))  # <-
""",
        """\
import torch.nn.functional as F
def rows(y):
    return F.one_hot(y.float(), 10)  # <-
""",
        """\
import torch
def mixup(x, y, lam):
    index = torch.randperm(x.size(0))
    mixed_y = lam * y + (1 - lam) * y[index]  # <-
    return lam * x + (1 - lam) * x[index], mixed_y.long()
""",
        """\
import torch
import torch.nn.functional as F
def step(model, x, y, optimizer):
    guess = model(x).argmax(dim=1).float()
    loss = F.mse_loss(guess, y.float())  # <-
    loss.backward()
""",
        """\
from torch import nn
import torch.nn.functional as F
class GCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Linear(8, 3)
    def forward(self, x, adj):
        return adj @ self.w(x)
def train(x, adj, y):
    model = GCN()
    return F.nll_loss(model(x, adj), y)  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Values whose kind is known, given to what takes another."""
        for draw in draws(file):
            yield from _drawn(file, draw)
        yield from _named_otherwise(file)
        yield from _twice(file)
        yield from _ratios(file)
        yield from _complements(file)
        yield from _thresholds(file)
        yield from _logarithms(file)
        for loss in losses(file, *OF_CLASSES, "kl_div", *OF_DIFFERENCES):
            yield from _of_loss(file, loss)
        yield from _indices(file)
        yield from _one_hot_of_floats(file)
        for operation in file.all(ast.BinOp):
            yield from _mixed(file, operation)


def _why(file: Reading, found: Meaning) -> tuple[str, ...]:
    if found.step is None:
        return ()
    return (f"from `{file.text(found.step)}`, line {file.source.span_of(found.step).line}",)


def _drawn(file: Reading, draw: Draw) -> Iterator[Found]:
    found = meaning(file, _unscaled(file, draw.of) if draw.logits else draw.of)
    if found is None:
        return
    func, text = file.text(draw.call.func), file.text(draw.of)
    if draw.logits and found.kind == "probabilities":
        message = f"`{func}` takes `{text}` for logits, and it holds probabilities"
        hint = "give it the logits themselves"
        yield Found(draw.of, message, _why(file, found), hint if "gumbel" in func else f"{hint}, or `probs=`")
    elif not draw.logits and found.kind != "probabilities":
        message = f"`{func}` takes probabilities, and `{text}` holds {found.kind}"
        hint = "give it their softmax or sigmoid"
        yield Found(draw.of, message, _why(file, found), hint if "multinomial" in func else f"{hint}, or `logits=`")


def _named_otherwise(file: Reading) -> Iterator[Found]:
    """Logits for what a function calls probabilities, and takes for these."""
    functions = {each.name: each for each in file.all(ast.FunctionDef) if list(probabilities(each))}
    given = [each.given for each in losses(file, "binary_cross_entropy_with_logits", "cross_entropy")]
    for call in file.calls(*functions):
        for function in functions_called(file, call):
            for parameter, value in handed(function, call):
                if is_squashed_inside(file, function, parameter):
                    continue
                found = meaning(file, value)
                scored = isinstance(value, ast.Name) and any(
                    is_same(file, value, each) for each in given if isinstance(each, ast.Name)
                )
                if not scored if found is None else found.kind != "logits":
                    continue
                message = (
                    f"`{function.name}` takes probabilities as `{parameter.arg}`, and `{file.text(value)}` holds logits"
                )
                yield Found(
                    value, message, () if found is None else _why(file, found), "give it their softmax or sigmoid"
                )


def _unscaled(file: Reading, node: ast.expr) -> ast.expr:
    """`p` of `p / temperature`."""
    match file.origin(node):
        case ast.BinOp(left=inner, op=ast.Div(), right=ast.Name() | ast.Attribute() | ast.Constant()):
            return inner
    return node


def _ratios(file: Reading) -> Iterator[Found]:
    """`exp(p - q)` of probabilities, which is their ratio where they are logarithms."""
    for call in file.calls("exp"):
        of = file.given(call, 0, "input")
        match None if of is None else file.origin(of):
            case ast.BinOp(left=one, op=ast.Sub(), right=other):
                found = [squashed(file, each) for each in (one, other)]
            case _:
                continue
        if all(each is not None and each.by in {"softmax", "sigmoid"} for each in found):
            message = (
                f"`{file.text(call)}` is a ratio of probabilities only where `{file.text(one)}` is their logarithm"
            )
            where = tuple(f"from `{file.text(each.step)}`" for each in found if each is not None)
            yield Found(call, message, where, "take `log_softmax`, or divide the probabilities")


def _complements(file: Reading) -> Iterator[Found]:
    """`(1 - x) ** gamma` of logits, as in a focal loss."""
    given = [
        loss.given for loss in losses(file, "binary_cross_entropy_with_logits") if isinstance(loss.given, ast.Name)
    ]
    for power in file.all(ast.BinOp) if given else ():
        match power:
            case ast.BinOp(
                left=ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=ast.Name() as of), op=ast.Pow()
            ) if any(is_same(file, of, each) for each in given):
                message = (
                    f"`{file.text(power.left)}` is what is left of a probability, and `{file.text(of)}` holds logits"
                )
                yield Found(power.left, message, (), "make a sigmoid before")


def _twice(file: Reading) -> Iterator[Found]:
    """A softmax of a softmax, a sigmoid of a sigmoid."""
    layers = {call: _LAYERS[name] for call, name in file.torch_calls(*_LAYERS)}
    for call in file.all(ast.Call) if layers else ():
        made = file.layer(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else None
        if made in layers and len(call.args) == 1:
            yield from _again(file, call, layers[made], call.args[0])
    for call in file.calls(*_SQUASHES):
        of = file.given(call, 0, "input")
        if of is not None:
            yield from _again(file, call, _SQUASHES[last_name(call.func)], of)


def _again(file: Reading, call: ast.Call, by: str, of: ast.expr) -> Iterator[Found]:
    last = squashed(file, of)
    if last is None or last.by != by:
        return
    message = f"`{file.text(of)}` went through a {by} already, and goes through another one"
    where = f"from `{file.text(last.step)}`, line {file.source.span_of(last.step).line}"
    yield Found(call, message, (where,), f"one {by} makes probabilities; a second one makes them alike")


def _thresholds(file: Reading) -> Iterator[Found]:
    given = [loss.given for loss in losses(file, "binary_cross_entropy_with_logits")]
    for node, of, limit in thresholds(file):
        found = meaning(file, of)
        if found is not None and found.kind != "logits":
            continue
        scored = isinstance(of, ast.Name) and any(
            is_same(file, of, each) for each in given if isinstance(each, ast.Name)
        )
        named = found is not None and found.step is None and isinstance(node, ast.Compare)
        if not scored and not named:
            continue
        message = f"`{file.text(node)}` is a threshold for probabilities, and `{file.text(of)}` holds logits"
        hint = "compare with 0, or make a sigmoid before" if limit == 0.5 else "make a sigmoid before"  # noqa: PLR2004
        yield Found(node, message, (), hint, preview=not scored)


def _logarithms(file: Reading) -> Iterator[Found]:
    for call in file.calls("log"):
        of = file.given(call, 0, "input")
        if isinstance(of, ast.Name | ast.Attribute | ast.Subscript) and "logit" in name_of(of):
            found = meaning(file, of)
            if (
                found is not None
                and found.kind == "logits"
                and (found.step is not None or name_of(of) in {"logits", "logit"})
            ):
                message = f"`{file.text(call)}` is a logarithm of logits, which may be negative"
                yield Found(call, message, _why(file, found), "`log_softmax` gives logarithms of probabilities")
    for call in file.calls("log_softmax", "logsigmoid"):
        match file.parent(call):
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                other = left if right is call else right
                of = file.given(call, 0, "input")
                if isinstance(of, ast.Name) and isinstance(other, ast.Name) and is_same(file, of, other):
                    message = f"`{file.text(other)}` weighs its own log-probabilities, and isn't probabilities itself"
                    yield Found(other, message, (), "an entropy weighs them with their softmax")


def _of_loss(file: Reading, loss: Loss) -> Iterator[Found]:
    func = file.text(loss.call.func)
    if loss.name in OF_DIFFERENCES:
        yield from _without_gradient(file, loss)
        return
    rows = None if loss.target is None else one_hot(file, loss.target)
    if rows is not None and loss.target is not None and _takes_numbers(loss, rows):
        wants = "class indices" + (" or floats" if loss.name == "cross_entropy" else "")
        yield _rows(file, loss.target, rows, f"`{func}` takes {wants}")
    if loss.name == "nll_loss" and squashed(file, loss.given) is None:
        found = meaning(file, loss.given)
        if found is not None and found.kind == "logits" and found.step is not None:
            message = f"`{func}` takes log-probabilities, and `{file.text(loss.given)}` holds scores of any size"
            yield Found(loss.given, message, _why(file, found), f"`cross_entropy` takes what `{func}` is given here")
    if loss.name == "kl_div" and loss.target is not None:
        found = meaning(file, loss.target)
        if found is not None and found.kind == "logits":
            message = f"`{func}` takes probabilities as target, and `{file.text(loss.target)}` holds logits"
            yield Found(loss.target, message, _why(file, found))


def _takes_numbers(loss: Loss, rows: OneHot) -> bool:
    return loss.name == "nll_loss" or (loss.name == "cross_entropy" and not rows.floating)


def _rows(file: Reading, node: ast.expr, rows: OneHot, wants: str) -> Found:
    line = file.source.span_of(rows.step).line
    message = f"{wants}, and `{file.text(node)}` is one-hot rows"
    where = (f"from `{file.text(rows.step)}`, line {line}",) if rows.step is not node else ()
    return Found(node, message, where, "`argmax(-1)` gives their class indices")


def _indices(file: Reading) -> Iterator[Found]:
    """One-hot rows as what picks."""
    for call in file.calls("gather"):
        index = file.given(call, 2, "index")
        rows = None if index is None else one_hot(file, index)
        if rows is not None and index is not None:
            yield _rows(file, index, rows, f"`{file.text(call.func)}` takes column indices")
    for call in file.all(ast.Call):
        made = file.layer(call.func) if len(call.args) == 1 else None
        is_layer = made is not None and file.is_torch(made, "Embedding")
        if (is_layer or file.is_torch(call, "embedding")) and call.args:
            rows = one_hot(file, call.args[0])
            if rows is not None:
                yield _rows(file, call.args[0], rows, f"`{file.text(call.func)}` takes row indices")
    for node in file.all(ast.Subscript):
        if isinstance(node.slice, ast.Name):
            rows = one_hot(file, node.slice)
            if rows is not None and not isinstance(node.value, ast.Dict):
                yield _rows(file, node.slice, rows, f"`{file.text(node)}` takes row indices")


def _one_hot_of_floats(file: Reading) -> Iterator[Found]:
    for call, _ in file.torch_calls("one_hot"):
        of = argument(call, 0, "tensor", "input")
        made = None if of is None else file.origin(of)
        match made:
            case ast.Call(func=ast.Attribute(attr="float" | "double" | "half"), args=[]):
                message = f"`{file.text(call.func)}` takes integers, and `{file.text(of)}` is of floats"  # type: ignore[arg-type] # not None
                yield Found(of, message, hint="make floats of its rows instead")  # type: ignore[arg-type] # as above
                continue
        found = None if of is None else squashed(file, of)
        if found is not None and of is not None:
            message = f"`{file.text(call.func)}` takes class indices, and `{file.text(of)}` holds scores"
            yield Found(of, message, (f"from `{file.text(found.step)}`",), "`argmax(-1)` gives class indices")


def _mixed(file: Reading, operation: ast.BinOp) -> Iterator[Found]:
    """Class indices, averaged and made whole again."""
    match operation:
        case ast.BinOp(left=ast.BinOp(op=ast.Mult()) as one, op=ast.Add(), right=ast.BinOp(op=ast.Mult()) as other):
            pass
        case _:
            return
    firsts = [each for each in (one.left, one.right) if isinstance(each, ast.Name)]
    seconds = [each.value for each in (other.left, other.right) if isinstance(each, ast.Subscript)]
    seconds += [receiver(each) or each for each in (other.left, other.right) if isinstance(each, ast.Call)]
    same = [each for each in firsts for twin in seconds if isinstance(twin, ast.Name) and twin.id == each.id]
    if same and _is_made_whole(file, operation):
        name = same[0].id
        message = f"`{file.text(operation)}` mixes class indices, and what it gives is made whole: another class"
        yield Found(operation, message, (), f"mix `one_hot({name})`, or the losses of both")


def _is_made_whole(file: Reading, operation: ast.BinOp) -> bool:
    for place in file.reads(operation):
        match file.parent(place):
            case ast.Attribute(attr=name) as method:
                call = file.parent(method)
                if name in _WHOLE:
                    return True
                if name in {"to", "type"} and isinstance(call, ast.Call):
                    return any(last_name(each) in {"long", "int64"} for each in call.args)
            case ast.Call() as call if file.is_torch(call, "one_hot"):
                return True
    return False


def _without_gradient(file: Reading, loss: Loss) -> Iterator[Found]:
    """A loss of what has no gradient, that is followed backwards."""
    step = _stepped(file, loss.given)
    if step is None or not _is_followed(file, loss.call):
        return
    func = file.text(loss.call.func)
    message = f"no gradient flows from `{func}` through `{file.text(step)}`"
    yield Found(loss.given, message, (), "a loss wants the scores themselves")


def _stepped(file: Reading, node: ast.expr) -> ast.Call | None:
    """The `argmax` or the rounding that a value comes from."""
    for _ in range(8):
        match file.origin(node):
            case ast.Call() as call if last_name(call.func) in _NO_GRADIENT and number(receiver(call)) is None:
                return call
            case ast.Call(func=ast.Attribute(value=owner, attr=name)) if name in _MOVES:
                node = owner
            case _:
                return None
    return None


def _is_followed(file: Reading, call: ast.Call) -> bool:
    around = (file.parent(each) for each in file.reads(call))
    return any(isinstance(each, ast.Attribute) and each.attr == "backward" for each in around)
