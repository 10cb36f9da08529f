"""A mean over the steps of a padded batch, in which the padding counts though a mask is at hand.

## Example

    from torch.nn.functional import normalize


    def embed(model, input_ids, attention_mask):
        hidden = model(input_ids, attention_mask=attention_mask).last_hidden_state
        return normalize(hidden.mean(dim=1))

The check says:

    example.py:6:22 SG507 unmasked-mean: `hidden.mean(dim=1)` counts the padding that `attention_mask` marks
        hint: divide the sum of what the mask leaves by the sum of the mask

Use instead:

    def embed(model, input_ids, attention_mask):
        hidden = model(input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1)
        return normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1))

## Why is this bad?

The mean of a short row is mostly that of its padding, and changes with the longest row of the batch. An embedding
depends on its neighbours, a loss on how the batch was put together. Nothing fails: the number is just another one.

## What it does

Marks a mean, a `std`, a sum divided by a count of all positions, or a loss with a mean in it, where a mask of the same
positions is at hand in the function and isn't what the mean is taken over:

- `hidden.mean(dim=1)` where a model made `hidden` with the mask, or from what a tokenizer pads;
- `(x * mask).mean()`, still divided by the number of all positions, and `pred.masked_fill(~is_word, 0)` in an accuracy;
- `entropy.mean()` beside `advantages * response_mask` of the same logits, and `kl.mean()` beside a `padding_mask`;
- means and losses in a function, or in a loop `for x, y, mask in loader`, that reads its mask or lengths nowhere.

A mask is known by its name (`attention_mask`, `response_mask`) and by how it is made (`labels != -100`). Left alone is
a mean after an `if` on the mask, one of what was picked before (`x[mask]`), and a mean divided by `mask.mean()`.

## Fix safety

There is no fix: whether a mask is 1 or 0 on padding, and whether to divide by tokens or rows, is for its owner to say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.averages import Average, averages, is_choice, is_divided_by
from shapeguard.lint.forms import is_annotated
from shapeguard.lint.left_out import left_out
from shapeguard.lint.masks import Mask, is_lengths, made_from, mask_of, named_mask
from shapeguard.lint.pooling import KEYS, MaskedStates, is_unread, masked_states, unmasked_states
from shapeguard.lint.positions import NOTHING, Positions, Root, aligned, positions
from shapeguard.lint.reading import Function, Reading, last_name
from shapeguard.lint.rule import Found, Rule
from shapeguard.shapes.dim import as_int

_BY_STEP = re.compile(
    r"(^|_)(log_?probs?|logps?|kls?|entrop(y|ies)|advantages?|adv|ratios?|token_\w+|per_token\w*|rewards|values|returns"
    r"|tokens?|labels|tags|input_ids|frames|mels?|surrogate|kl_\w+|log_ratio)$"
)
_STEPS = re.compile(r"^(t|T|l|L|s|S|n_?frames|frames|steps?|time|(seq_?|max_?)?len(gth)?|seq|tokens|words|nodes)$")
_OF_VALUES = re.compile(r"^(old_|new_|clipped_)?(values|returns|vpreds?)$")
_HIDES = re.compile(r"mask_id\b|mask_token|\bmlm|mask_prob|mask_ratio|masked_lm")
"""Where masks hide tokens that are to be guessed."""
_ROWS_AND_STEPS = 2
_ANY_STEM = frozenset(
    "attention attn padding pad key loss label valid input seq sequence token src tgt source target time step frame"  # noqa: SIM905 - a list of so many words reads better so
    " response completion non nonpad".split()
)
_CLEARLY_BY_STEP = re.compile(r"(^|_)(log_?probs?|logps?|kls?|entrop(y|ies)|log_ratio)$")


class UnmaskedMean(Rule):
    """Padding counted in a mean, beside the mask that tells it."""

    code = "SG507"
    name = "unmasked-mean"
    severity = "warning"
    words = tuple(
        f"{mask} & {mean}"
        for mean in (".mean(", "torch.mean(", ".std(", "sum(", "_loss(", "Loss(", "binary_cross_entropy")
        for mask in ("mask", "valid", "-100", "lens", "length", "pad", "observed", "missing", "isnan", "isfinite")
    )
    valid = (
        """\
import torch
def rejected(logits, labels, threshold):
    pred = logits.argmax(-1)
    sure = logits.softmax(-1).amax(-1) > threshold
    return (pred.masked_fill(~sure, 0) == labels).float().mean()
""",
        """\
import torch
def partial_likelihood(risk, log_sum, observed):
    return -((risk - log_sum) * observed).mean()
""",
        """\
import torch
def rmse(pred, batch):
    seen = batch["observed"]
    return ((pred - batch["x"]).pow(2) * seen).mean() / seen.mean()
""",
        """\
import torch.nn.functional as F
def fit(model, loader, optimizer):
    for inputs, target, valid_mask in loader:
        loss = F.mse_loss(model(inputs), target, reduction="none")
        loss = (loss * valid_mask).sum() / valid_mask.sum()
        other = F.mse_loss(model(inputs), inputs)
""",
        """\
import torch
def keep(x, channel_mask):
    return (x * channel_mask[:, :, None, None]).mean(dim=(2, 3))
""",
        """\
import torch
def pool(hidden, attention_mask):
    mask = attention_mask.unsqueeze(-1).float()
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
""",
        """\
import torch
import torch.nn.functional as F
def loss(pred, target, mask=None):
    losses = F.mse_loss(pred, target, reduction="none")
    if mask is not None:
        return (losses * mask).sum() / mask.sum()
    return losses.mean()
""",
        """\
import torch
def loss(losses, loss_mask=None):
    return losses.mean() if loss_mask is None else (losses * loss_mask).sum() / loss_mask.sum()
""",
        """\
import torch
def entropy(logits, response_mask):
    logps = logits.log_softmax(-1)
    entropy = -(logps.exp() * logps).sum(-1)
    return entropy[response_mask.bool()].mean()
""",
        """\
import torch
def loss(per_token_logps, completion_mask):
    return -(per_token_logps * completion_mask).sum(-1).mean()
""",
        """\
import torch
def loss(per_token_loss, mask):
    return ((per_token_loss * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)).mean()
""",
        """\
import torch
def ratio(x, attention_mask):
    return (x * attention_mask).mean() / attention_mask.float().mean()
""",
        """\
import torch
def kept(attention_mask):
    return attention_mask.float().mean(), attention_mask.sum(1).float().mean()
""",
        """\
import torch
def norm(hidden, attention_mask):
    hidden = hidden * attention_mask.unsqueeze(-1)
    return (hidden - hidden.mean(-1, keepdim=True)) / hidden.std(-1, keepdim=True)
""",
        """\
import torch
def reward(scores, response_mask):
    advantages = (scores - scores.mean()) / (scores.std() + 1e-6)
    return advantages.unsqueeze(-1) * response_mask
""",
        """\
import torch
def critic(self, reward, mask, next_state, state, action):
    next_q = self.target(next_state)
    label = reward + mask * self.gamma * next_q
    return ((self.critic(state, action) - label) ** 2).mean()
""",
        """\
import torch
def heads(self, x, attention_mask):
    attention = self.attend(x, attention_mask=attention_mask)
    return attention.mean(dim=1)
""",
        """\
import torch
class ViTEncoder:
    def forward(self, pixel_values, attention_mask):
        hidden = self.encoder(pixel_values, attention_mask=attention_mask)
        return hidden.mean(dim=1)
""",
        """\
import torch
import torch.nn.functional as F
def loss(logits, labels):
    mask = labels != -100
    return F.cross_entropy(logits[mask], labels[mask]), (logits.argmax(-1) == labels)[mask].float().mean()
""",
        """\
import torch
from transformers import AutoModel
def embed(tokenizer, model, text):
    inputs = tokenizer(text, return_tensors="pt")
    return model(**inputs).last_hidden_state.mean(dim=1)
""",
        """\
import torch
def consistency(p_logits, q, threshold):
    loss = -(q * p_logits.log_softmax(-1)).sum(-1)
    loss_mask = torch.gt(q.max(-1)[0], threshold).float()
    return (loss * loss_mask).mean()
""",
        """\
import torch
def spectrum(spectra, pad_mask):
    masked = spectra * pad_mask
    return masked.mean(dim=-1, keepdim=True).sum(-2) / pad_mask.sum(-2)
""",
        """\
import torch
def step(self, loss, mask):
    loss = self.reduce_masked(loss, mask)
    return loss.mean()
""",
    )
    invalid = (
        """\
import torch
def accuracy(scores, gold, inside):
    best = scores.argmax(-1).masked_fill(inside.logical_not(), -1)
    hits = best.eq(gold)
    return hits.sum() / hits.numel()  # <-
""",
        """\
import torch
def reconstruction(model, x):
    known = ~torch.isnan(x)
    gap = (model(x.nan_to_num()) - x.nan_to_num()).abs() * known.float()
    return gap.mean()  # <-
""",
        """\
import torch.nn.functional as F
def fill_loss(pred, batch):
    each = F.l1_loss(pred, batch["x"], reduction="none") * batch["observed_mask"].float()
    return each.mean()  # <-
""",
        """\
import torch
def pool(self, tokens, mask):
    h = self.ff(tokens)
    h = h * mask.unsqueeze(-1)
    return h.mean(1)  # <-
""",
        """\
import torch.nn.functional as F
def fit(model, loader, optimizer):
    for inputs, target, valid_mask in loader:
        loss = F.mse_loss(model(inputs), target)  # <-
        loss.backward()
""",
        """\
import torch
class Flow:
    def loss(self, latents, mask):
        b, t, d = latents.size()
        eps = torch.randn_like(latents)
        v = self.net((latents + eps) * mask.unsqueeze(-1))
        return (v - eps).pow(2).mean()  # <-
""",
        """\
import torch
def ppo(ratio, advantages, values, returns, response_mask):
    pg = -(ratio * advantages * response_mask).sum() / response_mask.sum()
    return pg + (values - returns).pow(2).mean()  # <-
""",
        """\
import torch
class Readout(torch.nn.Module):
    def forward(self, atoms, adj, node_mask):
        n, k, d = atoms.shape
        h = self.update(atoms.reshape(n * k, d)).reshape(n, k, -1)
        return h.mean(dim=1)  # <-
""",
        """\
import torch
def encode(self, input_ids, attention_mask):
    outputs = self.bert(input_ids, attention_mask=attention_mask)
    return outputs.last_hidden_state.mean(dim=1)  # <-
""",
        """\
import torch
def encode(self, input_ids, attention_mask):
    outputs = self.bert(input_ids=input_ids, attention_mask=attention_mask)
    hidden = self.dropout(outputs[0])
    return torch.mean(hidden, 1)  # <-
""",
        """\
import torch
def embed(tokenizer, model, texts):
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        out = model(**batch)
    return out.last_hidden_state.mean(dim=1)  # <-
""",
        """\
import torch
def embed(self, ids, padding_mask):
    x = self.embed_tokens(ids)
    for layer in self.layers:
        x = layer(x, src_key_padding_mask=padding_mask)
    return self.norm(x).mean(1)  # <-
""",
        """\
import torch
def pool(hidden, attention_mask):
    hidden = hidden * attention_mask.unsqueeze(-1)
    return hidden.sum(dim=1) / hidden.size(1)  # <-
""",
        """\
import torch
def pool(hidden, attention_mask):
    hidden = hidden.masked_fill(attention_mask[..., None] == 0, 0.0)
    return hidden.mean(1)  # <-
""",
        """\
import torch
import torch.nn.functional as F
def lm_loss(logits, labels):
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    mask = (labels != -100).float()
    return (losses * mask).mean()  # <-
""",
        """\
import torch
def ppo(log_probs, old_log_probs, advantages, values, returns, response_mask):
    ratio = torch.exp(log_probs - old_log_probs)
    pg = -(torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages) * response_mask).sum() / response_mask.sum()
    kl = (old_log_probs - log_probs).mean()  # <-
    return pg, kl
""",
        """\
import torch
def whiten(advantages, response_mask):
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)  # <-
    return advantages * response_mask
""",
        """\
import torch
from torch.distributions import Categorical
def bonus(logits, actions, advantages, action_logprobs, token_mask):
    dist = Categorical(logits=logits)
    loss = -(dist.log_prob(actions) * advantages * token_mask).sum() / token_mask.sum()
    return loss - 0.01 * dist.entropy().mean()  # <-
""",
        """\
import torch
def accuracy(logits, labels, ignore_index=-100):
    valid = labels.ne(ignore_index)
    predictions = logits.argmax(-1)
    print(valid.sum())
    return (predictions == labels).sum().item() / labels.numel()  # <-
""",
        """\
import torch
import torch.nn.functional as F
def tts_loss(mel_pred, mel_target, duration_pred, duration, lengths):
    mask = torch.arange(mel_pred.size(1))[None, :] < lengths[:, None]
    mel = F.l1_loss(mel_pred, mel_target, reduction="none") * mask.unsqueeze(-1)
    return mel.mean() + F.mse_loss(duration_pred, duration)  # <-
""",
        """\
import torch
import torch.nn.functional as F
class Loss(torch.nn.Module):
    def forward(self, prediction, target, mask):
        return F.mse_loss(prediction, target)  # <-
""",
        """\
import torch
class Model(torch.nn.Module):
    def forward(self, text, text_lens):
        embedded = self.embedding(text)
        return self.fc(embedded.mean(dim=1))  # <-
""",
        """\
import torch
def kl_penalty(logprobs, ref_logprobs, attention_mask):
    kl = logprobs - ref_logprobs
    print("tokens", attention_mask.sum())
    return 0.1 * kl.mean()  # <-
""",
        """\
import torch
def value_loss(values, returns, mask):
    loss = (values - returns).pow(2) * mask
    return 0.5 * loss.mean()  # <-
""",
        """\
import torch
def value_loss(values, returns, mask):
    return ((values - returns) ** 2 * mask).sum() / values.numel()  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Means whose positions a mask tells apart."""
        known: dict[Function, dict[str, Mask]] = {}
        lines: set[tuple[int, str]] = set()
        for average in averages(file):
            function = file.named_function(average.node)
            if function is None:
                continue
            if function not in known:
                known[function] = _masks(file, function)
            found = _judged(file, average, function, known[function])
            line = file.source.span_of(average.node).line
            if found is not None and (line, _of(file, average)) not in lines:
                lines.add((line, _of(file, average)))
                yield found


def _of(file: Reading, average: Average) -> str:
    return file.text(average.of[0])


def _masks(file: Reading, function: Function) -> dict[str, Mask]:
    """The masks that are at hand in a function, by name."""
    found: dict[str, Mask] = {}
    for node in ast.walk(function):
        match node:
            case ast.Name(ctx=ast.Load()) | ast.Compare() | ast.Attribute() | ast.Subscript(slice=ast.Constant()):
                mask = mask_of(file, node)
            case ast.arg(arg=name):
                mask = named_mask(name, name)
            case ast.For(target=ast.Tuple(elts=targets)):
                found |= {
                    each.id: made
                    for each in targets
                    if isinstance(each, ast.Name) and (made := named_mask(each.id, each.id))
                }
                continue
            case _:
                continue
        if mask is not None and (mask.name not in found or mask.padding):
            found[mask.name] = mask
    if _HIDES.search(file.source.text):
        found = {name: mask for name, mask in found.items() if mask.padding}
    return dict(sorted(found.items(), key=lambda each: not each[0].isidentifier()))


def _judged(file: Reading, average: Average, function: Function, masks: dict[str, Mask]) -> Found | None:
    if any(mask_of(file, each) is not None for each in average.of):
        return None
    states = _states(file, average, function)
    if states is not None and not is_choice(
        file, average.node, states.names | masks.keys() | _converted(file, function)
    ):
        return _of_states(file, average, states)
    by_hand = left_out(file, average, function)
    if by_hand is not None and not is_choice(file, average.node, {by_hand.name}):
        if is_divided_by(file, average.node, by_hand.name):
            return None
        message = f"`{file.text(average.node)}` counts the positions that `{by_hand.name}` leaves out"
        return Found(average.node, message, (by_hand.note,), _HINT)
    made = NOTHING
    for side in average.of:
        each = positions(file, side)
        if each is None:
            return None
        made = made.joined(each)
    for mask in masks.values():
        why = _relation(file, average, made, mask, function)
        if why is None:
            continue
        names = {*masks, *_converted(file, function)}
        if is_choice(file, average.node, names) or any(is_divided_by(file, average.node, each) for each in names):
            return None
        return _found(file, average, made, mask, why)
    return None


def _states(file: Reading, average: Average, function: Function) -> MaskedStates | None:
    if average.over == "steps":
        return masked_states(file, average.of[0]) or unmasked_states(file, average.of[0], function)
    if average.over == "first" and "batch_first" not in file.source.text:
        found = masked_states(file, average.of[0])
        return found if found is not None and any(each.arg in KEYS for each in found.call.keywords) else None
    return None


def _converted(file: Reading, function: Function) -> set[str]:
    """The names of masks, and of what is made of them."""
    names = (each for each in ast.walk(function) if isinstance(each, ast.Name))
    return {each.id for each in names if mask_of(file, each) is not None}


def _relation(file: Reading, average: Average, made: Positions, mask: Mask, function: Function) -> str | None:
    """Why a mask is one of the positions that a mean is taken over."""
    found = aligned(file, mask.name, function)
    on = _compared(file, mask, function) | found.roots
    if not mask.padding and any(_name(each).startswith("next") for each in on):
        return None  # of episodes that go on
    for root, depth in made.roots.items():
        if root not in on or depth > on[root] or (average.over != "all" and made.reshaped):
            continue
        if average.over == "last" and (
            depth != on[root] or root not in found.exact or not _BY_STEP.search(_name(root))
        ):
            continue
        is_product = average.over == "steps" and mask.name in made.masks and on[root] > depth
        if mask.padding or is_product or any(_is_by_step(file, each, function) for each in made.roots):
            return f"`{mask.name}` is put on `{_name(root)}`" if _name(root) else ""
    if average.over == "last":
        return None
    if (
        average.over == "all"
        and is_unread(mask.name, function)
        and any(isinstance(each, ast.arg) for each in made.roots)
    ):
        return f"`{mask.name}` is read nowhere here"
    if average.over == "all" and _is_left_in_loop(mask.name, made, function):
        return f"`{mask.name}` comes with `{_name(_in_loop(made))}` and is read nowhere"
    if average.over == "all" and mask.padding and not made.masks and _is_of_values(made, on):
        return f"`{mask.name}` is put on the advantages, which are as long"
    if average.over == "all" and mask.padding and not on and not made.masks and _is_parameter(mask.name, function):
        named = [_name(each) for each in made.roots if isinstance(each, ast.arg)]
        if named and all(map(_CLEARLY_BY_STEP.search, named)):
            return f"`{mask.name}` is put on nothing here"
    return _by_stem(average, made, mask) or _by_shape(file, average, mask, function)


def _is_by_step(file: Reading, root: Root, function: Function) -> bool:
    """Whether a value has a number for each step, by its name or by those that its shape is unpacked into."""
    if _BY_STEP.search(_name(root)):
        return True
    if not isinstance(root, ast.arg):
        return False
    for statement in file.all(ast.Assign):
        match statement:
            case ast.Assign(
                targets=[ast.Tuple(elts=[_, ast.Name(id=second), *_])],
                value=ast.Attribute(value=ast.Name(id=owner), attr="shape")
                | ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr="size"), args=[]),
            ) if owner == root.arg and file.function(statement) is function:
                return bool(_STEPS.search(second))
    return False


def _loops(function: Function) -> Iterator[list[ast.Name]]:
    """The names that each loop over batches takes apart."""
    for node in ast.walk(function):
        if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple):
            yield [each for each in ast.walk(node.target) if isinstance(each, ast.Name)]


def _in_loop(made: Positions) -> Root:
    return next(each for each in made.roots if isinstance(each, ast.Name))


def _is_left_in_loop(name: str, made: Positions, function: Function) -> bool:
    """Whether a mask comes out of a loop together with what is averaged, and isn't read."""
    if any(isinstance(each, ast.Name) and each.id == name and _is_load(each) for each in ast.walk(function)):
        return False
    return any(
        name in {each.id for each in names} and any(each in names for each in made.roots) for names in _loops(function)
    )


def _is_load(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _is_of_values(made: Positions, on: dict[Root, int]) -> bool:
    """Whether values are held to returns, beside advantages that a mask is put on: one is the others' difference."""
    names = [_name(each) for each in made.roots if isinstance(each, ast.arg)]
    return (
        "returns" in names
        and all(map(_OF_VALUES.search, names))
        and any(isinstance(each, ast.arg) and each.arg == "advantages" for each in on)
    )


def _is_parameter(name: str, function: Function) -> bool:
    return any(each.arg == name for each in (*function.args.args, *function.args.kwonlyargs))


def _compared(file: Reading, mask: Mask, function: Function) -> dict[Root, int]:
    """The labels of `labels != -100`, which a mask is made of."""
    found: dict[Root, int] = {}
    for node in ast.walk(function):
        if not isinstance(node, ast.Compare | ast.Call):
            continue
        tokens = made_from(file, node)
        own = mask_of(file, node)
        if tokens is None or own is None:
            continue
        statement = file.statement(node)
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if mask.name in {own.name, *(last_name(each) for each in targets)} and not is_lengths(tokens):
            made = positions(file, tokens)
            found |= {} if made is None or made.reshaped else made.roots
    return found


def _by_stem(average: Average, made: Positions, mask: Mask) -> str | None:
    """`mel_mask` beside a loss of `mel_out` and `mel_target`."""
    stem = re.sub(r"_?(padding_|pad_)?masks?$", "", mask.name)
    if len(average.of) != 2 or not stem or stem in _ANY_STEM or not mask.padding:  # noqa: PLR2004 - both sides
        return None
    names = [_name(each) for each in made.roots if isinstance(each, ast.arg)]
    if len(names) > 1 and all(each.startswith(f"{stem}_") or each == stem for each in names):
        return f"`{mask.name}` is by its name that of `{names[0]}`"
    return None


def _by_shape(file: Reading, average: Average, mask: Mask, function: Function) -> str | None:
    """A mask whose axes are known to be the first ones of what is averaged."""
    if not mask.padding and not _is_parameter(mask.name, function):
        return None
    own = next((each for each in file.all(ast.Name) if each.id == mask.name and file.function(each) is function), None)
    if own is None or not is_annotated(file, own):
        return None
    shapes = [file.shape_of(own), file.shape_of(average.of[0])]
    if shapes[0] is None or shapes[1] is None or shapes[0].axes is None or shapes[1].axes is None:
        return None
    few, many = shapes[0].axes, shapes[1].axes
    if (
        len(few) != _ROWS_AND_STEPS
        or many[:_ROWS_AND_STEPS] != few
        or any(each.size is None or as_int(each.size) is not None for each in few)
    ):
        return None
    return f"`{mask.name}` has the shape {shapes[0]}"


def _name(root: Root) -> str:
    match root:
        case str():
            return root.strip("\"']").replace("[", ".").replace('"', "").replace("'", "").rpartition(".")[2]
        case ast.arg(arg=name) | ast.Name(id=name):
            return name
    return ""


def _found(file: Reading, average: Average, made: Positions, mask: Mask, why: str) -> Found:
    text = file.text(average.node)
    if mask.name in made.masks:
        message = f"`{text}` divides by the number of all positions, also those that `{mask.name}` leaves out"
    else:
        message = f"`{text}` counts the positions that `{mask.name}` leaves out"
    return Found(average.node, message, (why,) if why else (), _HINT)


_HINT = "divide the sum of what the mask leaves by the sum of the mask"


def _of_states(file: Reading, average: Average, states: MaskedStates) -> Found:
    text = file.text(average.node)
    message = f"`{text}` counts the padding that {states.told}"
    return Found(average.node, message, (), _HINT)
