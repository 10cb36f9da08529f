"""Labels shifted by hand for a model or a loss that shifts them itself.

## Example

    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained("gpt2")


    def train_step(optimizer: torch.optim.Optimizer, input_ids: torch.Tensor) -> None:
        loss = model(input_ids=input_ids[:, :-1], labels=input_ids[:, 1:]).loss
        loss.backward()
        optimizer.step()

The check says:

    example.py:8:12 SG502 double-shifted-labels: `model` shifts the labels itself, and `input_ids[:, 1:]` has shifted them already
        hint: pass the labels as they stand under the tokens: `labels=input_ids`
        fix: Pass the labels unshifted, and the input whole (unsafe)

Use instead:

    def train_step(optimizer: torch.optim.Optimizer, input_ids: torch.Tensor) -> None:
        loss = model(input_ids=input_ids, labels=input_ids).loss
        loss.backward()
        optimizer.step()

## Why is this bad?

The models of transformers take `labels` as they are, `labels=input_ids`, and shift them inside: since version 4.46 in
`ForCausalLMLoss`, before that in each `forward`. Labels that come shifted are shifted again, and position `t` learns
token `t + 2`. The loss goes down, only less far, and what the model writes leaves out every other word.

## What it does

Marks the second shift on the way to a causal language model's loss, or the data that arrive shifted:

- `labels=input_ids[:, 1:]`, or labels filled by `labels[:, :-1] = input_ids[:, 1:]`, in a call of a causal model;
- labels that are cut in a call of `self.loss_function` or `ForCausalLMLoss` without `shift_labels=`;
- the same in a call of `causal_lm_loss` or `linear_causal_lm_loss` of `shapeguard.losses`, whether or not the last
  logits are cut off too;
- `{"input_ids": ids[:, :-1], "labels": ids[:, 1:]}` from a collate function or a data set, in a file that hands them to
  such a model and has no loss of its own;
- logits and targets that lose two positions: once in the data and once more at the loss.

A causal model is made by a `...ForCausalLM` or `...LMHeadModel` of transformers; or the file imports one, and it is
called `model`, `llm`, `policy` or the like (in preview where only `.loss` is taken). Labels that a function of the file
shifts again are reported by `label-shift`.

## Fix safety

The fix takes away the cuts in the call. It changes the loss, and is unsafe; it is offered where all of them are written
in the call itself.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TypeGuard

from shapeguard.lint.following import moments
from shapeguard.lint.identity import is_same
from shapeguard.lint.moments import Place, is_one_sequence
from shapeguard.lint.reading import Reading, argument, last_name, receiver
from shapeguard.lint.rule import Found, Repair, Replacement, Rule
from shapeguard.lint.sequences import sequence, written_cut
from shapeguard.lint.shifting import beginning, is_causal, made_of, token_losses

_CAUSAL = re.compile(r"(ForCausalLM|LMHeadModel)$")
_SHIFTING_CLASS = re.compile(r"(ForCausalLM|LMHeadModel|ForConditionalGeneration)$")
_MODEL = re.compile(r"(^|_)(model|llm|lm|gpt2?|llama|policy|actor)$", re.IGNORECASE)
_OTHER_KIND = re.compile(r"Seq2Seq|EncoderDecoder|ForConditionalGeneration|\bT5|Bart|decoder_input_ids")
_KEYWORDS = re.compile(
    r"^(input_ids|attention_mask|position_ids|token_type_ids|labels|past_key_values|use_cache|return_dict|output_\w+)$"
)
_SHIFTS_RIGHT = frozenset(
    {"shift_tokens_right", "_shift_right", "shift_right", "prepare_decoder_input_ids_from_labels"}
)
_HUGGING_FACE = re.compile(r"\bTrainer\(|SFTTrainer\(|ForCausalLM")
_OWN_LOSS = re.compile(r"cross_entropy|CrossEntropyLoss|nll_loss|Seq2Seq|ForConditionalGeneration|decoder_input_ids")
_BATCHES = re.compile(
    r"collat|__getitem__|__call__|tokeni[sz]e|preprocess|group_texts|encode|batch|prepare", re.IGNORECASE
)
_TWICE = 2
_OF_OURS = {"causal_lm_loss": 1, "linear_causal_lm_loss": 2}
"""The losses of `shapeguard.losses` that shift -> where their labels stand."""


class DoubleShiftedLabels(Rule):
    """Each position learns the token after the next."""

    code = "SG502"
    name = "double-shifted-labels"
    fixable = True
    words = (
        "labels & roll(",
        "loss_function & shift",
        "ForCausalLMLoss & shift",
        "causal_lm_loss",
        *(f"{word} & {cut}" for word in ("labels", "cross_entropy", "gather(") for cut in (", 1:", ",1:")),
        "transformers & labels & [1:]",
        "transformers & labels & narrow(",
    )
    valid = (
        """\
import torch
from transformers import AutoModelForCausalLM, Trainer
def collate(rows):
    ids = torch.stack([torch.tensor(each) for each in rows])
    return {"input_ids": ids, "labels": ids.clone(), "next": ids[:, 1:]}
Trainer(AutoModelForCausalLM.from_pretrained("gpt2"), data_collator=collate).train()
""",
        """\
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("gpt2")
loss = model(input_ids=input_ids, labels=input_ids).loss
""",
        # The prompt is left out, and nothing is shifted.
        """\
from transformers import AutoModelForCausalLM
def step(model, input_ids, prompt_length):
    labels = input_ids.clone()
    labels[:, :prompt_length] = -100
    return model(input_ids, labels=labels).loss
""",
        # A model with an encoder.
        """\
from transformers import T5ForConditionalGeneration
model = T5ForConditionalGeneration.from_pretrained('t5-small')
outputs = model(input_ids=input_ids, decoder_input_ids=labels[:, :-1], labels=labels[:, 1:])
""",
        """\
from transformers import ProphetNetForCausalLM, ProphetNetForConditionalGeneration
def step(model, input_ids, labels):
    return model(input_ids=input_ids, decoder_input_ids=labels[:, :-1], labels=labels[:, 1:]).loss
""",
        # One's own model, that doesn't shift.
        """\
import torch
class TinyForCausalLM(torch.nn.Module):
    pass
def step(model, tokens):
    logits, loss = model(tokens[:, :-1], labels=tokens[:, 1:])
    return loss
""",
        """\
from transformers import AutoModelForCausalLM
def step(model, ids, image, mask, labels):
    out = model(ids[:, :-1], image, labels=labels[:, 1:], attention_mask=mask[:, :-1])
    return out["loss"]
""",
        # What is put before the tokens takes the place of the first.
        """\
from transformers import GPT2LMHeadModel
gpt = GPT2LMHeadModel.from_pretrained("gpt2")
def step(prefix, labels):
    return gpt(inputs_embeds=join(prefix, labels[:, :-1]), labels=labels[:, 1:]).loss
""",
        """\
from transformers import AutoModelForCausalLM
def step(model, input_ids, model_loss):
    logits = model(input_ids).logits[:, :-1]
    return model_loss(logits, labels=input_ids[:, 1:])
""",
        # Shifted once, by hand, for a loss that doesn't shift.
        """\
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
logits = model(input_ids).logits
loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())
""",
        """\
from transformers import AutoModelForCausalLM
def logps(model, input_ids):
    logits = model(input_ids).logits
    return gather_logprobs(logits=logits[:, :-1], labels=input_ids[:, 1:])
""",
        # `shift_labels` says that they are.
        """\
class GitForCausalLM(GitPreTrainedModel):
    def forward(self, input_ids, labels=None, **kwargs):
        logits = self.output(self.git(input_ids))
        shift_labels = labels[:, 1:].contiguous()
        return self.loss_function(logits=logits[:, :-1], labels=None, vocab_size=9, shift_labels=shift_labels)
""",
        """\
class MoonshineForConditionalGeneration(PreTrainedModel):
    def forward(self, input_values, labels=None):
        decoder_input_ids = shift_tokens_right(labels, self.config.pad_token_id, 1)
        logits = self.proj_out(self.model(input_values, decoder_input_ids))
        return self.loss_function(logits=logits, labels=None, vocab_size=9, shift_labels=labels)
""",
        """\
class LlamaForCausalLM(PreTrainedModel):
    def forward(self, input_ids, labels=None, **kwargs):
        logits = self.lm_head(self.model(input_ids)[0][:, 1:])
        return self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
""",
        # A class that chooses a loss that doesn't shift.
        """\
class T5GemmaForConditionalGeneration(PreTrainedModel):
    def __init__(self, config):
        self.loss_type = 'ForMaskedLM'
    def forward(self, input_ids, labels=None):
        decoder_input_ids = self._shift_right(labels)
        logits = self.lm_head(self.model(input_ids, decoder_input_ids))
        return self.loss_function(logits, labels, self.vocab_size)
""",
        # Classification, without the class token.
        """\
class BeitForSemanticSegmentation(PreTrainedModel):
    def forward(self, x, labels):
        return self.loss_function(self.head(x[:, 1:]), labels[:, 1:])
""",
        # A head for each of the next tokens.
        """\
import torch.nn.functional as F
def medusa(heads, logits, labels):
    return F.cross_entropy(logits[:, :-2].flatten(0, 1), labels[:, 2:].flatten())
""",
        # Cut in the data, and not again.
        """\
import torch.nn.functional as F
def step(gpt, tokens):
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    return F.cross_entropy(gpt(inputs).flatten(0, 1), labels.flatten())
""",
        # The first token is left out of both, and nothing is shifted.
        """\
from shapeguard.losses import causal_lm_loss
def step(model, ids):
    short = causal_lm_loss(model(ids)[:, 1:], ids[:, 1:])
    return short + causal_lm_loss(model(ids[:, 1:]), ids[:, 1:]) + causal_lm_loss(model(ids), ids)
""",
        """\
from elsewhere import causal_lm_loss
def step(logits, tokens):
    return causal_lm_loss(logits[:, :-1], tokens[:, 1:])
""",
        """\
from shapeguard.losses import linear_causal_lm_loss
def step(hidden, head, tokens):
    return linear_causal_lm_loss(hidden[:, :-1], head.weight[:, 1:], tokens[:, :-1])
""",
    )
    invalid = (
        """\
import torch
from transformers import AutoModelForCausalLM, Trainer
def collate(rows):
    ids = torch.stack([torch.tensor(each) for each in rows])
    return {"input_ids": ids[:, :-1], "labels": ids[:, 1:]}  # <-
Trainer(AutoModelForCausalLM.from_pretrained("gpt2"), data_collator=collate).train()
""",
        (
            """\
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("gpt2")
outputs = model(input_ids=input_ids[:, :-1], labels=input_ids[:, 1:])  # <-
""",
            """\
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("gpt2")
outputs = model(input_ids=input_ids, labels=input_ids)  # <-
""",
        ),
        (
            """\
from transformers import GPT2LMHeadModel
def step(model, ids, mask):
    out = model(ids[:, :-1], attention_mask=mask[:, :-1], labels=ids[:, 1:].contiguous())  # <-
    return out.loss
""",
            """\
from transformers import GPT2LMHeadModel
def step(model, ids, mask):
    out = model(ids, attention_mask=mask, labels=ids.contiguous())  # <-
    return out.loss
""",
        ),
        """\
from transformers import LlamaForCausalLM
class Task:
    def __init__(self, path):
        self.net = LlamaForCausalLM.from_pretrained(path)
    def training_step(self, batch):
        tokens = batch["tokens"]
        inputs, labels = tokens[:, :-1], tokens[:, 1:]
        return self.net(input_ids=inputs, labels=labels).loss  # <-
""",
        """\
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    labels = input_ids.clone()
    labels[:, :-1] = input_ids[:, 1:]
    labels[:, -1] = -100
    return model(input_ids, labels=labels).loss  # <-
""",
        """\
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    labels = F.pad(input_ids[:, 1:], (0, 1), value=-100)
    return model(input_ids=input_ids, labels=labels).loss  # <-
""",
        """\
import torch
from transformers import AutoModelForCausalLM
def step(model, input_ids, end):
    labels = torch.cat([input_ids[:, 1:], end], dim=1)
    return model(input_ids=input_ids, labels=labels).loss  # <-
""",
        """\
import torch
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    return model(input_ids=input_ids, labels=torch.roll(input_ids, -1, dims=1)).loss  # <-
""",
        """\
import torch
def fisher(net, input_ids):
    out = net(input_ids=input_ids[:, :-1], labels=input_ids[:, 1:])  # <-
    out.loss.backward()
""",
        """\
import torch
from transformers import AutoModelForCausalLM
def step(model, batch):
    batch["labels"] = batch["input_ids"][:, 1:]
    batch["input_ids"] = batch["input_ids"][:, :-1]
    return model(**batch).loss  # <-
""",
        """\
import torch
from transformers import AutoModelForCausalLM
def score(model, tokens, answer):
    labels = torch.full_like(tokens, -100)
    labels[:, -answer.shape[1] :] = answer
    return model(tokens[:, :-1], labels=labels[:, 1:]).loss  # <-
""",
        # What shipped in JetMoE and GIT.
        """\
class JetMoeForCausalLM(PreTrainedModel):
    def forward(self, input_ids, labels=None, **kwargs):
        logits = self.lm_head(self.model(input_ids)[0]).float()
        shift_logits = logits[..., :-1, :].contiguous()
        shift_labels = labels[..., 1:].contiguous()
        shift_logits = shift_logits.view(-1, self.config.vocab_size)
        shift_labels = shift_labels.view(-1).to(shift_logits.device)
        return self.loss_function(shift_logits, shift_labels, vocab_size=9, **kwargs)  # <-
""",
        """\
class GitForCausalLM(PreTrainedModel):
    def forward(self, input_ids, labels=None, **kwargs):
        logits = self.output(self.git(input_ids))
        shifted_logits = logits[:, self.image_tokens : -1, :].contiguous()
        labels = labels[:, 1:].contiguous()
        return self.loss_function(shifted_logits.view(-1, 9), labels.view(-1), vocab_size=9)  # <-
""",
        # And in Moonshine and Florence-2.
        """\
class MoonshineForConditionalGeneration(PreTrainedModel):
    def forward(self, input_values, decoder_input_ids=None, labels=None):
        if labels is not None:
            if decoder_input_ids is None:
                decoder_input_ids = shift_tokens_right(labels, self.config.pad_token_id, 1)
        logits = self.proj_out(self.model(input_values, decoder_input_ids))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=9)  # <-
        return loss
""",
        """\
import torch.nn.functional as F
def step(gpt, tokens):
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    logits = gpt(inputs)
    shift_logits, shift_labels = logits[:, :-1], labels[:, 1:]
    return F.cross_entropy(shift_logits.flatten(0, 1), shift_labels.flatten())  # <-
""",
        """\
import torch.nn.functional as F
def logps(logits, labels):
    labels = labels[:, 1:].clone()
    logits = logits[:, :-1, :]
    return logits[:, :-1].log_softmax(-1).gather(2, labels[:, 1:].unsqueeze(2)).squeeze(2)  # <-
""",
        (
            """\
from shapeguard.losses import causal_lm_loss
def step(logits, t):
    return causal_lm_loss(logits[:, :-1], t[:, 1:])  # <-
""",
            """\
from shapeguard.losses import causal_lm_loss
def step(logits, t):
    return causal_lm_loss(logits, t)  # <-
""",
        ),
        (
            """\
from shapeguard.losses import causal_lm_loss as loss_of
def step(scores, t):
    return loss_of(labels=t[..., 1:].contiguous(), logits=scores[..., :-1, :].float())  # <-
""",
            """\
from shapeguard.losses import causal_lm_loss as loss_of
def step(scores, t):
    return loss_of(labels=t.contiguous(), logits=scores.float())  # <-
""",
        ),
        (
            """\
from shapeguard import losses
def step(model, ids, mask, head):
    whole = losses.causal_lm_loss(model(ids[:, :-1]).logits, ids[:, 1:], attention_mask=mask[:, 1:])  # <-
    return whole + losses.linear_causal_lm_loss(model.body(ids[:, :-1]), head.weight, ids[:, 1:])  # <-
""",
            """\
from shapeguard import losses
def step(model, ids, mask, head):
    whole = losses.causal_lm_loss(model(ids).logits, ids, attention_mask=mask)  # <-
    return whole + losses.linear_causal_lm_loss(model.body(ids), head.weight, ids)  # <-
""",
        ),
        """\
import shapeguard.losses
def step(model, tokens, hidden, weight):
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    one = shapeguard.losses.causal_lm_loss(model(inputs), labels)  # <-
    return one + shapeguard.losses.linear_causal_lm_loss(hidden=hidden, weight=weight, labels=labels)  # <-
""",
        """\
import torch
from shapeguard.losses import causal_lm_loss
def step(model, ids):
    labels = ids.clone()
    labels[:, :-1] = ids[:, 1:]
    labels[:, -1] = -100
    one = causal_lm_loss(model(ids), labels)  # <-
    return one + causal_lm_loss(model(ids), torch.roll(ids, -1, dims=1))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Calls to which shifted labels go, that shift them or whose logits are shifted too."""
        for call in file.all(ast.Call):
            name = last_name(call.func)
            if _is_ours(file, call):
                yield from _to_ours(file, call)
            elif name in {"loss_function", "ForCausalLMLoss"}:
                yield from _to_loss(file, call)
            elif any(each.arg in {"labels", None} for each in call.keywords):
                yield from _to_model(file, call)
        yield from _in_batches(file)
        for loss in token_losses(file):
            if loss.ahead == _TWICE and not loss.missing and len(loss.targets.cuts) == _TWICE:
                targets = file.text(loss.targets.root)
                message = (
                    f"`{targets}` is shifted twice: each position's logits are scored against the token after the next"
                )
                notes = tuple(f"cut: {file.text(each)}" for each in reversed(loss.targets.cuts))
                yield Found(loss.call, message, notes)


# Models.


def _to_model(file: Reading, call: ast.Call) -> Iterator[Found]:
    labels = next((each.value for each in call.keywords if each.arg == "labels"), None) or _packed_labels(file, call)
    others = [each.arg or "" for each in call.keywords]
    if labels is None or any(each.startswith(("decoder", "encoder", "inputs_embeds")) for each in others):
        return
    shifted = _shifted(file, labels)
    if shifted is None:
        return
    sure = _takes_unshifted(file, call)
    if not sure and not (sure is None and _gives_loss(file, call)):
        return
    message = f"`{file.text(call.func)}` shifts the labels itself, and `{file.text(shifted)}` has shifted them already"
    hint = "pass the labels as they stand under the tokens: `labels=input_ids`"
    yield Found(call, message, hint=hint, repair=_uncut(file, call, shifted), preview=not sure)


def _in_batches(file: Reading) -> Iterator[Found]:
    """What a collate function or a data set hands to a causal model of transformers that a Trainer calls."""
    text = file.source.text
    if "transformers" not in text or not _HUGGING_FACE.search(text) or _OWN_LOSS.search(text):
        return
    for batch in file.all(ast.Dict):
        function = file.function(batch)
        items = {each.value: value for each, value in zip(batch.keys, batch.values, strict=True) if _is_text(each)}
        if not isinstance(function, ast.FunctionDef) or not _BATCHES.search(function.name):
            continue
        if "input_ids" not in items or "labels" not in items:
            continue
        tokens, labels = (moments(file, Place(items[each])) for each in ("input_ids", "labels"))
        if tokens is None or labels is None or not is_one_sequence(file, tokens, labels) or not labels.steps:
            continue
        if labels.shift - tokens.shift == 1:
            shown = file.text(labels.steps[0])
            message = (
                f"`{shown}` has shifted the labels already, and the causal models of transformers shift them themselves"
            )
            yield Found(items["labels"], message, hint="give the labels as they stand under the tokens")


def _is_text(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _packed_labels(file: Reading, call: ast.Call) -> ast.expr | None:
    """What `batch["labels"]` is set to before `model(**batch)`."""
    packed = next((each.value for each in call.keywords if each.arg is None), None)
    if not isinstance(packed, ast.Name):
        return None
    before = [
        statement
        for statement in _labels_set(file)
        if statement.lineno < call.lineno and file.scope(statement) is file.scope(call)
    ]
    owners = [each.targets[0].value for each in before if isinstance(each.targets[0], ast.Subscript)]
    found = [
        each.value
        for each, owner in zip(before, owners, strict=True)
        if isinstance(owner, ast.Name) and owner.id == packed.id
    ]
    return found[-1] if found else None


@lru_cache(maxsize=1)
def _labels_set(file: Reading) -> tuple[ast.Assign, ...]:
    """The assignments to `anything["labels"]`."""
    return tuple(each for each in file.all(ast.Assign) if _is_labels_item(each.targets[0]))


def _is_labels_item(node: ast.expr) -> bool:
    match node:
        case ast.Subscript(slice=ast.Constant(value="labels")):
            return True
    return False


def _takes_unshifted(file: Reading, call: ast.Call) -> bool | None:
    """Whether what is called is a causal model of transformers; None if it may be."""
    maker = made_of(file, call)
    if maker is not None:
        return is_causal(maker)
    if _OTHER_KIND.search(file.source.text) or len(call.args) > 1:
        return False
    known = all(each.arg is None or _KEYWORDS.match(each.arg) for each in call.keywords)
    if not known or not _MODEL.search(last_name(call.func)) or _defines_model(file):
        return None
    imported = (
        alias.name
        for each in file.all(ast.ImportFrom)
        if (each.module or "").startswith("transformers")
        for alias in each.names
    )
    used = re.search(r"\btransformers\.\w+(ForCausalLM|LMHeadModel)\b", file.source.text)
    return True if used or any(_CAUSAL.search(each) for each in imported) else None


def _defines_model(file: Reading) -> bool:
    """Whether a model of the file's own takes labels, and does with them what it likes."""
    return any(
        each.name == "forward" and any(one.arg == "labels" for one in (*each.args.args, *each.args.kwonlyargs))
        for each in file.all(ast.FunctionDef)
    )


def _gives_loss(file: Reading, call: ast.Call) -> bool:
    """Whether `.loss` is taken of what a call gives."""
    around = file.parent(call)
    if isinstance(around, ast.Attribute):
        return around.attr == "loss"
    if isinstance(around, ast.Assign) and isinstance(around.targets[0], ast.Name):
        uses = (file.parent(each) for each in file.uses(around.targets[0]))
        return any(isinstance(each, ast.Attribute) and each.attr == "loss" for each in uses)
    return False


def _shifted(file: Reading, labels: ast.expr) -> ast.expr | None:
    """Where labels are shifted by one to the left, if they are."""
    found = sequence(file, labels)
    if found is not None and found.start == 1:
        return found.cuts[-1]
    followed = moments(file, Place(labels))
    if followed is not None and followed.shift == 1 and not followed.start and len(followed.steps) == 1:
        return followed.steps[0]
    origin = file.origin(labels)
    while isinstance(origin, ast.Call) and last_name(origin.func) in {"clone", "contiguous", "to"}:
        origin = receiver(origin) or origin.args[0]
    if isinstance(origin, ast.Subscript) and written_cut(origin) == (1, 0):
        return origin
    match origin:
        case ast.Call(func=func, args=[first, *_]) if last_name(func) in {"pad", "cat", "concat", "hstack"}:
            parts = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
            inner = sequence(file, parts[0]) if parts else None
            return origin if inner is not None and inner.start == 1 else None
        case ast.Call(func=func) if last_name(func) == "roll":
            by = file.given(origin, 1, "shifts")
            return origin if by is not None and file.text(by) in {"-1", "(-1,)"} else None
    return _filled_shifted(file, labels) if isinstance(labels, ast.Name) else None


def _filled_shifted(file: Reading, labels: ast.Name) -> ast.expr | None:
    """`input_ids[:, 1:]` of `labels[:, :-1] = input_ids[:, 1:]` before."""
    for statement in file.all(ast.Assign):
        match statement.targets:
            case [ast.Subscript(value=ast.Name(id=labels.id)) as target] if (
                file.scope(statement) is file.scope(labels) and statement.lineno < labels.lineno
            ):
                value = sequence(file, statement.value)
                if written_cut(target) == (0, 1) and value is not None and (value.start, value.stop) == (1, 0):
                    return statement.value
    return None


def _uncut(file: Reading, call: ast.Call, shifted: ast.expr) -> Repair | None:
    """The repair that takes the cuts out of a call, if that of the labels and all others are written in it."""
    inside = list(ast.walk(call))
    cuts = [each for each in inside if isinstance(each, ast.Subscript) and _is_cut(each)]
    parts = [sequence(file, each) for each in inside if isinstance(each, ast.Name)]
    if shifted not in cuts or any(part is not None and part.cuts for part in parts):
        return None
    changes = tuple(Replacement(each, "{}", (each.value,)) for each in cuts)
    return Repair("Pass the labels unshifted, and the input whole", changes)


def _is_cut(node: ast.Subscript) -> bool:
    """Whether a subscript leaves out the first or the last position, of tokens or of logits."""
    return any(written_cut(node, logits=each) in {(0, 1), (1, 0)} for each in (False, True))


# Losses.


def _to_loss(file: Reading, call: ast.Call) -> Iterator[Found]:
    owner = file.class_of(call)
    if last_name(call.func) == "loss_function" and (
        owner is None
        or not _SHIFTING_CLASS.search(owner.name)
        or file.assigned(owner, "loss_type")
        or file.assigned(owner, "loss_function")
        or file.text(call.func) != "self.loss_function"
    ):
        return
    labels = argument(call, 1, "labels")
    if labels is None or any(each.arg == "shift_labels" for each in call.keywords):
        return
    found = sequence(file, labels)
    if found is None:
        return
    func = file.text(call.func)
    hint = "pass them unshifted, or as `shift_labels=`"
    if found.start == 1:
        cut = file.text(found.cuts[-1])
        yield Found(call, f"`{func}` shifts the labels itself, and `{cut}` has shifted them already", hint=hint)
    elif not found.cuts:
        right = _shifted_right(file, call, found.root)
        if right is not None:
            message = f"`{func}` shifts the labels to the left, and `{file.text(right.func)}` shifts the input to the right already"
            yield Found(call, message, hint=hint)


def _is_ours(file: Reading, call: ast.Call) -> bool:
    """Whether a call is of a loss of `shapeguard.losses` that shifts."""
    full = file.full_name(call.func)
    return full is not None and full.startswith("shapeguard.losses.") and full.rpartition(".")[2] in _OF_OURS


def _to_ours(file: Reading, call: ast.Call) -> Iterator[Found]:
    name = str(file.full_name(call.func)).rpartition(".")[2]
    scores, labels = argument(call, 0, "logits", "hidden"), argument(call, _OF_OURS[name], "labels")
    shifted = None if labels is None else _shifted(file, labels)
    if scores is None or shifted is None or beginning(file, scores) != 0:
        return
    message = f"`{file.text(call.func)}` shifts the labels itself, and `{file.text(shifted)}` has shifted them already"
    hint = "pass the labels as they stand under the tokens, and all logits"
    yield Found(call, message, hint=hint, repair=_uncut(file, call, shifted))


def _shifted_right(file: Reading, call: ast.Call, labels: ast.expr) -> ast.Call | None:
    """The call before a loss that makes decoder inputs of its labels."""
    for shift in file.calls(*_SHIFTS_RIGHT):
        if file.scope(shift) is not file.scope(call) or shift.lineno > call.lineno or not shift.args:
            continue
        if is_same(file, shift.args[0], labels):
            return shift
    return None
