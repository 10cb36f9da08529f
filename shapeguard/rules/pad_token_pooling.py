"""The last token is looked for by `pad_token`, which is also `eos_token`.

## Example

    import torch


    def last_rewards(tokenizer, model, texts):
        tokenizer.pad_token = tokenizer.eos_token
        texts = [text + tokenizer.eos_token for text in texts]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        rewards = model(**batch).logits[..., 0]
        last = (batch.input_ids == tokenizer.pad_token_id).int().argmax(-1) - 1
        return rewards[torch.arange(len(texts)), last]

The check says:

    example.py:9:12 SG505 pad-token-pooling: `tokenizer.pad_token_id` is also the token that ends a text: `(batch.input_ids == tokenizer.pad_token_id).int().argmax(-1) - 1` may stop before the last token
        `tokenizer.pad_token = tokenizer.eos_token`, in line 5
        hint: take the last position at which the mask is 1

Use instead:

    def last_rewards(tokenizer, model, texts):
        tokenizer.pad_token = tokenizer.eos_token
        texts = [text + tokenizer.eos_token for text in texts]
        batch = tokenizer(texts, padding=True, return_tensors="pt")
        rewards = model(**batch).logits[..., 0]
        positions = torch.arange(batch.input_ids.size(1))
        last = (batch.attention_mask * positions).argmax(-1)
        return rewards[torch.arange(len(texts)), last]

## Why is this bad?

The first pad id found is then the text's own eos, and the score is read off the token before it. In a conversation of
several turns it is the eos of the first turn. Nothing fails: the score is only that of another token.

## What it does

Marks the position, in a file with `tokenizer.pad_token = tokenizer.eos_token` or its like, where it is counted by the
padding token:

- `(input_ids == pad_token_id).int().argmax(-1) - 1`, the position before the first one;
- `input_ids.ne(pad_token_id).sum(-1) - 1`, the number of the others, used as an index.

In preview: the same in a file that doesn't put that token behind its texts (`text + tokenizer.eos_token`), and an
attention mask made as `input_ids != pad_token_id`, which also masks real eos tokens. The position of the first padding
itself, without `- 1`, is a `pooled-padding`.

## Fix safety

There is no fix: the mask of the tokenizer has to be brought to where it is needed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from shapeguard.lint.padding import along_row, ends_texts, is_index, less_one, pad_set_to_eos, pad_test, summed_row
from shapeguard.lint.reading import Reading, last_name
from shapeguard.lint.rule import Found, Rule


class PadTokenPooling(Rule):
    """The end of a text is taken for padding."""

    code = "SG505"
    name = "pad-token-pooling"
    severity = "warning"
    words = (
        "pad_token_id) & argmax(",
        "pad_token_id) & sum(",
        "pad_token_id, & sum(",
        "pad_id) & argmax(",
        "pad_id) & sum(",
        "pad_token_id) & first_true",
        "pad_token_id) & attention_mask",
    )
    valid = (
        # Nothing says that they are the same.
        """\
import torch
def pool(logits, input_ids, pad_token_id):
    last = (input_ids == pad_token_id).int().argmax(-1) - 1
    return logits[torch.arange(len(logits)), last]
""",
        """\
import torch
tokenizer.add_special_tokens({'pad_token': '<pad>'})
eos = tokenizer.eos_token_id
def pool(logits, input_ids):
    last = torch.eq(input_ids, tokenizer.pad_token_id).int().argmax(-1) - 1
    return logits[torch.arange(len(logits)), last]
""",
        # By the mask.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def pool(logits, attention_mask):
    last = attention_mask.sum(-1) - 1
    return logits[torch.arange(len(logits)), last]
""",
        # The rightmost token that isn't padding, as in transformers.
        """\
import torch
config.pad_token_id = config.eos_token_id
def pool(logits, input_ids):
    non_pad_mask = (input_ids != config.pad_token_id).to(logits.device, torch.int32)
    token_indices = torch.arange(input_ids.shape[-1], device=logits.device, dtype=torch.int32)
    last_non_pad_token = (token_indices * non_pad_mask).argmax(-1)
    return logits[torch.arange(len(logits), device=logits.device), last_non_pad_token]
""",
        # For `generate` alone.
        """\
import torch
def answer(model, tokenizer, input_ids):
    out = model.generate(input_ids, pad_token_id=tokenizer.eos_token_id)
    return (out == tokenizer.pad_token_id).int().argmax(-1) - 1
""",
        # A number that is told, not a position.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def count(input_ids):
    return (input_ids.ne(tokenizer.pad_token_id).sum(-1) - 1).float().mean()
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def lengths(texts):
    return [tokenizer(text).input_ids.ne(tokenizer.pad_token_id).sum().item() for text in texts]
""",
        # The first token that isn't padding.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def start(input_ids):
    return (input_ids != tokenizer.pad_token_id).int().argmax(dim=1)
""",
        # The first end, by its own name.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def response_length(input_ids):
    return (input_ids == tokenizer.eos_token_id).int().argmax(-1) - 1
""",
        # Another token pads.
        """\
import torch
tokenizer.pad_token = tokenizer.unk_token
tokenizer.bos_token = tokenizer.eos_token
def pool(h, ids):
    return h[torch.arange(len(h)), ids.ne(tokenizer.pad_token_id).sum(1) - 1]
""",
        # A mask over one text's own padding, of a model with its own token.
        """\
import torch
def encode(self, src_tokens, eos_token):
    padding_mask = src_tokens.eq(self.padding_idx)
    return self.encoder(src_tokens, padding_mask)
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def tokens(input_ids):
    return (input_ids != tokenizer.pad_token_id).sum()
""",
    )
    invalid = (
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
texts = [text + tokenizer.eos_token for text in texts]
def pool(values, input_ids):
    last = (input_ids == tokenizer.pad_token_id).int().argmax(-1) - 1  # <-
    return values[torch.arange(len(values)), last]
""",
        """\
import torch
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token
def encode(prompt, answer):
    return tokenizer(f'{prompt}{answer}{tokenizer.eos_token}')
def pool(values, input_ids):
    ends = torch.eq(input_ids, tokenizer.pad_token_id).int().argmax(-1) - 1  # <-
    return values[torch.arange(len(values)), ends % input_ids.shape[-1]]
""",
        """\
import torch
tokenizer = AutoTokenizer.from_pretrained(name, add_eos_token=True)
tokenizer.pad_token_id = tokenizer.eos_token_id
def pool(hidden, ids):
    last = ids.ne(tokenizer.pad_token_id).sum(dim=1) - 1  # <-
    return hidden[torch.arange(hidden.size(0)), last]
""",
        """\
import torch
class RewardModel:
    def __init__(self, config):
        self.pad_id = config.pad_token_id or config.eos_token_id
    def forward(self, input_ids):
        rewards = self.v_head(self.transformer(input_ids)[0]).squeeze(-1)
        last = torch.argmax((input_ids == self.pad_id).long(), dim=1) - 1  # <-
        return rewards.gather(1, last.unsqueeze(1))
""",
        """\
import torch
model.config.pad_token_id = model.config.eos_token_id
def pool(logits, input_ids):
    last = (input_ids != model.config.pad_token_id).sum(-1).long() - 1  # <-
    return logits[torch.arange(len(logits)), last]
""",
        """\
import torch
tokenizer = AutoTokenizer.from_pretrained(name, pad_token=base.eos_token)
def pool(h, ids):
    return h[torch.arange(len(h)), torch.sum(ids != tokenizer.pad_token_id, dim=-1) - 1]  # <-
""",
        """\
import torch
tokenizer.add_special_tokens({'pad_token': tokenizer.eos_token})
def pool(h, ids):
    return h[torch.arange(len(h)), ids.eq(tokenizer.pad_token_id).byte().argmax(1) - 1]  # <-
""",
        """\
import torch
PAD_ID = EOS_ID = 50256
config.pad_token_id = EOS_ID
def reward(scores, query_responses, pad_token_id):
    ends = first_true_indices(query_responses == pad_token_id) - 1  # <-
    return scores[torch.arange(len(scores)), ends]
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def pool(h, ids, pad_id=tokenizer.pad_token_id):
    last = (ids == pad_id).float().argmax(dim=-1) - 1  # <-
    return torch.gather(h, 1, last[:, None, None].expand(-1, -1, h.size(-1)))
""",
        """\
import torch
pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
last = input_ids.ne(pad_token_id).sum(1) - 1  # <-
pooled = hidden[torch.arange(len(hidden)), last]
""",
        # In preview.
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def step(model, text):
    input_ids = tokenizer.encode(text + tokenizer.eos_token)
    attention_mask = (input_ids != tokenizer.pad_token_id).long()  # <-
    return model(input_ids, attention_mask=attention_mask)
""",
        """\
import torch
tokenizer.pad_token = tokenizer.eos_token
def step(model, ids):
    ids = torch.tensor(ids + [tokenizer.eos_token_id])
    return model(ids, attention_mask=ids.ne(tokenizer.pad_token_id))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Positions and masks by a padding token that is the token that ends a text."""
        candidates = [*_counted(file), *_masks(file)]
        same = pad_set_to_eos(file) if candidates else None
        if same is None:
            return
        ends = ends_texts(file)
        notes = (f"`{file.text(file.statement(same))}`, in line {same.lineno}",)
        for node, pad in candidates:
            if isinstance(node, ast.BinOp):
                message = f"`{file.text(pad)}` is also the token that ends a text: `{file.text(node)}` may stop before the last token"
                yield Found(node, message, notes, "take the last position at which the mask is 1", preview=not ends)
            elif ends:
                message = f"`{file.text(pad)}` is also the token that ends a text: the mask hides where texts end"
                yield Found(node, message, notes, "take the mask that the tokenizer gives", preview=True)


def _counted(file: Reading) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The positions before the first padding token, or of the last of so many others; and that token."""
    for operation in file.all(ast.BinOp):
        inner = less_one(operation)
        if inner is None:
            continue
        first = _first_true(file, inner)
        counted = summed_row(file, inner)
        found = None
        if first is not None:
            found = pad_test(first, equal=True)
        elif counted is not None:
            found = pad_test(counted, equal=False)
        if found is not None and is_index(file, operation):
            yield operation, found[1]


def _first_true(file: Reading, node: ast.expr) -> ast.expr | None:
    """`mask` of `mask.int().argmax(-1)`."""
    match node:
        case ast.Call(func=ast.Name(id="first_true_indices"), args=[mask]):
            return mask
    return along_row(file, node, "argmax")


def _masks(file: Reading) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The attention masks that are made by comparing with a padding token; and that token."""
    given = [each.value for each in file.all(ast.keyword) if each.arg == "attention_mask"]
    given += [each.value for each in file.all(ast.Assign) if last_name(each.targets[0]) == "attention_mask"]
    for value in given:
        found = pad_test(value, equal=False)
        if found is not None:
            yield value, found[1]
