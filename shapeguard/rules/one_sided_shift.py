"""Logits and targets cut on the same side, the wrong way round, or only one of them.

## Example

    import torch.nn.functional as F


    def lm_loss(model, input_ids, vocab):
        logits = model(input_ids).logits
        shift_logits = logits[:, :-1].reshape(-1, vocab)
        shift_labels = input_ids[:, :-1].reshape(-1)
        return F.cross_entropy(shift_logits, shift_labels)

The check says:

    example.py:8:12 SG503 one-sided-shift: `input_ids[:, :-1]` is cut on the same side as the logits: each position's logits are scored against the token it has just read
        fix: Cut the last logits and the first target (unsafe)

Use instead:

    def lm_loss(model, input_ids, vocab):
        logits = model(input_ids).logits
        shift_logits = logits[:, :-1].reshape(-1, vocab)
        shift_labels = input_ids[:, 1:].reshape(-1)
        return F.cross_entropy(shift_logits, shift_labels)

## Why is this bad?

At position `t` a causal model has read token `t`, and its logits are for token `t + 1`. So `logits[:, :-1]` go with
`labels[:, 1:]`. Cut on the same side, or the wrong way round, they run as well, and the model learns to repeat what it
has just read or what came before it. A single cut raises in a cross-entropy; a `gather` takes shorter targets in
silence. A model of transformers that is given `labels` shifts them itself: they go in whole.

## What it does

Marks a cross-entropy, or a `gather` of log-probabilities, over logits and targets of a language model that are

- cut the wrong way round: `logits[:, 1:]` against `labels[:, :-1]`, each position against the token before it;
- cut on the same side: `logits[:, :-1]` against `input_ids[:, :-1]`, each position against the token it has just read;
- cut once: `logits[:, :-1]` against `input_ids`, leaving one label too many.

The loss is marked, not a cut: either cut may be the wrong one. What the targets are is known where the model reads
them, or by names (`labels`, `tokens`, `shift_labels`). In preview: a same side, or a single cut, that may be right
because the targets were shifted where they were made, or the model puts a token before them. Models that read from
right to left, and functions that say "reverse" or "rtl", are left alone.

## Fix safety

The fix rewrites the cuts, and with them the loss: it is unsafe. Where one of the two isn't cut there is no fix.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shapeguard.lint.identity import is_same, name_of
from shapeguard.lint.reading import Reading
from shapeguard.lint.rule import Found, Repair, Replacement, Rule
from shapeguard.lint.sequences import sequence
from shapeguard.lint.shifting import TokenLoss, is_causal, made_of, token_losses

_TOKENS = re.compile(r"(^|_)(labels?|targets?|input_?ids|token_?ids|ids|tokens?|toks|idx)$")
_SHIFTED = re.compile(r"shift")
_FROM_THE_RIGHT = re.compile(r"\brtl\b|right[-_ ]to[-_ ]left|backward_|_backward\b|[Rr]evers|\bbwd|prev_token")


class OneSidedShift(Rule):
    """Logits don't meet the next token."""

    code = "SG503"
    name = "one-sided-shift"
    fixable = True
    words = (
        ":-1 & ntropy",
        ": -1 & ntropy",
        ":-1 & gather(",
        ":-1 & selective_log",
        ":-1 & nll_loss",
        ", 1: & ntropy",
        ",1: & ntropy",
        ", 1: & gather(",
    )
    valid = (
        """\
import torch.nn.functional as F
given, wanted = codes[:, :-1], codes[:, 1:]
loss = F.cross_entropy(net(given).transpose(1, 2), wanted)
""",
        """\
import torch.nn.functional as F
shift_logits = logits[..., :-1, :].contiguous()
shift_labels = labels[..., 1:].contiguous()
loss = F.cross_entropy(shift_logits.view(-1, vocab), shift_labels.view(-1))
""",
        """\
import torch.nn.functional as F
def step(model, tokens):
    logits = model(tokens)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:])
""",
        """\
import torch.nn.functional as F
def step(model, tokens):
    logits = model(tokens[:, :-1])
    return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:])
""",
        # The class token, or a prompt, is left out of both.
        """\
import torch.nn.functional as F
def tag(logits, labels):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), labels[:, 1:].flatten())
""",
        """\
import torch.nn.functional as F
def step(logits, targets):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, :-1].flatten())
""",
        # Targets that came shifted and one shorter.
        """\
import torch.nn.functional as F
def step(model, image, labels):
    logits = model(image, labels)
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels.flatten())
""",
        """\
import torch.nn.functional as F
def decode(decoder, tokens, states):
    inputs, labels = tokens[:, :-1], tokens[:, 1:]
    logits = decoder(inputs, encoder_hidden_states=states)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten())
""",
        # More logits than indices: `gather` leaves out the last.
        """\
import torch.nn.functional as F
def logps(model, input_ids):
    logps = F.log_softmax(model(input_ids).logits, dim=-1)
    return logps.gather(-1, input_ids[:, 1:].unsqueeze(-1))
""",
        # The last axis is that of the classes.
        """\
import torch.nn.functional as F
def drop_background(scores, labels):
    return F.cross_entropy(scores[..., 1:], labels[..., :-1])
""",
        # From right to left.
        """\
import torch.nn.functional as F
def reverse_loss(logits, tokens):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), tokens[:, :-1].flatten())
""",
        # The targets are the states before, and no tokens.
        """\
import torch.nn.functional as F
def inverse_dynamics(logits, actions):
    return F.cross_entropy(logits[:, 1:].flatten(0, 1), actions[:, :-1].flatten())
""",
        # Two ways to the same name.
        """\
import torch.nn.functional as F
def loss_fn(logits, labels, labels_shifted):
    if labels_shifted:
        shift_logits, shift_labels = logits[..., :-1, :], labels[..., :-1]
    else:
        shift_logits, shift_labels = logits[..., :-1, :], labels[..., 1:]
    return F.cross_entropy(shift_logits.flatten(0, 1), shift_labels.flatten())
""",
        # What is cut here is no position.
        """\
import torch.nn.functional as F
shift_labels = labels[..., 1:]
loss = F.cross_entropy(logits[:, image_length:-1].flatten(0, 1), shift_labels.flatten())
""",
        """\
import torch
def scores(log_probs, hypotheses):
    return log_probs[:, :-1].gather(2, hypotheses[:, 1:].unsqueeze(2)).squeeze(2)
""",
    )
    invalid = (
        """\
import torch.nn.functional as F
given, wanted = codes[:, :-1], codes[:, :-1]
loss = F.cross_entropy(net(given).transpose(1, 2), wanted)  # <-
""",
        (
            """\
import torch.nn.functional as F
shift_logits = logits[..., :-1, :].contiguous()
shift_labels = labels[..., :-1].contiguous()
loss = F.cross_entropy(shift_logits.view(-1, vocab), shift_labels.view(-1))  # <-
""",
            """\
import torch.nn.functional as F
shift_logits = logits[..., :-1, :].contiguous()
shift_labels = labels[..., 1:].contiguous()
loss = F.cross_entropy(shift_logits.view(-1, vocab), shift_labels.view(-1))  # <-
""",
        ),
        (
            """\
import torch.nn.functional as F
def step(model, x, y):
    labels = y
    shift_logits = model(x)[..., 1:, :].contiguous()
    shift_labels = labels[..., :-1].contiguous()
    return F.cross_entropy(shift_logits.view(-1, vocab), shift_labels.view(-1))  # <-
""",
            """\
import torch.nn.functional as F
def step(model, x, y):
    labels = y
    shift_logits = model(x)[..., :-1, :].contiguous()
    shift_labels = labels[..., 1:].contiguous()
    return F.cross_entropy(shift_logits.view(-1, vocab), shift_labels.view(-1))  # <-
""",
        ),
        (
            """\
import torch.nn.functional as F
def step(model, input_ids):
    logits = model(input_ids).logits[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), input_ids[:, :-1])  # <-
""",
            """\
import torch.nn.functional as F
def step(model, input_ids):
    logits = model(input_ids).logits[:, :-1]
    return F.cross_entropy(logits.transpose(1, 2), input_ids[:, 1:])  # <-
""",
        ),
        """\
import torch.nn.functional as F
def step(model, input_ids):
    logits = model(input_ids).logits[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1), input_ids.flatten())  # <-
""",
        """\
import torch.nn.functional as F
def step(model, input_ids):
    logits = model(input_ids).logits
    return F.cross_entropy(logits.flatten(0, 1), input_ids[:, 1:].flatten())  # <-
""",
        """\
import torch
def logps(model, tokens):
    logps = model(tokens).logits[:, 1:].log_softmax(-1)
    return torch.gather(logps, 2, tokens[:, :-1].unsqueeze(-1)).squeeze(-1)  # <-
""",
        """\
import torch
def logps(model, tokens):
    logps = model(tokens).logits[:, :-1].log_softmax(-1)
    return logps.gather(-1, tokens[:, :-1, None]).squeeze(-1)  # <-
""",
        """\
from torch.nn import CrossEntropyLoss
def loss_of(logits, labels):
    loss_fct = CrossEntropyLoss()
    shift_logits = logits[..., :-1, :].contiguous()
    shift_labels = labels[..., 1:].contiguous()
    return loss_fct(shift_logits.view(-1, shift_logits.size(-1)), labels.view(-1))  # <-
""",
        """\
from torch.nn import CrossEntropyLoss
def loss_of(logits, labels):
    loss_fct = CrossEntropyLoss()
    shift_logits = logits[..., :-1, :].contiguous()
    shift_labels = labels[..., 1:].contiguous()
    return loss_fct(logits.view(-1, logits.size(-1)), shift_labels.view(-1))  # <-
""",
        """\
import torch.nn.functional as F
def step(model, tokens):
    inputs, targets = tokens[:, :-1], tokens[:, :-1]
    return F.cross_entropy(model(inputs).transpose(1, 2), targets)  # <-
""",
        """\
from trl.trainer.utils import selective_log_softmax
import torch
def logps(model, input_ids):
    logits = model(input_ids=input_ids).logits[:, 1:, :]
    return selective_log_softmax(logits, input_ids[:, :-1])  # <-
""",
        """\
import torch.nn.functional as F
def gpt_loss(logits, targets):
    return F.cross_entropy(logits[:, 1:, :].reshape(-1, 50257), targets[:, :-1].reshape(-1))  # <-
""",
    )

    def find(self, file: Reading) -> Iterator[Found]:
        """Losses over logits and targets that are cut, and not one against the other."""
        for loss in token_losses(file):
            if not (loss.logits.cuts or loss.targets.cuts or loss.read.cuts):
                continue
            if _is_of_tokens(loss):
                found = _wrong_way(file, loss) or _same_side(file, loss) or _one_alone(file, loss)
            else:
                found = _same_side(file, loss) if _leaves_last(loss) else None
            if found is not None and not _FROM_THE_RIGHT.search(_surroundings(file, loss)):
                yield found


def _is_of_tokens(loss: TokenLoss) -> bool:
    cuts = (*loss.targets.cuts, *loss.logits.cuts, *loss.read.cuts)
    names = [name_of(each) for each in (loss.targets.root, *(cut.value for cut in loss.targets.cuts))]
    return len(cuts) <= 3 and any(_TOKENS.search(each) for each in names)  # noqa: PLR2004 - more are no plain shift


def _leaves_last(loss: TokenLoss) -> bool:
    """Whether what a model reads lacks the last position of its sequence, which is only of use as a target."""
    return loss.model is not None and not loss.logits.cuts and (loss.read.start, loss.read.stop) == (0, 1)


def _surroundings(file: Reading, loss: TokenLoss) -> str:
    function = file.function(loss.call)
    return file.source.text if function is None or isinstance(function, ast.Lambda) else file.source.segment(function)


def _cuts(loss: TokenLoss) -> tuple[int, int, int, int]:
    return loss.logits.start, loss.logits.stop, loss.targets.start, loss.targets.stop


def _wrong_way(file: Reading, loss: TokenLoss) -> Found | None:
    if _cuts(loss) != (1, 0, 0, 1) or loss.read.cuts:
        return None
    message = f"`{_cut(file, loss, 'logits')}` meets `{_cut(file, loss, 'targets')}`: each position's logits are scored against the token before it"
    return Found(loss.call, message, repair=_repair(loss))


def _same_side(file: Reading, loss: TokenLoss) -> Found | None:
    """Both cut alike: nothing is shifted."""
    if loss.ahead or loss.missing:
        return None
    if loss.model is None and not (_is_called_shifted(file, loss) and _cuts(loss) == (0, 1, 0, 1)):
        return None
    targets = _cut(file, loss, "targets")
    message = f"`{targets}` is cut on the same side as the logits: each position's logits are scored against the token it has just read"
    return Found(loss.call, message, repair=_repair(loss), preview=loss.model is None)


def _one_alone(file: Reading, loss: TokenLoss) -> Found | None:
    """One of the two cut, and the other one not."""
    if abs(loss.missing) != 1 or (loss.gathers and loss.missing > 0 and loss.ahead == 1):
        return None
    if loss.model is None and not _other_is_unused(file, loss):
        return None
    fewer, more = ("logits", "targets") if loss.missing < 0 else ("targets", "logits")
    whole = file.text((loss.targets if more == "targets" else loss.logits).root)
    cut = _cut(file, loss, fewer) if (loss.logits if fewer == "logits" else loss.targets).cuts else fewer
    message = f"`{whole}` has one position more than `{cut}`: one of the two is cut, and the other one isn't"
    sure = loss.model is None or is_causal(made_of(file, loss.model))
    return Found(loss.call, message, hint="cut both: the last logits, and the first of the targets", preview=not sure)


def _cut(file: Reading, loss: TokenLoss, side: str) -> str:
    found = loss.logits if side == "logits" else loss.targets
    return file.text(found.cuts[-1] if found.cuts else found.root)


def _is_called_shifted(file: Reading, loss: TokenLoss) -> bool:
    """Whether the names in a loss say that both are shifted."""
    return all(_SHIFTED.search(file.text(each)) for each in loss.written)


def _other_is_unused(file: Reading, loss: TokenLoss) -> bool:
    """Whether what isn't cut has been cut just before, under a name that nothing reads."""
    whole = loss.targets if loss.logits.cuts else loss.logits
    for statement in file.all(ast.Assign):
        target = statement.targets[0]
        if file.scope(statement) is not file.scope(loss.call) or not isinstance(target, ast.Name):
            continue
        if not _SHIFTED.search(target.id) or file.uses(target):
            continue
        part = sequence(file, statement.value, logits=whole is loss.logits)
        if part is not None and part.cuts and is_same(file, part.root, whole.root):
            return True
    return False


def _repair(loss: TokenLoss) -> Repair | None:
    """The repair that rewrites one cut of each, or that of the targets alone."""
    if loss.read.cuts or len(loss.logits.cuts) != 1 or len(loss.targets.cuts) != 1:
        return None
    changes = []
    for cut, old, new in ((loss.logits.cuts[0], "1:", ":-1"), (loss.targets.cuts[0], ":-1", "1:")):
        before = ast.unparse(cut.slice)
        after = ", ".join(new if part.strip() == old else part.strip() for part in before.strip("()").split(","))
        if after != ", ".join(part.strip() for part in before.strip("()").split(",")):
            changes.append(Replacement(cut, "{}[" + after + "]", (cut.value,)))
    return Repair("Cut the last logits and the first target", tuple(changes)) if changes else None
