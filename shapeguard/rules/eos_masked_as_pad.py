"""Labels masked by the token that pads, in a file that pads with the token that ends a text.

## Example

    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("gpt2")
    tokenizer.pad_token = tokenizer.eos_token


    def make_batch(texts):
        batch = tokenizer([text + tokenizer.eos_token for text in texts], padding=True, return_tensors="pt")
        ids = batch["input_ids"]
        batch["labels"] = torch.where(ids == tokenizer.pad_token_id, -100, ids)
        return batch

The check says:

    example.py:11:23 SG506 eos-masked-as-pad: `torch.where(ids == tokenizer.pad_token_id, -100, ids)` leaves out the token that ends a text, for it is the one that pads
        `tokenizer.pad_token = tokenizer.eos_token`, in line 5
        hint: mask where the attention mask is 0, or pad with a token of its own

Use instead:

    def make_batch(texts):
        batch = tokenizer([text + tokenizer.eos_token for text in texts], padding=True, return_tensors="pt")
        ids = batch["input_ids"]
        batch["labels"] = torch.where(batch["attention_mask"] == 0, -100, ids)
        return batch

## Why is this bad?

The token that ends a text is then left out of the loss wherever it stands, and not only where it pads. The model never
learns to stop, and what it writes goes on until it is cut off.

## What it does

Marks what leaves every padding token out of the loss, where the same file makes the padding token the one that ends a
text (`tokenizer.pad_token = tokenizer.eos_token`) and puts that one behind its texts (`text + tokenizer.eos_token`,
`add_eos_token=True`):

- `labels[labels == tokenizer.pad_token_id] = -100`, and the same with `masked_fill`, `torch.where` and in a list;
- `DataCollatorForLanguageModeling(tokenizer, mlm=False)` of transformers, which does that inside;
- a cross entropy with `ignore_index=tokenizer.pad_token_id`.

In preview where nothing in the file puts the token behind its texts: they may come with it.

## Fix safety

There is no fix: the mask of the tokenizer has to be brought to where it is needed, or the padding given a token of its
own, by `tokenizer.add_special_tokens({"pad_token": "<pad>"})`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.losses import OF_CLASSES
from shapeguard.lint.padding import ends_texts, is_pad, pad_set_to_eos, pad_test
from shapeguard.lint.reading import Reading, argument, last_name, number, receiver
from shapeguard.lint.rule import Found, Rule

_IGNORED = -100


class EosMaskedAsPad(Rule):
    """The end of a text is left out of the loss."""

    code = "SG506"
    name = "eos-masked-as-pad"
    severity = "warning"
    words = (
        "-100 & pad_token",
        "gnore_index & pad_token",
        "GNORE & pad_token",
        "DataCollatorForLanguageModeling( & pad_token",
    )
    valid = (
        # A token of its own.
        """\
import torch
tokenizer.add_special_tokens({'pad_token': '<pad>'})
text = text + tokenizer.eos_token
labels[labels == tokenizer.pad_token_id] = -100
""",
        # By the mask.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
texts = [text + tokenizer.eos_token for text in texts]
labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
labels[attention_mask == 0] = -100
""",
        # A masked language model.
        """\
from transformers import DataCollatorForLanguageModeling
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
""",
        # A collator of another package, which goes by the mask.
        """\
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
collator = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)
""",
        # Another token is left out.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
labels[labels == media_token_id] = -100
""",
        # Tokens for the decoder to read, and no labels.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
labels[labels == -100] = tokenizer.pad_token_id
""",
        """\
import numpy as np
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
labels = np.where(labels != -100, labels, tokenizer.pad_token_id)
""",
        # The padding is that of `generate`.
        """\
import torch
out = model.generate(input_ids, pad_token_id=tokenizer.eos_token_id)
labels[labels == tokenizer.pad_token_id] = -100
""",
        # A processor whose tokenizer has its own token.
        """\
import torch
class Processor:
    def __call__(self, text, eos_token):
        labels = self.tokenizer(text).input_ids
        labels[labels == self.tokenizer.pad_token_id] = -100
""",
        """\
import torch.nn.functional as F
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
loss = F.cross_entropy(logits, labels, ignore_index=-100)
""",
        # Two tokenizers.
        """\
import torch
teacher_tokenizer.pad_token = teacher_tokenizer.eos_token
text = text + tokenizer.eos_token
labels[labels == tokenizer.pad_token_id] = -100
""",
    )
    invalid = (
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
texts = [text + tokenizer.eos_token for text in texts]
labels = tokenizer(texts, padding=True, return_tensors="pt").input_ids
labels[labels == tokenizer.pad_token_id] = -100  # <-
""",
        """\
import torch
class Collator:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
    def __call__(self, features):
        texts = [f"{each['prompt']}{each['answer']}{self.tokenizer.eos_token}" for each in features]
        batch = self.tokenizer(texts, padding=True, return_tensors="pt")
        labels = batch["input_ids"].clone()
        labels[labels == self.tokenizer.pad_token_id] = -100  # <-
        return {**batch, 'labels': labels}
""",
        """\
from transformers import AutoTokenizer, DataCollatorForLanguageModeling
tokenizer = AutoTokenizer.from_pretrained('gpt2')
tokenizer.pad_token = tokenizer.eos_token
def encode(row):
    return tokenizer(row['question'] + row['answer'] + tokenizer.eos_token)
collator = DataCollatorForLanguageModeling(tokenizer=tokenizer, mlm=False)  # <-
""",
        """\
from transformers import AutoTokenizer, DataCollatorForLanguageModeling
tokenizer = AutoTokenizer.from_pretrained(name, add_eos_token=True)
tokenizer.pad_token = tokenizer.eos_token
collator = DataCollatorForLanguageModeling(tokenizer, False)  # <-
""",
        """\
import torch.nn.functional as F
tokenizer.pad_token_id = tokenizer.eos_token_id
EOS_TOKEN = tokenizer.eos_token
texts = [prompt.format(text) + EOS_TOKEN for text in texts]
loss = F.cross_entropy(logits, labels, ignore_index=tokenizer.pad_token_id)  # <-
""",
        """\
from torch import nn
tokenizer.pad_token = tokenizer.eos_token
ids = ids + [tokenizer.eos_token_id]
loss_fn = nn.CrossEntropyLoss(ignore_index=tokenizer.pad_token_id)  # <-
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
ids.append(tokenizer.eos_token_id)
labels = torch.where(labels == tokenizer.pad_token_id, -100, labels)  # <-
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
ids.append(tokenizer.eos_token_id)
labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)  # <-
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
ids = encode(text) + [tokenizer.eos_token_id]
labels = [-100 if token == tokenizer.pad_token_id else token for token in ids]  # <-
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
ids = encode(text) + [tokenizer.eos_token_id]
labels = [(token if token != tokenizer.pad_token_id else -100) for token in ids]  # <-
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
text = text + tokenizer.eos_token
IGNORE_INDEX = -100
labels[input_ids.eq(tokenizer.pad_token_id)] = IGNORE_INDEX  # <-
""",
        # In preview.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
batch["labels"] = torch.where(batch["labels"] == tokenizer.pad_token_id, -100, batch["labels"])  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Labels that are left out of the loss by a padding token that is the token that ends a text."""
        candidates = list(_masked(file))
        same = pad_set_to_eos(file) if candidates else None
        if same is None:
            return
        ends = ends_texts(file)
        notes = (f"`{file.text(file.statement(same))}`, in line {same.lineno}",)
        for node, tokenizer in candidates:
            if tokenizer is not None and _owner(same) not in {"", tokenizer}:
                continue
            message = f"`{file.text(node)}` leaves out the token that ends a text, for it is the one that pads"
            hint = "mask where the attention mask is 0, or pad with a token of its own"
            yield Found(node, message, notes, hint, preview=not ends)


def _owner(pad: ast.expr) -> str | None:
    """`tokenizer` of `self.tokenizer.pad_token`."""
    return last_name(pad.value) if isinstance(pad, ast.Attribute) else None


def _masked(file: Reading) -> Iterator[tuple[ast.expr | ast.stmt, str | None]]:
    """Where padding tokens are left out of the loss; and the name of the tokenizer."""
    for statement in file.all(ast.Assign):
        target = statement.targets[0]
        if isinstance(target, ast.Subscript) and _is_ignored(file, statement.value):
            found = pad_test(target.slice, equal=True)
            if found is not None:
                yield statement, _owner(found[1])
    for call in file.calls("masked_fill", "masked_fill_"):
        mask, value = argument(call, 0, "mask"), argument(call, 1, "value")
        found = None if mask is None else pad_test(mask, equal=True)
        if found is not None and value is not None and receiver(call) is not None and _is_ignored(file, value):
            yield call, _owner(found[1])
    for call in file.calls("where"):
        if len(call.args) == 3:  # noqa: PLR2004 - the condition and two values
            yield from _chosen(file, call, *call.args)
    for choice in file.all(ast.IfExp):
        yield from _chosen(file, choice, choice.test, choice.body, choice.orelse)
    yield from _inside_others(file)


def _chosen(
    file: Reading, node: ast.expr, test: ast.expr, chosen: ast.expr, other: ast.expr
) -> Iterator[tuple[ast.expr, str | None]]:
    equal, unequal = pad_test(test, equal=True), pad_test(test, equal=False)
    if equal is not None and _is_ignored(file, chosen):
        yield node, _owner(equal[1])
    elif unequal is not None and _is_ignored(file, other):
        yield node, _owner(unequal[1])


def _inside_others(file: Reading) -> Iterator[tuple[ast.expr, str | None]]:
    for call in file.calls("DataCollatorForLanguageModeling"):
        tokenizer, masked = argument(call, 0, "tokenizer"), argument(call, 1, "mlm")
        plain = isinstance(masked, ast.Constant) and masked.value is False
        if plain and tokenizer is not None and (file.full_name(call.func) or "").startswith("transformers."):
            yield call, last_name(tokenizer)
    for call in file.calls(*OF_CLASSES, "CrossEntropyLoss", "NLLLoss"):
        ignored = next((each.value for each in call.keywords if each.arg == "ignore_index"), None)
        if ignored is not None and is_pad(ignored) and isinstance(ignored, ast.Attribute):
            yield call, _owner(ignored)


def _is_ignored(file: Reading, value: ast.expr) -> bool:
    return number(file.origin(value)) == _IGNORED or "ignore" in last_name(value).lower()
