"""The last token of a padded batch, taken though the padding's side isn't known.

## Example

    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("Qwen/Qwen2.5-0.5B")
    model = AutoModel.from_pretrained("Qwen/Qwen2.5-0.5B")


    def embed(texts):
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        hidden = model(**inputs).last_hidden_state
        return hidden[:, -1]

The check says:

    example.py:11:12 SG504 last-token-pooling: `hidden[:, -1]` may be the state of a pad: `tokenizer` pads on the side that its configuration says
        hint: pad on the left (`padding_side="left"`), or take the last position at which the mask is 1

Use instead:

    def embed(texts):
        inputs = tokenizer(texts, padding=True, return_tensors="pt")
        hidden = model(**inputs).last_hidden_state
        positions = torch.arange(hidden.size(1))
        last = (inputs["attention_mask"] * positions).argmax(dim=1)  # where the mask is 1, on either side
        return hidden[torch.arange(len(hidden)), last]

## Why is this bad?

A tokenizer pads by its configuration, most of them on the right. With padding on the right, the last position of every text but
the longest is a pad: `hidden[:, -1]` is the state of a pad, and an embedding depends on what else is in the batch. With
padding on the left, `attention_mask.sum(1) - 1` counts from the wrong end. Neither fails, and with one text at a time
both are right.

## What it does

Marks two ways to take the last token's hidden state of each text in a padded batch:

- `hidden[:, -1]`, where a tokenizer pads the batch in the same function (`padding=True`) and nothing in the file
  settles the side, or the file sets `padding_side` to "right";
- `hidden[rows, attention_mask.sum(1) - 1]`, where the file sets `padding_side` to "left".

Hidden states are `.last_hidden_state`, an item of `.hidden_states`, and names with "hidden" in them. Any other mention
of `padding_side`, or a word that the padding is on the left, settles it: `padding_side="left"` in `from_pretrained`
would do in the example. Functions that generate are left alone: there the last position is where the next token goes.
In preview: `hidden[:, -1]` where only an `attention_mask` is in reach.

## Fix safety

There is no fix: on which side the padding belongs is a choice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.identity import name_of
from shapeguard.lint.padding import asks_side, is_generating, is_index, less_one, sides, summed_row
from shapeguard.lint.pooling import padded_by
from shapeguard.lint.reading import Reading, last_name, number
from shapeguard.lint.rule import Found, Rule
from shapeguard.lint.shifting import maker

_HIDDEN = re.compile(r"hidden")
_SETTLED = re.compile(
    r"padding_side|pad_side|left[-_ ]?pad|right[-_ ]?pad|pad(s|ded|ding)?[-_ ]?(is |on |to |at )*(the )?(left|right)\b"
    r"|sticky|\.flip\(",
    re.IGNORECASE,
)
_TRAINS = re.compile(r"^(training|train|validation|val|eval|test)_step$")
_LAST = -1


class LastTokenPooling(Rule):
    """Whether the last position is a token or a pad isn't settled."""

    code = "SG504"
    name = "last-token-pooling"
    severity = "warning"
    words = (
        "hidden & [:, -1",
        "hidden & [:,-1",
        "attention_mask.sum(",
        'attention_mask"].sum(',
        "attention_mask'].sum(",
        "sum(attention_mask",
    )
    valid = (
        # The side is settled.
        """\
import torch
from transformers import AutoModel, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
def embed(texts):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, -1]
""",
        """\
import torch
def last_token_pool(last_hidden_states, attention_mask):
    left_padding = attention_mask[:, -1].sum() == attention_mask.shape[0]
    if left_padding:
        return last_hidden_states[:, -1]
    lengths = attention_mask.sum(dim=1) - 1
    return last_hidden_states[torch.arange(len(lengths)), lengths]
""",
        """\
def pool(last_hidden_state, attention_mask):
    # Assuming "sticky" EOS tokenization, the last token is always EOS.
    return last_hidden_state[:, -1, :]
""",
        """\
import torch
tokenizer.padding_side = 'right'
def pool(hidden, attention_mask):
    return hidden[torch.arange(len(hidden)), attention_mask.sum(1) - 1]
""",
        # One text, and no padding.
        """\
import torch
def embed(tokenizer, model, text):
    inputs = tokenizer(text, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, -1]
""",
        """\
import torch
def embed(tokenizer, model, text):
    inputs = tokenizer([text], padding=True, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, -1]
""",
        """\
import torch
tokenizer.padding_side = "right"
def pool(tokenizer, model, texts):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    hidden = model(**inputs).last_hidden_state
    if tokenizer.padding_side == "left":
        return hidden[:, -1]
    return hidden[torch.arange(len(hidden)), inputs.attention_mask.sum(1) - 1]
""",
        # A step of a generation.
        """\
import torch
def think(tokenizer, model, texts):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    outputs = model(**inputs, use_cache=True)
    past = outputs.past_key_values
    return outputs.hidden_states[-1][:, -1], past
""",
        # The first token.
        """\
import torch
def embed(tokenizer, model, texts):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, 0]
""",
        # The next token's logits.
        """\
import torch
def generate(model, input_ids, attention_mask):
    outputs = model(input_ids=input_ids, attention_mask=attention_mask)
    return lm_head(outputs.last_hidden_state[:, -1]).argmax(-1)
""",
        """\
import torch
def step(model, inputs, attention_mask):
    logits = model(**inputs).logits[:, -1, :]
    return logits
""",
        # Positions, masks, and tokens.
        """\
import torch
def lengths(hidden_states, attention_mask, position_ids):
    return position_ids[:, -1] + 1, attention_mask[:, -1], hidden_states.shape[-1]
""",
        # An RNN over frames, without a mask.
        """\
import torch
def pool(self, frames):
    hidden, _ = self.lstm(frames)
    return hidden[:, -1]
""",
        # The last position at which the mask is 1.
        """\
import torch
def pool(hidden, attention_mask):
    positions = torch.arange(attention_mask.shape[-1])
    last = (attention_mask.ne(0) * positions).argmax(dim=-1)
    return hidden[torch.arange(hidden.shape[0]), last]
""",
        # The mask's sum counts, and doesn't index.
        """\
import torch
def mean_length(hidden, attention_mask):
    return (attention_mask.sum(1) - 1).float().mean()
""",
        # Nothing says that the padding is on the left.
        """\
import torch
def _pool_last_token(hidden, attention_mask):
    if attention_mask is None:
        return hidden[:, -1, :]
    index = attention_mask.sum(dim=1) - 1
    return hidden[torch.arange(hidden.shape[0], device=hidden.device), index]
""",
        # No padding in the batch: the length is that of the convolution.
        """\
import torch
def conv_lengths(hidden, input_features_mask):
    return (input_features_mask.sum(-1) - 1) // 2 + 1
""",
    )
    invalid = (
        """\
import torch
def embed(tokenizer, model, texts):
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    return model(**inputs).last_hidden_state[:, -1]  # <-
""",
        """\
import torch
class Encoder:
    def _encode_batch(self, texts):
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=512, return_tensors="pt"
        ).to(self.device)
        with torch.no_grad():
            outputs = self.backbone(**inputs)
            hidden = outputs.last_hidden_state[:, -1, :]  # <-
        return hidden.float()
""",
        """\
import torch
def embed(tokenizer, model, sentence):
    inputs = tokenizer(sentence, padding="max_length", max_length=512, return_tensors="pt")
    outputs = model(**inputs)
    return outputs.last_hidden_state[:, -1, :]  # <-
""",
        """\
import torch
import torch.nn.functional as F
def losses(model, tokenizer, loader, device):
    for first, second in loader:
        inputs = tokenizer(list(first), padding=True, truncation=True, return_tensors="pt")
        inputs = {k: v.to(device) for k, v in inputs.items()}
        out = model(**inputs)
        yield F.normalize(out.last_hidden_state[:, -1, :], dim=-1)  # <-
""",
        """\
import torch
def features(tokenizer, model, texts):
    batch = tokenizer(texts, padding="longest", return_tensors="pt")
    out = model(batch["input_ids"], attention_mask=batch["attention_mask"], output_hidden_states=True)
    return out.hidden_states[-1][:, -1]  # <-
""",
        """\
import torch
def embed(tokenizer, model, texts):
    enc = tokenizer(texts, padding=True, return_tensors='pt')
    hidden = model(enc.input_ids, enc.attention_mask)[0]
    return hidden[:, -1]  # <-
""",
        """\
import torch
def embed(tokenizer, model, texts):
    tokenizer.padding_side = "right"
    enc = tokenizer(texts, padding=True, return_tensors='pt')
    return model(**enc).last_hidden_state[:, -1]  # <-
""",
        """\
import torch
tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left")
def last_state(hidden, attention_mask):
    last = attention_mask.sum(dim=1) - 1  # <-
    return hidden[torch.arange(hidden.size(0), device=hidden.device), last]
""",
        """\
import torch
tokenizer.padding_side = "left"
def last_state(hidden, batch):
    last = (batch["attention_mask"].sum(-1).long() - 1).view(-1, 1, 1).expand(-1, 1, hidden.size(-1))  # <-
    return hidden.gather(1, last).squeeze(1)
""",
        """\
import torch
tokenizer.padding_side = "left"
def last_state(hidden, attention_mask):
    return hidden[torch.arange(len(hidden)), torch.sum(attention_mask, dim=1) - 1]  # <-
""",
        # In preview.
        """\
import torch
def pool(self, input_ids, attention_mask):
    outputs = self.encoder(input_ids, attention_mask=attention_mask)
    return self.head(outputs.last_hidden_state[:, -1, :])  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Last positions, and positions counted by a mask, on a side that isn't settled."""
        settled = bool(_SETTLED.search(file.source.text))
        told = sides(file) if settled else frozenset()
        if settled and (told not in ({"left"}, {"right"}) or asks_side(file)):
            return
        side = next(iter(told), None)
        if side != "left":
            for node in file.all(ast.Subscript):
                yield from _last_position(file, node, settled=settled)
        if side == "left":
            for operation in file.all(ast.BinOp):
                yield from _counted(file, operation)


def _last_position(file: Reading, node: ast.Subscript, *, settled: bool) -> Iterator[Found]:
    if not _is_last(node) or not isinstance(node.ctx, ast.Load) or _generates(file, node):
        return
    if not _is_hidden(file, node.value):
        return
    call = maker(file, _states(node.value)) or maker(file, _states(file.origin(node.value)))
    tokenizer = None if call is None or _goes_on(call) else padded_by(file, call)
    if tokenizer is not None:
        padded = file.text(tokenizer.func)
        end = "pads on the right" if settled else "pads on the side that its configuration says"
        message = f"`{file.text(node)}` may be the state of a pad: `{padded}` {end}"
        yield Found(node, message, hint=_HINT)
    elif call is not None and not settled and _is_masked(file, call):
        message = f"`{file.text(node)}` is the state of a pad where texts are padded on the right"
        yield Found(node, message, hint=_HINT, preview=True)


_HINT = 'pad on the left (`padding_side="left"`), or take the last position at which the mask is 1'


def _counted(file: Reading, node: ast.BinOp) -> Iterator[Found]:
    counted = less_one(node)
    mask = None if counted is None else summed_row(file, counted)
    if mask is None or name_of(mask) != "attention_mask" or _generates(file, node) or not is_index(file, node):
        return
    function = file.function(node)
    if function is not None and any(_is_last(each) and _is_mask(each.value) for each in _subscripts(function)):
        return
    message = (
        f"`{file.text(node)}` is the last token only where the padding is on the right, and this file pads on the left"
    )
    yield Found(node, message, hint="take the last position at which the mask is 1")


def _subscripts(function: ast.AST) -> Iterator[ast.Subscript]:
    return (each for each in ast.walk(function) if isinstance(each, ast.Subscript))


def _is_mask(node: ast.expr) -> bool:
    return name_of(node) == "attention_mask"


def _is_last(node: ast.Subscript) -> bool:
    """Whether it is `[:, -1]` or `[:, -1, :]`."""
    match node.slice:
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), at]):
            return number(at) == _LAST
        case ast.Tuple(elts=[ast.Slice(lower=None, upper=None, step=None), at, ast.Slice(lower=None, upper=None)]):
            return number(at) == _LAST
    return False


def _states(node: ast.expr) -> ast.expr:
    """`out` of `out.hidden_states[-1]`."""
    match node:
        case ast.Subscript(value=ast.Attribute(value=owner, attr="hidden_states")):
            return owner
    return node


def _is_hidden(file: Reading, node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="last_hidden_state"):
            return True
        case ast.Subscript(value=ast.Attribute(attr="hidden_states")):
            return True
        case ast.Name(id=name):
            origin = file.origin(node)
            return bool(_HIDDEN.search(name)) or (origin is not node and _is_hidden(file, origin))
    return False


def _generates(file: Reading, node: ast.AST) -> bool:
    functions = [each.name for each in file.around(node) if isinstance(each, ast.FunctionDef)]
    inner = file.scope(node)
    if isinstance(inner, ast.FunctionDef) and "past_key_values" in file.source.segment(inner):
        return True
    return any(is_generating(each) and not _TRAINS.match(each) for each in functions)


def _goes_on(call: ast.Call) -> bool:
    """Whether a model is given what it has read before."""
    return any(last_name(each.value) == "past_key_values" for each in call.keywords)


def _is_masked(file: Reading, call: ast.Call) -> bool:
    """Whether a model is given an attention mask that is a parameter of the function."""
    given = [each.value for each in call.keywords if each.arg == "attention_mask"] + call.args[1:2]
    for each in given:
        if isinstance(each, ast.Name) and each.id == "attention_mask":
            binding = file.definition(each)
            if binding is not None and isinstance(binding.target, ast.arg):
                return True
    return False
