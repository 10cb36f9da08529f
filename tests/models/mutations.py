"""One-line edits of the models and losses, each of which breaks a shape or a meaning, and who catches it.

Run as a script it applies each edit to a copy of both folders, runs `shapeguard check` over the copy, then every
behaviour on the modules of the copy, and prints a line of JSON for each.
"""

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "shapeguard"
BEHAVIOURS = {"models": "model_behaviours", "losses": "loss_behaviours"}
SHAPES = ("SG3", "SG7")


class Mutation(NamedTuple):
    """An edit of one line; `old` stands in one line of the file only."""

    file: str
    old: str
    new: str


class Catch(NamedTuple):
    """Who catches an edit: codes of findings, names of the first behaviour that a guard stops or that goes wrong."""

    static: str
    lint: str
    guard: str
    tests: str


MUTATIONS = [
    Mutation(*edit)
    for edit in (
        # Pooling
        ("models/pooling.py", "places.where(real, 0).amax(dim=1)", "places.where(real, 0).amax(dim=0)"),
        ("models/pooling.py", "places.where(real, 0).amax(dim=1)", "real.sum(dim=1)"),
        ("models/pooling.py", "return hidden[torch.arange(batch, device=hidden.device), last", "return hidden[:, last"),
        ("models/pooling.py", "return hidden[torch.arange(batch, device=hidden.device), last.to(hidden.device)]", "return hidden[:, -1]"),
        ("models/pooling.py", "padding = ~real.to(hidden.device).unsqueeze(-1)", "padding = ~real.to(hidden.device)"),
        ("models/pooling.py", "hidden.masked_fill(padding, 0).sum(dim=1", "hidden.sum(dim=1"),
        ("models/pooling.py", "masked_fill(padding, 0).sum(dim=1", "masked_fill(padding, 0).sum(dim=-1"),
        ("models/pooling.py", "torch.promote_types(hidden.dtype, torch.float32)", "hidden.dtype"),
        ("models/pooling.py", "(~padding).sum(dim=1)", "hidden.size(1)"),
        ("models/pooling.py", "real = attention_mask.bool()", "real = input_ids != 0"),
        ("models/pooling.py", "~real.any(dim=1)", "~real.any(dim=0)"),
        ("models/pooling.py", "~real.any(dim=1)", "~real.all(dim=1)"),
        ("models/pooling.py", "pad == eos or (", "("),
        # Rows
        ("models/rows.py", "seq = max(map(len, rows), default=0)", "seq = min(map(len, rows), default=0)"),
        ("models/rows.py", 'if side == "right" else', 'if side == "left" else'),
        # The reward model
        ("models/reward.py", "descending=True, stable=True", "stable=True"),
        ("models/reward.py", "real = real.gather(1, order)", "real = real.gather(1, order).flip(1)"),
        ("models/reward.py", '"input_ids": input_ids.gather(1, order)', '"input_ids": input_ids'),
        ("models/reward.py", '"input_ids": input_ids.gather(1, order)', '"input_ids": input_ids.gather(0, order)'),
        ("models/reward.py", '"attention_mask": real.long()', '"attention_mask": None'),
        ("models/reward.py", "token_type_ids.gather(1, order)", "token_type_ids"),
        ("models/reward.py", 'self.pooling == "last" else', 'self.pooling == "mean" else'),
        ("models/reward.py", "(pooled.to(self.score.weight)).squeeze(-1)", "(pooled.to(self.score.weight)).squeeze()"),
        ("models/reward.py", "(pooled.to(self.score.weight)).squeeze(-1)", "(pooled.to(self.score.weight))"),
        ("models/reward.py", "nn.Linear(width, 1, bias=False", "nn.Linear(width, 2, bias=False"),
        ("models/reward.py", "nn.Linear(width, 1, bias=False", "nn.Linear(width + 1, 1, bias=False"),
        ("models/reward.py", "refuse_rows(rewards.isnan(), ", "refuse_rows(rewards.isinf(), "),
        ("models/reward.py", "model.score.to(dtype)", "model.score.double()"),
        ("models/backbone.py", 'getattr(config, "word_embed_proj_dim", None) or ', ""),
        # The LSTM
        ("models/lstm.py", "nn.Embedding(vocab, 4 * hidden)", "nn.Embedding(vocab, hidden)"),
        ("models/lstm.py", "bias=bias, dropout=dropout, batch_first=True)", "bias=bias, dropout=dropout)"),
        ("models/lstm.py", 'nn.init.eye_(self.lstm.get_parameter("weight_ih_l0"))', 'self.lstm.get_parameter("weight_ih_l0")'),
        ("models/lstm.py", "nn.Linear(hidden, vocab, bias=bias)", "nn.Linear(vocab, hidden, bias=bias)"),
        ("models/lstm.py", '"batch seq ..." if self.batch_first else "seq batch ..."', '"batch seq ..."'),
        ("models/lstm.py", "if lengths is not None else self.head(states)", "if lengths is None else self.head(states)"),
        ("models/lstm.py", "return self._batch_first(logits)", "return logits"),
        ("models/lstm.py", "rows.transpose(0, 1)", "rows.reshape(rows.size(1), rows.size(0), *rows.shape[2:])"),
        ("models/lstm.py", "tokens.masked_fill(~real, 0)", "tokens.masked_fill(real, 0)"),
        ("models/lstm.py", "elif tokens.requires_grad:", "elif not tokens.numel():"),
        ("models/lstm.py", "tokens.max(dim=-1)", "tokens.max(dim=1)"),
        ("models/lstm.py", "(highest != 1) | (filled", "(highest != 1) & (filled"),
        ("models/lstm.py", "self.head(states[real])", "self.head(states)[~real]"),
        ("models/lstm.py", "some.new_zeros(*real.shape, self.vocab)", "some.new_zeros(self.vocab, *real.shape)"),
        ("models/lstm.py", "< lengths.to(device).unsqueeze(1)", "<= lengths.to(device).unsqueeze(1)"),
        ("models/lstm.py", "< lengths.to(device).unsqueeze(1)", "< lengths.to(device)"),
        ("models/lstm.py", "drawn = [draw(self.head(memory[0][-1])", "drawn = [draw(self.head(memory[0])"),
        ("models/lstm.py", "drawn.append(draw(self.head(memory[0][-1])", "drawn.append(draw(self.head(memory[0][0])"),
        ("models/lstm.py", "torch.stack(drawn, dim=1)", "torch.stack(drawn)"),
        ("models/lstm.py", "logits.argmax(dim=-1)", "logits.argmax(dim=0)"),
        ("models/lstm.py", ".values[:, -1:]", ".values[:, -1]"),
        ("models/lstm.py", ".softmax(dim=-1), 1", ".softmax(dim=0), 1"),
        ("models/lstm.py", "generator=generator).squeeze(-1)", "generator=generator).squeeze()"),
        # The policy
        ("models/value_head.py", "(real.cumsum(dim=1) - 1)", "(real.cumsum(dim=0) - 1)"),
        ("models/value_head.py", "(real.cumsum(dim=1) - 1)", "real.cumsum(dim=1)"),
        ("models/value_head.py", "+ self._first_position", "+ 0"),
        ("models/value_head.py", "self.value(hidden.to(self.value.weight)).squeeze(-1)", "self.value(hidden.to(self.value.weight))"),
        ("models/value_head.py", "values = values.masked_fill(~real.to(values.device), 0)", "values = values.masked_fill(real.to(values.device), 0)"),
        ("models/value_head.py", "(real[:, 1:] & real[:, :-1])", "real[:, 1:]"),
        ("models/value_head.py", "logits[:, :-1] / temperature, input_ids[:, 1:]", "logits[:, 1:] / temperature, input_ids[:, 1:]"),
        ("models/value_head.py", "logits[:, :-1] / temperature, input_ids[:, 1:]", "logits[:, :-1] / temperature, input_ids"),
        ("models/value_head.py", "logits[:, :-1] / temperature", "logits[:, :-1] * temperature"),
        ("models/value_head.py", "values[:, :-1].masked_fill", "values[:, 1:].masked_fill"),
        ("models/value_head.py", "precise.gather(-1, actions.unsqueeze(-1))", "precise.gather(1, actions.unsqueeze(1))"),
        ("models/value_head.py", "precise.logsumexp(dim=-1)", "precise.logsumexp(dim=1)"),
        ("models/value_head.py", "logits.float() if", "logits if"),
        # Ranking
        ("losses/ranking.py", "(rejected - chosen + margin).clamp_min(0)", "(chosen - rejected + margin).clamp_min(0)"),
        ("losses/ranking.py", "(rejected - chosen + margin).clamp_min(0)", "(rejected - chosen + margin)"),
        ("losses/ranking.py", "-F.logsigmoid(chosen - rejected - margin)", "-F.logsigmoid(chosen - rejected + margin)"),
        ("losses/ranking.py", "center * (chosen + rejected).square()", "center * (chosen - rejected).square()"),
        ("losses/ranking.py", "scores[:, 0] if scores.ndim == 2", "scores.squeeze() if scores.ndim == 2"),
        ("losses/ranking.py", "return losses.sum() / max(pairs, 1)", "return losses / max(pairs, 1)"),
        # Causal language models
        ("losses/targets.py", "targets[:, :-1] = labels[:, 1:]", "targets[:, 1:] = labels[:, :-1]"),
        ("losses/targets.py", "targets[:, :-1] = labels[:, 1:]", "targets[:, :-1] = labels"),
        ("losses/targets.py", "targets[:, :-1] = labels[:, 1:]", "targets[:-1] = labels[1:]"),
        ("losses/targets.py", "attention_mask.to(labels.device) == 0", "attention_mask.to(labels.device) == 1"),
        ("losses/causal_lm.py", "rows = scores.flatten(0, 1)", "rows = scores.flatten(1, 2)"),
        ("losses/causal_lm.py", "rows = scores.flatten(0, 1)", "rows = scores.transpose(0, 1).flatten(0, 1)"),
        ("losses/causal_lm.py", 'reduction="sum", label', 'reduction="mean", label'),
        ("losses/linear.py", "targets = targets[rows]", "targets = targets[: len(rows)]"),
        ("losses/linear_chunks.py", "torch.zeros_like(hidden).index_copy_(0, rows, of_hidden)", "of_hidden"),
        ("losses/linear_chunks.py", "else part.mul_(slope) for part", "else part for part"),
        # PPO
        ("losses/masked.py", "variance = centred.square().sum() / (count - 1)", "variance = centred.square().sum() / count"),
        ("losses/masked.py", "mean = keep(values, mask).sum() / count", "mean = keep(values, mask).sum(-1) / count"),
        ("losses/masked.py", "return torch.where(mask != 0, upcast(values), 0)", "return upcast(values) * mask"),
        ("losses/advantages.py", "F.pad(value, (0, 1))[:, 1:]", "F.pad(value, (1, 0))[:, :-1]"),
        ("losses/advantages.py", "F.pad(value, (0, 1))[:, 1:]", "F.pad(value, (0, 1))"),
        ("losses/advantages.py", "last_values.unsqueeze(1), following", "last_values, following"),
        ("losses/advantages.py", "mask == 0, dim=1, stable=True", "mask == 0, dim=0, stable=True"),
        ("losses/policy.py", "torch.maximum(-advantage * ratio", "torch.minimum(-advantage * ratio"),
        ("losses/policy.py", "keep(advantages.detach(), mask)", "keep(advantages, mask)"),
        ("losses/policy.py", "return 0.5 * masked_mean(losses, mask, num_items_in_batch=num_items_in_batch)", "return 0.5 * losses.mean()"),
        ("losses/kl.py", "return difference.square() / 2", "return difference.square().mean(-1) / 2"),
    )
]  # fmt: skip


def mutate(mutation: Mutation, folder: Path) -> None:
    """Copy the rooms to a folder, with the edit made."""
    for room in BEHAVIOURS:
        shutil.copytree(PACKAGE / room, folder / "shapeguard" / room, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "shapeguard" / mutation.file
    text = path.read_text()
    assert text.count(mutation.old) == 1, f"{mutation.file} has {text.count(mutation.old)} of: {mutation.old}"
    path.write_text(text.replace(mutation.old, mutation.new))


def check(folder: Path) -> tuple[str, str]:
    """The codes of what `shapeguard check` finds: of shapes, and others."""
    command = [sys.executable, "-m", "shapeguard", "check", "--no-cache", "--jobs=1", "--output-format=json", "."]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    codes = sorted({finding["code"] for finding in json.loads(ran.stdout)})
    shapes = [code for code in codes if code.startswith(SHAPES)]
    return " ".join(shapes), " ".join(code for code in codes if code not in shapes)


def behave(folder: Path, mutated: str) -> tuple[str, str]:
    """The first behaviour that a guard stops, and the first that goes wrong otherwise."""
    import torch

    import shapeguard
    from shapeguard import ShapeError

    for name in [*sys.modules]:
        if name.startswith(tuple(f"shapeguard.{room}" for room in BEHAVIOURS)) or name.endswith("_behaviours"):
            del sys.modules[name]
    for room in BEHAVIOURS:
        vars(shapeguard).pop(room, None)  # where `from shapeguard import models` looks first
    shapeguard.__path__ = [str(folder / "shapeguard"), str(PACKAGE)]
    found = {"guard": "", "tests": ""}
    try:
        behaviours = importlib.import_module(BEHAVIOURS[mutated]).BEHAVIOURS
    except Exception as error:  # noqa: BLE001 - whatever a mutant raises
        behaviours = {"import": lambda error=error: _throw(error)}
    for name, behaviour in behaviours.items():
        torch.manual_seed(0)
        try:
            behaviour()
        except ShapeError:
            found["guard"] = found["guard"] or name
        except BaseException:  # noqa: BLE001 - pytest's own failures are no Exception
            found["tests"] = found["tests"] or name
    return found["guard"], found["tests"]


def _throw(error: BaseException) -> None:
    raise error


def print_catches() -> None:
    """A line of JSON for each edit: who catches it. Before the first comes a copy without one."""
    edits = [Mutation("models/pooling.py", "def last_token", "def last_token"), *MUTATIONS]
    with tempfile.TemporaryDirectory() as top, ThreadPoolExecutor(1) as pool:
        folders = [Path(top) / str(number) for number in range(len(edits))]
        for edit, folder in zip(edits, folders, strict=True):
            mutate(edit, folder)
        checked = [pool.submit(check, folder) for folder in folders]
        for edit, folder, codes in zip(edits, folders, checked, strict=True):
            names = behave(folder, edit.file.partition("/")[0])
            print(json.dumps([*codes.result(), *names]), flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    warnings.simplefilter("ignore")
    print_catches()
