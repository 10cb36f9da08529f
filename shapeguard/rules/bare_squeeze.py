"""A squeeze that names no axis, where a batch of one loses its axis too.

## Example

    import torch
    import torch.nn.functional as F


    def reward_loss(model, tokens):
        reward = model(**tokens).logits.squeeze()
        target = torch.ones(reward.size(0))
        return F.mse_loss(reward, target)

The check says:

    example.py:6:14 SG101 bare-squeeze: `reward` loses its batch axis where the batch is one, and `reward.size(0)` then fails
        a batch of one becomes a scalar, for which torch says: Dimension specified as 0 but tensor has no dimensions
        hint: name the axis: `.squeeze(-1)` or `[:, 0]`, or `.view(-1)` where one axis is wanted

Use instead:

    def reward_loss(model, tokens):
        reward = model(**tokens).logits.squeeze(-1)
        target = torch.ones(reward.size(0))
        return F.mse_loss(reward, target)

## Why is this bad?

`.squeeze()` removes every axis of size 1. For 32 pairs `model(**tokens).logits` is `(32, 1)` and becomes `(32,)`; for
the last pair of an epoch it is `(1, 1)` and becomes a scalar, of which `reward.size(0)`, `len`, a loop and `reward[0]`
raise. Of `(1, 5, 1)` nothing raises, and `[0]` indexes another axis.

## What it does

Marks `.squeeze()` and `torch.squeeze(x)` of a value with a batch:

- where what comes next needs the batch's axis: `reward.size(0)`, `len(reward)`, a loop, an index, `torch.cat`;
- where what was stacked or looked up is then reduced: `torch.stack(rows).squeeze().mean(dim=0)`;
- where the number of axes of what is returned, stacked or multiplied depends on the batch;
- in preview everywhere else, but for what is surely harmless.

The batch is recognised by what makes the value, such as `nn.Linear(d, 1)` or `keepdim=True`, and where its size is
asked for also by the name of what is called: `model`, `critic`, `self.head`. Left alone are `.squeeze().item()`,
`.squeeze().view(-1)`, parameters, one example by itself (`model(x[None])`), and code that looks at the rank.
`nonzero().squeeze()` is a `nonzero-squeeze`, a loss with one side squeezed a `one-sided-squeeze`; what one of the three
reports isn't reported as `size-one` too.

## Fix safety

The fix names the axis of 1 where the code shows which it is. Where other axes may be of size 1 by design the result
changes, so the fix is unsafe; it is safe where the whole shape is stated. Elsewhere, as in the example, there is no
fix.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from shapeguard.lint.consuming import BREAKING, HARMLESS, Kind, Use, uses_of
from shapeguard.lint.harmless_squeezes import is_harmless
from shapeguard.lint.loss_sides import one_sided
from shapeguard.lint.lost_batches import DONE, Verdict, judged
from shapeguard.lint.lost_stacks import Lost, lost_stack
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.squeezing import Meant, Squeeze, bare_squeezes, is_of_indices, repair

_THEN: dict[Kind, str] = {
    "returned": "what is returned has an axis less",
    "stacked": "what is stacked has an axis less",
    "collected": "what the list is given has an axis less",
    "multiplied": "what it is multiplied with meets another axis",
    "reduced": "the result has an axis less",
}
_RAISED: dict[Kind, str] = {
    "iterated": "iteration over a 0-d tensor",
    "indexed": "invalid index of a 0-dim tensor",
    "joined": "zero-dimensional tensor (at position 0) cannot be concatenated",
    "changed": "output with shape [] doesn't match the broadcast shape [1]",
}
"""By torch, of a scalar."""
_LONG = 40


class BareSqueeze(Rule):
    """Which axes are removed depends on the sizes that the run brings."""

    code = "SG101"
    name = "bare-squeeze"
    severity = "warning"
    other_severity = "error"
    fixable = True
    words = ("squeeze()", "torch.squeeze(")
    valid = (
        "import torch\nx = model(x).squeeze(-1)\nn = x.size(0)\n",
        "import torch\nx = torch.squeeze(model(x), dim=1)\nn = x.size(0)\n",
        "import torch\nloss = loss_fct(logits.squeeze(), labels.squeeze())\n",
        "import numpy as np, torch\nx = np.load(path).squeeze()\nn = x.shape[0]\n",
        "import torch\nx = out.detach().cpu().numpy().squeeze()\nn = len(x)\n",
        "import torch\nbest = torch.argmax(votes, dim=-1).squeeze().item()\n",
        "import torch\nbest = float(model(x).squeeze())\n",
        "import torch\nscores = model(x).squeeze().view(-1)\nn = scores.size(0)\n",
        "import torch\nscores = torch.gather(p, 2, ids.unsqueeze(2)).squeeze().reshape(b, k)\n",
        "import torch\nvalue = torch.rand(1) * most\nstart = value.long().squeeze()\nn = len(start)\n",
        "import torch\nclass A:\n    def f(self, x):\n        return x + self.e_score_bias.squeeze()\n",
        "import torch\nclass A:\n    def f(self):\n        return self.relative.squeeze()[:, :, -1]\n",
        "import torch\nprobs = model(x.unsqueeze(0)).squeeze()\nfirst = probs[0]\n",
        "import torch\nprobs = model(image[None]).squeeze()\nn = len(probs)\n",
        (
            "import torch\ntokens = tokenizer(f'{question} {answer}', return_tensors='pt')\n"
            "scores = model(**tokens).logits.squeeze()\nn = len(scores)\n"
        ),
        (
            "import torch\nfor depth in predicted:\n    depth = F.interpolate(depth[None, None], size=size).squeeze()\n"
            "    results.append({'depth': depth})\n"
        ),
        "import torch, torchaudio\nwaveform, rate = torchaudio.load(path)\nn = waveform.squeeze().size(0)\n",
        ("import torch\nif out.dim() > 1:\n    out = model(x).squeeze()\nn = out.size(0)\n"),
        (
            "import torch\nlong = head(x).squeeze()\nif long.dim() == 1:\n    long = long.unsqueeze(0)\nn = long.size(1)\n"
        ),
        "import torch\nx = mask.nonzero().squeeze()\nn = len(x)\n",
        "import torch\nimport torch.nn.functional as F\nloss = F.mse_loss(model(x).squeeze(), y)\n",
        "import torch\ndef squeeze(x, axis=None):\n    return x.squeeze() if axis is None else x.squeeze(axis)\n",
        "import matplotlib.pyplot as plt, torch\nplt.imshow(model(x).squeeze())\n",
        (
            "import torch\nfor x, y in loader:\n    if x.size()[0] == 1:\n        continue\n"
            "    results.extend(model(x).squeeze().tolist())\n"
        ),
        (
            "import torch\nscores = model(**tokens).logits.squeeze().tolist()\nif isinstance(scores, float):\n"
            "    scores = [scores]\npairs = zip(documents, scores)\n"
        ),
    )
    invalid = (
        (
            (
                "import torch\nfrom torch import nn\nclass Forecast(nn.Module):\n    def __init__(self, width, horizon):\n"
                "        super().__init__()\n        self.out = nn.Linear(width, horizon)\n    def forward(self, h):\n"
                "        return self.out(h).squeeze()  # <-\n"
            ),
            (
                "import torch\nfrom torch import nn\nclass Forecast(nn.Module):\n    def __init__(self, width, horizon):\n"
                "        super().__init__()\n        self.out = nn.Linear(width, horizon)\n    def forward(self, h):\n"
                "        return self.out(h).squeeze(-1)  # <-\n"
            ),
        ),
        (
            (
                "import torch\nfrom torch import nn\nhead = nn.Linear(8, 1)\ndef reward(h):\n    scores = head(h)\n"
                "    return scores.squeeze()  # <-\n"
            ),
            (
                "import torch\nfrom torch import nn\nhead = nn.Linear(8, 1)\ndef reward(h):\n    scores = head(h)\n"
                "    return scores.squeeze(-1)  # <-\n"
            ),
        ),
        (
            (
                "import torch\ndef collect(encoder, sentences):\n    rows = []\n    for ids in sentences:\n"
                "        rows.append(encoder(ids[None]))\n    table = torch.stack(rows).squeeze()  # <-\n"
                "    return table @ table.T\n"
            ),
            (
                "import torch\ndef collect(encoder, sentences):\n    rows = []\n    for ids in sentences:\n"
                "        rows.append(encoder(ids[None]))\n    table = torch.stack(rows).squeeze(1)  # <-\n"
                "    return table @ table.T\n"
            ),
        ),
        (
            (
                "import torch\nfrom torch import nn\nclass Detector(nn.Module):\n    def __init__(self, d):\n"
                "        super().__init__()\n        self.out = nn.Linear(d, 1)\n    def forward(self, x):\n"
                "        return self.out(x)\ndef seconds(detector, frames):\n"
                "    speech = detector.eval()(frames).squeeze() > 0  # <-\n    return [clip.sum() for clip in speech]\n"
            ),
            (
                "import torch\nfrom torch import nn\nclass Detector(nn.Module):\n    def __init__(self, d):\n"
                "        super().__init__()\n        self.out = nn.Linear(d, 1)\n    def forward(self, x):\n"
                "        return self.out(x)\ndef seconds(detector, frames):\n"
                "    speech = detector.eval()(frames).squeeze(-1) > 0  # <-\n    return [clip.sum() for clip in speech]\n"
            ),
        ),
        (
            (
                "import torch\nfrom transformers import AutoModelForSequenceClassification\n"
                "model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)\n"
                "rewards = model(**tokens).logits.squeeze()  # <-\ntarget = torch.ones(len(rewards))\n"
            ),
            (
                "import torch\nfrom transformers import AutoModelForSequenceClassification\n"
                "model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=1)\n"
                "rewards = model(**tokens).logits.squeeze(-1)  # <-\ntarget = torch.ones(len(rewards))\n"
            ),
        ),
        (
            "import torch\nimport torch.nn.functional as F\nfor chosen, rejected in loader:\n"
            "    reward_w = model(**chosen).squeeze()  # <-\n    reward_l = model(**rejected).squeeze()  # <-\n"
            "    target = torch.ones(reward_w.size(0))\n"
            "    loss = F.margin_ranking_loss(reward_w, reward_l, target)\n"
        ),
        (
            "import torch\nreward = reward_model(**tokens).logits.squeeze()  # <-\n"
            "target = torch.ones(reward.size(0), device=reward.device)\nloss = ranking(reward, other, target)\n"
        ),
        (
            (
                "import torch\nfrom torch import nn\nclass Critic(nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n"
                "        self.net = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))\n"
                "    def forward(self, x):\n        return self.net(x).squeeze()  # <-\n"
            ),
            (
                "import torch\nfrom torch import nn\nclass Critic(nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n"
                "        self.net = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))\n"
                "    def forward(self, x):\n        return self.net(x).squeeze(-1)  # <-\n"
            ),
        ),
        (
            (
                "import torch\nfrom torch import nn\nclass RewardModel(nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n        self.head = nn.Linear(width, 1)\n    def forward(self, h):\n"
                "        return self.head(h[:, -1])\nmodel = RewardModel(8)\ndef step(h):\n"
                "    reward = model(h).squeeze()  # <-\n    return torch.ones(reward.shape[0]) - reward\n"
            ),
            (
                "import torch\nfrom torch import nn\nclass RewardModel(nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n        self.head = nn.Linear(width, 1)\n    def forward(self, h):\n"
                "        return self.head(h[:, -1])\nmodel = RewardModel(8)\ndef step(h):\n"
                "    reward = model(h).squeeze(-1)  # <-\n    return torch.ones(reward.shape[0]) - reward\n"
            ),
        ),
        (
            "import torch\npredictions = []\nfor inputs, labels in test_loader:\n    outputs = model(inputs)\n"
            "    outputs = outputs.squeeze()  # <-\n    predictions.extend(outputs.cpu().numpy())\n"
        ),
        (
            "import numpy as np, torch\npredictions = []\nfor x, y in test_loader:\n"
            "    predictions.append(model(x).squeeze().cpu().numpy())  # <-\n"
            "everything = np.concatenate(predictions)\n"
        ),
        (
            (
                "import torch\nimport torch.nn.functional as F\ndef attend(query, keys, values):\n"
                "    scores = torch.bmm(keys, query.unsqueeze(2)).squeeze()  # <-\n"
                "    weights = F.softmax(scores, dim=1)\n"
                "    return torch.bmm(weights.unsqueeze(1), values).squeeze(1)\n"
            ),
            (
                "import torch\nimport torch.nn.functional as F\ndef attend(query, keys, values):\n"
                "    scores = torch.bmm(keys, query.unsqueeze(2)).squeeze(-1)  # <-\n"
                "    weights = F.softmax(scores, dim=1)\n"
                "    return torch.bmm(weights.unsqueeze(1), values).squeeze(1)\n"
            ),
        ),
        (
            (
                "import torch\ndef scores_of(logits, ids, padding):\n    scores = torch.gather(  # <-\n"
                "        logits[:, :-1],\n        2,\n        ids[:, 1:].unsqueeze(2),\n    ).squeeze()\n"
                "    kept = ids[:, 1:] != padding\n    scores *= kept.float()\n    return scores\n"
            ),
            (
                "import torch\ndef scores_of(logits, ids, padding):\n    scores = torch.gather(  # <-\n"
                "        logits[:, :-1],\n        2,\n        ids[:, 1:].unsqueeze(2),\n    ).squeeze(2)\n"
                "    kept = ids[:, 1:] != padding\n    scores *= kept.float()\n    return scores\n"
            ),
        ),
        (
            (
                "import torch\ndef lengths(durations, last):\n"
                "    return durations.cumsum(1).gather(dim=1, index=last.unsqueeze(1)).squeeze()  # <-\n"
            ),
            (
                "import torch\ndef lengths(durations, last):\n"
                "    return durations.cumsum(1).gather(dim=1, index=last.unsqueeze(1)).squeeze(1)  # <-\n"
            ),
        ),
        (
            (
                "import torch\ndef decode(decoder, token, hidden):\n    output, hidden = decoder(token, hidden)\n"
                "    best, index = output.topk(1)\n    token = index.squeeze()  # <-\n"
                "    return [token[i] for i in range(4)], hidden\n"
            ),
            (
                "import torch\ndef decode(decoder, token, hidden):\n    output, hidden = decoder(token, hidden)\n"
                "    best, index = output.topk(1)\n    token = index.squeeze(-1)  # <-\n"
                "    return [token[i] for i in range(4)], hidden\n"
            ),
        ),
        (
            (
                "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
                "        super().__init__()\n        self.pool = nn.AdaptiveAvgPool2d((1, 1))\n"
                "        self.norm = nn.BatchNorm1d(2048)\n    def forward(self, x):\n        x = self.pool(x)\n"
                "        x = torch.squeeze(x)  # <-\n        return self.norm(x)\n"
            ),
            (
                "import torch\nfrom torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n"
                "        super().__init__()\n        self.pool = nn.AdaptiveAvgPool2d((1, 1))\n"
                "        self.norm = nn.BatchNorm1d(2048)\n    def forward(self, x):\n        x = self.pool(x)\n"
                "        x = x.flatten(1)  # <-\n        return self.norm(x)\n"
            ),
        ),
        (
            (
                "import torch\ndef sampled(Q, K):\n"
                "    products = torch.matmul(Q.unsqueeze(-2), K.transpose(-2, -1)).squeeze()  # <-\n"
                "    return products.max(-1)[0] - products.sum(-1)\n"
            ),
            (
                "import torch\ndef sampled(Q, K):\n"
                "    products = torch.matmul(Q.unsqueeze(-2), K.transpose(-2, -1)).squeeze(-2)  # <-\n"
                "    return products.max(-1)[0] - products.sum(-1)\n"
            ),
        ),
        (
            "import torch\ndef dots(a, b):\n    return (a[..., None, :] @ b[..., None]).squeeze()  # <-\n",
            (
                "import torch\ndef dots(a, b):\n"
                "    return (a[..., None, :] @ b[..., None]).squeeze(-1).squeeze(-1)  # <-\n"
            ),
        ),
        (
            (
                "import torch\ndef newest(hidden):\n    last = hidden[:, -1:].squeeze()  # <-\n"
                "    return [each for each in last]\n"
            ),
            (
                "import torch\ndef newest(hidden):\n    last = hidden[:, -1:].squeeze(1)  # <-\n"
                "    return [each for each in last]\n"
            ),
        ),
        (
            (
                "import torch\ndef highest(x):\n    top = x.max(dim=1, keepdim=True)[0].squeeze()  # <-\n"
                "    return torch.cat([top, top])\n"
            ),
            (
                "import torch\ndef highest(x):\n    top = x.max(dim=1, keepdim=True)[0].squeeze(1)  # <-\n"
                "    return torch.cat([top, top])\n"
            ),
        ),
        (
            (
                "import torch\nfrom jaxtyping import Float\nfrom torch import Tensor\n"
                'def sizes(values: Float[Tensor, "batch 1"]):\n    flat = values.squeeze()  # <-\n'
                "    return len(flat)\n"
            ),
            (
                "import torch\nfrom jaxtyping import Float\nfrom torch import Tensor\n"
                'def sizes(values: Float[Tensor, "batch 1"]):\n    flat = values.squeeze(-1)  # <-\n'
                "    return len(flat)\n"
            ),
        ),
        (
            (
                "import torch\nclass Decoder(torch.nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n        self.gate = torch.nn.Linear(width, 1)\n"
                "    def decode(self, x):\n        return x, self.gate(x)\n    def forward(self, steps):\n"
                "        gates = []\n        for step in steps:\n            x, gate = self.decode(step)\n"
                "            gates += [gate.squeeze()]  # <-\n        return torch.stack(gates).transpose(0, 1)\n"
            ),
            (
                "import torch\nclass Decoder(torch.nn.Module):\n    def __init__(self, width):\n"
                "        super().__init__()\n        self.gate = torch.nn.Linear(width, 1)\n"
                "    def decode(self, x):\n        return x, self.gate(x)\n    def forward(self, steps):\n"
                "        gates = []\n        for step in steps:\n            x, gate = self.decode(step)\n"
                "            gates += [gate.squeeze(-1)]  # <-\n        return torch.stack(gates).transpose(0, 1)\n"
            ),
        ),
        (
            "import torch\ndef spread(nets, x):\n    guesses = []\n    for net in nets:\n"
            "        guesses.append(net(x).detach())\n    each = torch.stack(guesses, dim=0).squeeze()  # <-\n"
            "    return torch.std(each, dim=0)\n"
        ),
        (
            "import torch\ndef smoothed(sims, values, k):\n    near, index = torch.topk(sims, k, dim=1)\n"
            "    found = values[index].squeeze().float()  # <-\n    return found.mean(dim=1)\n"
        ),
        "import torch\ndef typical(parts, x):\n    return torch.stack([f(x) for f in parts]).squeeze().median(0).values  # <-\n",
        (
            "import torch\ndef paired(paths, observed):\n    score = paths.squeeze()  # <-\n"
            "    return score + observed\n"
        ),
        (
            "import torch\nfor batch in dataloader:\n    output = model(**batch)\n"
            '    durations = output["duration"].squeeze()  # <-\n'
            '    loss = distance(durations[:, 1:], batch["durations"][:, 1:])\n'
        ),
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Squeezes of what may be a batch."""
        elsewhere: set[ast.Call] | None = None
        found: list[tuple[Verdict, list[Use]]] = []
        for squeeze in bare_squeezes(file):
            lost = lost_stack(file, squeeze)
            if lost is not None and "asked" not in {each.kind for each in uses_of(file, squeeze.call)}:
                yield _of_stack(file, squeeze, lost)
                continue
            if _is_in_balanced_call(file, squeeze) or is_of_indices(file, squeeze) or is_harmless(file, squeeze):
                continue
            uses = list(uses_of(file, squeeze.call))
            kinds = {each.kind for each in uses}
            if "asked" in kinds or (uses and kinds <= HARMLESS):
                continue
            if elsewhere is None:
                elsewhere = {each.squeeze.call for each in one_sided(file)}
            if squeeze.call not in elsewhere:
                found.append((judged(file, squeeze, uses), uses))
        sure = {use.node for verdict, uses in found if not verdict.preview for use in uses}
        for verdict, uses in found:
            beside = verdict.preview and verdict.model is not None and any(use.node in sure for use in uses)
            yield _found(file, replace(verdict, preview=False, beside=True) if beside else verdict)


def _is_in_balanced_call(file: Reading, squeeze: Squeeze) -> bool:
    """Whether it is one of two arguments of a call that are squeezed alike."""
    call = file.parent(squeeze.call)
    if not isinstance(call, ast.Call) or squeeze.call not in call.args:
        return False
    others = [each for each in call.args if each is not squeeze.call]
    return any(isinstance(each, ast.Call) and last_name(each.func) == "squeeze" and not each.args for each in others)


def _found(file: Reading, one: Verdict) -> Found:
    name, use, meant = _name_of(file, one.squeeze), one.use, one.meant
    breaks = use is not None and use.kind in BREAKING
    message = f"`{name}` loses its batch axis where the batch is one"
    notes = [] if meant is None else [meant.because]
    if one.preview and meant is None:
        message = f"`{name}` loses every axis that happens to be of size 1, a batch of one too"
    elif use is not None and breaks:
        asked = file.text(use.node) if isinstance(use.node, ast.expr) and use.kind != "joined" else ""
        message += f", and `{asked}` then fails" if 0 < len(asked) < _LONG else f", and is then {DONE[use.kind]}"
        notes.append(_raised(use, meant))
    elif one.beside:
        notes.append("it is used together with another squeeze that takes the axis; name it in both")
    elif use is not None and use.kind in _THEN:
        message += f", and {_THEN[use.kind]}"
    return Found(
        one.squeeze.call,
        message,
        tuple(notes),
        None
        if meant is not None
        else "name the axis: `.squeeze(-1)` or `[:, 0]`, or `.view(-1)` where one axis is wanted",
        None if meant is None else repair(one.squeeze, meant),
        "error" if breaks and not one.preview else "warning",
        one.preview,
    )


def _of_stack(file: Reading, squeeze: Squeeze, lost: Lost) -> Found:
    text = file.text(lost.reduction)
    message = f"`{_name_of(file, squeeze)}` loses an axis where one is {lost.how}: `{text}` is then over another one"
    notes = (f"`{file.text(lost.made)}` has the axis", f"line {lost.reduction.lineno}: {text}")
    return Found(squeeze.call, message, notes, "name the axis: `.squeeze(-1)`")


def _raised(use: Use, meant: Meant | None) -> str:
    """What happens to a batch of one, in torch's words."""
    if use.kind == "axis":
        return "a batch of one has an axis less, for which torch says: Dimension out of range"
    if meant is not None and (meant.flattens or (meant.rank or 1) > 1):
        return "a batch of one has an axis less, and the next axis is taken for the batch"
    if use.kind != "measured":
        said = _RAISED[use.kind]
    elif isinstance(use.node, ast.Subscript):
        said = "tuple index out of range"
    elif isinstance(use.node, ast.Call) and last_name(use.node.func) == "len":
        said = "len() of a 0-d tensor"
    else:
        said = "Dimension specified as 0 but tensor has no dimensions"
    return f"a batch of one becomes a scalar, for which torch says: {said}"


def _name_of(file: Reading, squeeze: Squeeze) -> str:
    """The name that a result is given, else how it is written, shortened."""
    node: ast.AST = squeeze.call
    parent = file.parent(node)
    while isinstance(parent, ast.Attribute) or (isinstance(parent, ast.Call) and parent.func is node):
        node, parent = parent, file.parent(parent)
    match parent:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    text = file.text(squeeze.call)
    return text if len(text) < 2 * _LONG else f"{text[:_LONG]}...squeeze()"
