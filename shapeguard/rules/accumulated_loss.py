"""A sum or list of losses in a training loop, each with the graph that made it.

## Example

    import torch.nn.functional as F


    def train_epoch(model, loader, optimizer):
        total = 0.0
        for inputs, targets in loader:
            loss = F.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss
        return total / len(loader)

The check says:

    example.py:11:9 SG601 [*] accumulated-loss: `total` keeps the graph of each `loss`, and memory grows with each step of the loop
        fix: Keep the number without its graph: `loss.detach()`

Use instead:

    def train_epoch(model, loader, optimizer):
        total = 0.0
        for inputs, targets in loader:
            loss = F.mse_loss(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return total / len(loader)

## Why is this bad?

A loss holds on to the graph of its step. `backward` frees the big buffers in it, but not its nodes, nor what they hold
on to themselves: memory grows with each step, by about 30 kB for a net of twenty linear layers, until a long epoch ends
in "out of memory".

## What it does

Marks `total += loss` and `losses.append(loss)` in a loop that calls `backward` on that loss and steps an optimizer, if
`total` or `losses` was made before the loop and `backward` is never called on it. A loss that is one of the terms of
what `backward` is called on counts too.

## Fix safety

The fix adds `.detach()`, which gives the same number and waits for nothing: it is safe, and `--fix` makes it. `.item()`
gives a Python number, and waits for the GPU.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.looping import Loop, kept, loop_around, tensors_in
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Repair, Replacement, Rule

_BACKWARD = ("backward", "manual_backward")
_STEPS = ("step", "zero_grad", "optimizer_step")
_DEEPEST = 6
_Key = tuple[ast.AST, str]

_LOOP = """import torch
def train(model, loader, criterion, optimizer):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
"""


class AccumulatedLoss(Rule):
    """Graphs of all steps of an epoch, kept alive by a number to print."""

    code = "SG601"
    name = "accumulated-loss"
    severity = "warning"
    fixable = True
    words = ("backward( & += ", "backward( & .append(", "backward( & + ")
    valid = (
        _LOOP + "        total += loss.item()\n    return total / len(loader)\n",
        _LOOP + "        total += loss.detach() * x.size(0)\n    return total\n",
        _LOOP + "        total += float(loss)\n    return total\n",
        _LOOP + "        total += loss.data\n    return total\n",
        _LOOP + "        loss = loss.item()\n        total += loss\n    return total\n",
        _LOOP + "        total += x.size(0)\n    return total\n",
        _LOOP + "        total += loss\n        if y is None:\n            total = 0.0\n",
        """import torch
def train(model, loader, optimizer):
    for batch in loader:
        total = 0
        for part in batch:
            total += model(part)
        total.backward()
        optimizer.step()
""",
        """import torch
def train(model, loader, optimizer):
    for batch in loader:
        total = 0
        for part in batch.chunk(4):
            loss = model(part)
            loss.backward()
            total += loss
        optimizer.step()
""",
        """import torch
def attack(model, x, losses):
    gathered = []
    for name in losses:
        loss = losses[name](model(x))
        gathered.append(loss)
    torch.stack(gathered).mean().backward()
""",
        """import torch
def meta(model, tasks, optimizer):
    outer = 0
    for task in tasks:
        loss = model(task)
        loss.backward(retain_graph=True)
        optimizer.step()
        outer += loss
    return outer
""",
        """import torch
def train(model, loader, optimizer):
    losses = []
    for x in loader:
        loss = model(x)
        losses.append(loss)
        if len(losses) == 8:
            mean = sum(losses) / 8
            mean.backward()
            optimizer.step()
            losses = []
""",
        """import torch
def train(model, loader, optimizer):
    losses = []
    for x in loader:
        loss = model(x)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().cpu())
    return torch.stack(losses).mean()
""",
        """import torch
def evaluate(model, loader):
    total = 0
    for x in loader:
        loss = model(x)
        total += loss
    return total
""",
        """import torch
def train(agent, episodes, optimizer):
    total = 0.0
    for episode in episodes:
        reward = agent.play(episode)
        loss = agent.loss(reward)
        loss.backward()
        optimizer.step()
        total += reward
    return total
""",
    )
    invalid = (
        (
            _LOOP + "        total += loss  # <-\n    return total / len(loader)\n",
            _LOOP + "        total += loss.detach()  # <-\n    return total / len(loader)\n",
        ),
        (
            _LOOP + "        total = total + loss * x.size(0)  # <-\n    return total\n",
            _LOOP + "        total = total + loss.detach() * x.size(0)  # <-\n    return total\n",
        ),
        (
            _LOOP + "        total += loss.cpu()  # <-\n    print(total.item())\n",
            _LOOP + "        total += loss.detach().cpu()  # <-\n    print(total.item())\n",
        ),
        (
            """import torch
losses = []
for epoch in range(10):
    for x, y in loader:
        out = model(x)
        loss = criterion(out, y)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss)  # <-
        optimizer.step()
""",
            """import torch
losses = []
for epoch in range(10):
    for x, y in loader:
        out = model(x)
        loss = criterion(out, y)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.detach())  # <-
        optimizer.step()
""",
        ),
        """import torch
def train(accelerator, model, loader, optimizer):
    total_loss = 0
    for step, batch in enumerate(loader):
        outputs = model(**batch)
        loss = outputs.loss
        accelerator.backward(loss / 4)
        optimizer.step()
        total_loss += loss  # <-
""",
        """import torch
def train(model, loader, optimizer):
    train_loss = 0
    for batch in loader:
        output = model(**batch)
        output.loss.backward()
        optimizer.step()
        train_loss += output.loss  # <-
    return train_loss
""",
        """import torch
def train(model, loader, optimizer, scaler):
    running_loss = torch.zeros(1, device="cuda")
    for x, y in loader:
        with torch.autocast("cuda"):
            loss = model(x, y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        running_loss += loss  # <-
""",
        """import torch
def train(self, loader):
    total_seg, total_edge = 0.0, 0.0
    for x, y, e in loader:
        seg_loss = self.seg(x, y)
        edge_loss = self.edge(x, e)
        loss = seg_loss + 0.5 * edge_loss
        loss.backward()
        self.optimizer.step()
        total_seg += seg_loss  # <-
        total_edge += edge_loss  # <-
""",
        """import torch
from collections import defaultdict
def train(model, loader, optimizer):
    stats = defaultdict(float)
    for batch in loader:
        loss, size = model(batch)
        loss = loss / 2
        loss.backward()
        optimizer.step()
        stats["loss"] += loss  # <-
        stats["size"] += size
""",
        """import torch
def fit(model, x, y, optimizer, steps):
    history = []
    while steps > 0:
        loss = ((model(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss)  # <-
        steps -= 1
    return history
""",
        """import torch
class Trainer:
    def epoch(self):
        epoch_loss = 0
        for batch in self.loader:
            loss = self.step(batch)
            self.manual_backward(loss)
            self.optimizer.step()
            epoch_loss += loss  # <-
        self.log(epoch_loss / len(self.loader))
""",
        """import torch
def train(loader, model, optimizer):
    for epoch in range(3):
        epoch_loss = 0.0
        for x, y in loader:
            loss = model(x, y)
            epoch_loss += loss  # <-
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"{epoch}: {epoch_loss}")
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses kept by training loops."""
        for one in kept(file):
            learned = _learned(file, one.loop)
            if not learned or not _steps(file, one.loop) or _is_learned_from(file, one.place):
                continue
            with_graph = [each for each in tensors_in(one.value) if _key(file, each) in learned]
            if not with_graph:
                continue
            place, name = file.text(one.place), file.text(with_graph[0])
            changes = tuple(Replacement(each, "{}.detach()", (each,)) for each in with_graph)
            yield Found(
                one.node,
                f"`{place}` keeps the graph of each `{name}`, and memory grows with each step of the loop",
                repair=Repair(f"Keep the number without its graph: `{name}.detach()`", changes, "safe"),
            )


def _backwards(file: Reading) -> Iterator[tuple[ast.Call, list[ast.expr]]]:
    """Every call of a backward, and what it may be called on."""
    for call in file.calls(*_BACKWARD):
        yield call, [*([call.func.value] if isinstance(call.func, ast.Attribute) else []), *call.args]
    for call in file.calls("grad"):
        yield call, call.args


def _learned(file: Reading, loop: Loop) -> set[_Key]:
    """What `backward` is called on in a loop, and the losses that this is the sum of."""
    found: set[_Key] = set()
    for call, roots in _backwards(file):
        if last_name(call.func) == "grad" or loop_around(file, call) is None or not file.is_in(call, loop):
            continue
        if call.keywords:
            return set()  # the graph is to live longer
        for root in roots:
            _add(file, root, found, first=True)
    return found


def _add(file: Reading, node: ast.expr, found: set[_Key], *, first: bool, depth: int = 0) -> None:
    match node:
        case ast.Call(func=ast.Attribute(attr="scale"), args=[scaled]):
            _add(file, scaled, found, first=first, depth=depth)
            return
    for each in tensors_in(node):
        key = _key(file, each)
        base = each if isinstance(each, ast.Name) else each.value
        binding = file.definition(base) if isinstance(base, ast.Name) else None
        if key is None or binding is None or depth > _DEEPEST:
            continue
        value = binding.value
        is_term = (first and each is node) or (
            "loss" in file.text(each).lower() and isinstance(value, ast.Call | ast.BinOp | ast.Attribute)
        )
        if is_term and not isinstance(value, ast.Constant):
            found.add(key)
        if value is not None and binding.index is None and isinstance(each, ast.Name):
            _add(file, value, found, first=first and each is node, depth=depth + 1)


def _key(file: Reading, node: ast.Name | ast.Attribute) -> _Key | None:
    """What stands for the value of a name, or of an attribute of one, as long as the name isn't bound anew."""
    base = node.value if isinstance(node, ast.Attribute) else node
    binding = file.definition(base) if isinstance(base, ast.Name) else None
    return None if binding is None else (binding.target, node.attr if isinstance(node, ast.Attribute) else "")


def _steps(file: Reading, loop: Loop) -> bool:
    """Whether a loop is one over batches: an optimizer makes a step in it."""
    return any(file.is_in(call, loop) for call in file.calls(*_STEPS))


def _is_learned_from(file: Reading, place: ast.Name) -> bool:
    """Whether `backward` is called on what is made of a name, anywhere in its function."""
    scope = file.scope(place)
    for _, roots in _backwards(file):
        waiting, seen = list(roots), {"self"}
        while waiting:
            for name in ast.walk(waiting.pop()):
                if not isinstance(name, ast.Name) or name.id in seen or file.scope(name) is not scope:
                    continue
                if name.id == place.id:
                    return True
                seen.add(name.id)
                bound = file.bindings(scope, name.id)
                waiting += [each.value for each in bound if each.value is not None]
    return False
