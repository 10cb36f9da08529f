"""A language model's logits scored against the tokens that it has just read.

## Example

    import torch.nn.functional as F
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained("gpt2")


    def lm_loss(input_ids):
        logits = model(input_ids).logits
        return F.cross_entropy(logits.flatten(0, 1), input_ids.flatten())

The check says:

    example.py:9:12 SG501 unshifted-lm-labels: `input_ids` is what `model` reads: each position's logits are scored against the token that stands there
        fix: Cut the last logits and the first token (unsafe)

Use instead:

    def lm_loss(input_ids):
        logits = model(input_ids).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())

## Why is this bad?

At position `t` a causal model has read token `t`, and its logits are for token `t + 1`. Scored against token `t`, it
learns to repeat what it reads. The loss falls to nearly nothing, nothing fails, and what the model writes is one word
over and over. The models of transformers shift the labels inside: pass `labels` to them unshifted. Only a loss that you
compute yourself has to shift.

## What it does

Marks a cross-entropy, or a `gather` of log-probabilities, whose targets are the very tokens from which the model made
the logits, with nothing cut off either. It is a warning, where a wrong cut is an error: without a cut, the model may
have been meant to copy.

Only targets with the name of tokens (`input_ids`, `tokens`, `ids`, `idx`) count, or any where the file masks the future
(`is_causal=True`). A file that speaks of masked language models, of autoencoders, of diffusion, of encoders and
decoders, or of a token put before the others is left alone: there the same line is right.

In preview: files that don't say that the model is causal (`AutoModelForCausalLM`, a causal mask, "next token").

## Fix safety

The fix cuts the last logits and the first token. It changes the loss, and a loss that isn't reduced has one position
less, which what follows may not expect: it is unsafe.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shapeguard.lint.reading import Reading
from shapeguard.lint.rule import Found, Repair, Replacement, Rule
from shapeguard.lint.sequences import is_called_tokens, uncut
from shapeguard.lint.shifting import TokenLoss, is_causal, made_of, token_losses, uncut_losses

_CAUSAL = re.compile(
    r"CausalLM|LMHeadModel|\bn?GPT|[a-z_]gpt\b|\bgpt\b|[Cc]ausal|[Aa]uto-?[Rr]egress|[Nn]ext[-_ ]token|\btri[lu]\("
)
_READS_BOTH_WAYS = re.compile(
    r"Masked|masked_lm|\bMLM|mlm|mask_token|\[MASK\]|BERT|Bert|bert|[Aa]uto-?_?[Ee]ncod|VAE|\bvae|[Dd]iffusion|[Dd]enois"
    r"|[Rr]econstruct|[Ss]eq2[Ss]eq|EncoderDecoder|decoder_input_ids|shift_(tokens_)?right|prev_output_tokens|\bT5|\bBart"
    r"|bidirectional|right_shift|shifted_right|\bsos\b|start_token|prepend|[Ll]atent|[Bb]ottleneck|[Cc]ompress"
)

_MASKS_THE_FUTURE = re.compile(r"is_causal=True|generate_square_subsequent_mask|causal_mask")
_MOVES = re.compile(r"\b(cat|concat|roll|pad)\(")
"""What may put a first token before the others."""


class UnshiftedLmLabels(Rule):
    """Each position is scored against the token that it has read."""

    code = "SG501"
    name = "unshifted-lm-labels"
    severity = "warning"
    fixable = True
    words = (
        "ntropy & tokens",
        "ntropy & idx",
        "ntropy & ids",
        "gather( & input_ids",
        "gather( & tokens",
        "nll_loss & input_ids",
        "ntropy & is_causal=True",
        "ntropy & generate_square_subsequent_mask",
        "ntropy & causal_mask",
    )
    valid = (
        """\
import torch.nn.functional as F
def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)
def nats(net, rows):
    for piece in rows:
        scores = net(F.pad(piece[:, :-1], (1, 0)))
        yield F.cross_entropy(scores.transpose(1, 2), piece)
""",
        # Shifted once.
        """\
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    logits = model(input_ids).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), input_ids[:, 1:].flatten())
""",
        """\
from torch.nn import CrossEntropyLoss
from transformers import GPT2LMHeadModel
outputs = model(input_ids=input_ids, attention_mask=attention_mask)
shift_logits = outputs.logits[..., :-1, :].contiguous()
shift_labels = input_ids[..., 1:].contiguous()
loss = CrossEntropyLoss()(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))
""",
        # The input is cut, and with it the logits.
        """\
import torch.nn.functional as F
def loss_of(gpt, tokens):
    logits = gpt(tokens[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:])
""",
        # Targets that aren't the input: they may have been shifted where they were made.
        """\
import torch.nn.functional as F
class GPT:
    def forward(self, idx, targets=None):
        logits = self.lm_head(self.transformer(idx))
        return F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
""",
        """\
import torch
import torch.nn.functional as F
def get_batch(data, i, gpt, block_size):
    x = data[i : i + block_size]
    y = data[i + 1 : i + 1 + block_size]
    logits = gpt(x)
    return F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))
""",
        # A masked language model: what it reads isn't what it is asked for.
        """\
import torch.nn.functional as F
def step(self, batch):
    input_ids, labels = self.mask_tokens(batch)
    logits = self.bert(input_ids)
    return F.cross_entropy(logits.view(-1, self.vocab_size), labels.view(-1))
""",
        """\
import torch.nn.functional as F
from transformers import BertForMaskedLM
logits = model(input_ids).logits
loss = F.cross_entropy(logits.view(-1, vocab), input_ids.view(-1))
""",
        # Masked in place, which the text tells.
        """\
import torch.nn.functional as F
def step(model, ids, causal):
    noised = corrupt(ids)
    logits = model(noised)
    return F.cross_entropy(logits.flatten(0, 1), ids.flatten())
""",
        # Some of what is read is replaced.
        """\
import torch.nn.functional as F
def step(gpt, input_ids, chosen):
    logits = gpt(input_ids.masked_fill(chosen, 103)).logits
    return F.cross_entropy(logits.flatten(0, 1), input_ids.flatten())
""",
        """\
import torch.nn.functional as F
def step(gpt, input_ids, chosen):
    labels = input_ids.clone()
    input_ids[chosen] = 103
    logits = gpt(input_ids).logits
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())
""",
        # An encoder and a decoder, which reads tokens shifted right.
        """\
import torch.nn.functional as F
def step(model, src, tokens):
    logits = model(src, prev_output_tokens=causal(tokens))
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())
""",
        """\
import torch.nn.functional as F
def reconstruct(autoencoder, tokens, causal=True):
    logits = autoencoder(tokens)
    return F.cross_entropy(logits.transpose(1, 2), tokens)
""",
        # Tagging.
        """\
import torch.nn.functional as F
def tag(model, input_ids, tags, causal):
    logits = model(input_ids)
    return F.cross_entropy(logits.flatten(0, 1), tags.flatten())
""",
        # transformers shifts them.
        """\
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM
loss = model(input_ids, labels=input_ids).loss
""",
        """\
import torch.nn.functional as F
def logps(model, input_ids, causal):
    logits = model(input_ids).logits[:, :-1, :]
    return F.log_softmax(logits, -1).gather(2, input_ids[:, 1:].unsqueeze(2)).squeeze(2)
""",
        # A token is put before what is read.
        """\
import torch, torch.nn.functional as F
def step(gpt, tokens, bos):
    logits = gpt(torch.cat([bos, tokens[:, :-1]], dim=1))
    return F.cross_entropy(logits.transpose(1, 2), tokens)
""",
        """\
import torch.nn.functional as F
def step(gpt, tokens):
    tokens = tokens.to(gpt.device)
    inputs = prepend_start(tokens)
    return F.cross_entropy(gpt(inputs).flatten(0, 1), tokens.flatten())
""",
    )
    invalid = (
        """\
import torch.nn.functional as F
def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)
def nats(net, rows):
    for piece in rows:
        scores = net(piece)
        yield F.cross_entropy(scores.transpose(1, 2), piece)  # <-
""",
        (
            """\
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    logits = model(input_ids).logits
    return F.cross_entropy(logits.view(-1, logits.size(-1)), input_ids.view(-1))  # <-
""",
            """\
import torch.nn.functional as F
from transformers import AutoModelForCausalLM
def step(model, input_ids):
    logits = model(input_ids).logits
    return F.cross_entropy(logits[:, :-1].contiguous().view(-1, logits.size(-1)), input_ids[:, 1:].contiguous().view(-1))  # <-
""",
        ),
        (
            """\
import torch.nn.functional as F
class CausalTrainer:
    def evaluate(self, loader):
        total = 0.0
        for batch in loader:
            input_ids = batch["input_ids"].to(self.device)
            logits = self.model(input_ids)
            total += F.cross_entropy(logits.transpose(1, 2), input_ids).item()  # <-
        return total
""",
            """\
import torch.nn.functional as F
class CausalTrainer:
    def evaluate(self, loader):
        total = 0.0
        for batch in loader:
            input_ids = batch["input_ids"].to(self.device)
            logits = self.model(input_ids)
            total += F.cross_entropy(logits[:, :-1].contiguous().transpose(1, 2), input_ids[:, 1:].contiguous()).item()  # <-
        return total
""",
        ),
        """\
from torch import nn
from transformers import GPT2LMHeadModel
model = GPT2LMHeadModel.from_pretrained('gpt2').to(device)
loss_fn = nn.CrossEntropyLoss()
outputs = model(input_ids, labels=input_ids)
loss = loss_fn(outputs.logits.view(-1, vocab_size), input_ids.view(-1))  # <-
""",
        """\
from torch import nn
from transformers import AutoModelForCausalLM
def train(model, loader):
    criterion = nn.CrossEntropyLoss()
    for input_ids, attention_mask in loader:
        outputs = model(input_ids, attention_mask)
        loss = criterion(outputs.view(-1, outputs.size(-1)), input_ids.view(-1))  # <-
""",
        """\
from torch import nn
from transformers import AutoModelForCausalLM
class Trainer:
    def __init__(self):
        self.criterion = nn.CrossEntropyLoss(ignore_index=0)
    def step(self, batch):
        outputs = self.model(**batch)
        logits = outputs['logits']
        return self.criterion(logits.reshape(-1, logits.shape[-1]), batch['input_ids'].reshape(-1))  # <-
""",
        """\
import torch.nn.functional as F
class GPT:
    def forward(self, idx):
        x = self.tok_emb(idx)
        x = self.blocks(x)
        logits = self.lm_head(x)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), idx.view(-1))  # <-
""",
        """\
import torch.nn.functional as F
def perplexity(model, tokens):
    # the model is causal
    logprobs = F.log_softmax(model(tokens).logits, dim=-1)
    return logprobs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1).sum(-1)  # <-
""",
        """\
import torch.nn.functional as F
def loss_of(decoder, tokens):
    labels = tokens.clone()
    labels[labels == 0] = -100
    logits = decoder(tokens, causal_mask=mask)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())  # <-
""",
        """\
import torch
import torch.nn.functional as F
def kl_anchor(policy, input_ids, attention_mask):
    # next-token loss
    out = policy(input_ids=input_ids, attention_mask=attention_mask)
    flat = out.logits.float().view(-1, out.logits.size(-1))
    return F.cross_entropy(flat, input_ids.view(-1), ignore_index=0)  # <-
""",
        """\
import torch.nn.functional as F
def step(model, input_ids):
    logits = model(input_ids)[0]
    return F.cross_entropy(logits.flatten(0, 1), input_ids.flatten())  # <-
""",
        """\
import torch.nn.functional as F
class CausalTask:
    def step(self, batch):
        logits = self.llama(batch['tokens'])
        return F.cross_entropy(logits.transpose(1, 2), batch['tokens'])  # <-
""",
        """\
import torch.nn.functional as F
def step(gpt, enc):
    logits = gpt(**enc).logits
    return F.cross_entropy(logits.permute(0, 2, 1), enc.input_ids)  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses of logits against what their model has read."""
        text = file.source.text
        reads_both_ways = bool(_READS_BOTH_WAYS.search(text))
        if reads_both_ways and "ForCausalLM" not in text and "LMHeadModel" not in text:
            return
        for loss in token_losses(file):
            if loss.model is None or loss.ahead or loss.missing or loss.logits.cuts or loss.targets.cuts:
                continue
            known = is_causal(made_of(file, loss.model))
            if is_called_tokens(loss.targets.root) and (known or not reads_both_ways):
                yield _found(file, loss, preview=not known and not _CAUSAL.search(text))
        if not reads_both_ways and _MASKS_THE_FUTURE.search(text) and not _MOVES.search(text):
            for loss in uncut_losses(file):
                if not is_called_tokens(loss.targets.root) and not loss.gathers:
                    yield _found(file, loss, preview=False)


def _found(file: Reading, loss: TokenLoss, *, preview: bool) -> Found:
    assert loss.model is not None
    targets, model = file.text(loss.targets.root), file.text(loss.model.func)
    message = (
        f"`{targets}` is what `{model}` reads: each position's logits are scored against the token that stands there"
    )
    hint = "a causal model's logits are for the next token: cut the last logits and the first token"
    logits, tokens = (uncut(file, each) for each in loss.written)
    if logits is None or tokens is None or loss.gathers:
        return Found(loss.call, message, hint=hint, preview=preview)
    changes = (
        Replacement(logits, "{}[:, :-1].contiguous()", (logits,)),
        Replacement(tokens, "{}[:, 1:].contiguous()", (tokens,)),
    )
    return Found(loss.call, message, repair=Repair("Cut the last logits and the first token", changes), preview=preview)
