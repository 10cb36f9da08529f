"""A next-token predictor: an LSTM over one-hot tokens that never multiplies by a one-hot row."""

import json
from os import PathLike
from pathlib import Path
from typing import Self

import torch
from jaxtyping import Bool, Float, Int, Num
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model as load_weights
from safetensors.torch import save_model as save_weights
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from shapeguard.runtime import expect, guard

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"
_KIND = "NextTokenLSTM"


@guard
class NextTokenLSTM(nn.Module):
    """Logits of the token behind each one, from ids or one-hot rows.

    It equals `nn.LSTM(vocab, hidden, layers)` on one-hot rows with `table.weight` as the transpose of its
    `weight_ih_l0`. `batch_first` says in which order the first two axes of every argument and result stand.

    >>> model = NextTokenLSTM(vocab=37, hidden=13)
    >>> model(torch.randint(37, (3, 7)), lengths=torch.tensor([2, 7, 5])).shape
    torch.Size([3, 7, 37])
    """

    def __init__(
        self,
        vocab: int,
        hidden: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = True,
    ) -> None:
        super().__init__()
        self.vocab, self.batch_first = vocab, batch_first
        # A row holds what a token adds to the four gates. The LSTM takes it as it is: its own input weight stays the
        # identity, 4 * hidden squared instead of 4 * hidden by vocab.
        self.table = nn.Embedding(vocab, 4 * hidden)
        nn.init.uniform_(self.table.weight, -(hidden**-0.5), hidden**-0.5)
        self.lstm = nn.LSTM(4 * hidden, hidden, layers, bias=bias, dropout=dropout, batch_first=True)
        nn.init.eye_(self.lstm.get_parameter("weight_ih_l0")).requires_grad_(False)  # noqa: FBT003
        self.head = nn.Linear(hidden, vocab, bias=bias)

    def forward(
        self,
        tokens: Int[Tensor, "_ _"] | Num[Tensor, "_ _ {self.vocab}"] | PackedSequence,
        lengths: Int[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "_ _ {self.vocab}"] | PackedSequence:
        """The logits, computed for real tokens only; where a padded row is beyond its length they are 0.

        Packed tokens, ids or one-hot rows, give packed logits.
        """
        if isinstance(tokens, PackedSequence):
            everywhere = torch.ones(len(tokens.data), dtype=torch.bool, device=tokens.data.device)
            gates = self._look_up(everywhere, tokens.data)
            run: PackedSequence = self.lstm(tokens._replace(data=gates))[0]
            return run._replace(data=self.head(run.data))
        rows, real = self._arrange(tokens, lengths)
        states: Float[Tensor, "batch seq d"] = self.lstm(self._look_up(real, rows))[0]
        logits = self._predict(states, real) if lengths is not None else self.head(states)
        return self._batch_first(logits)

    def states(
        self, tokens: Int[Tensor, "_ _"] | Num[Tensor, "_ _ {self.vocab}"], lengths: Int[Tensor, "batch"] | None = None
    ) -> Float[Tensor, "batch seq {self.lstm.hidden_size}"]:
        """What the head reads, batch-first in any case; behind a row's length they mean nothing."""
        rows, real = self._arrange(tokens, lengths)
        states: Tensor = self.lstm(self._look_up(real, rows))[0]
        return states

    def generate(
        self,
        prompt: Int[Tensor, "_ _"],
        count: int,
        *,
        lengths: Int[Tensor, "batch"] | None = None,
        temperature: float | int = 0.0,
        top_k: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "_ _"]:
        """The `count` tokens behind each prompt: the likeliest at temperature 0, else drawn, from the `top_k` likeliest."""
        if count < 1 or temperature < 0 or not 1 <= (top_k or 1) <= self.vocab:
            raise ValueError(
                f"generate takes a count of at least 1, a temperature of at least 0 and a top_k of 1 to {self.vocab}, "
                f"and not {count}, {temperature} and {top_k}"
            )
        rows, real = self._arrange(prompt, lengths)
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                gates, sizes = self._look_up(real, rows), real.sum(1).cpu()
                _, memory = self.lstm(pack_padded_sequence(gates, sizes, batch_first=True, enforce_sorted=False))
                drawn = [draw(self.head(memory[0][-1]), temperature, top_k, generator)]
                while len(drawn) < count:
                    _, memory = self.lstm(self.table(drawn[-1]).unsqueeze(1), memory)
                    drawn.append(draw(self.head(memory[0][-1]), temperature, top_k, generator))
        finally:
            self.train(training)
        return self._batch_first(torch.stack(drawn, dim=1))

    def save_pretrained(self, folder: str | PathLike[str]) -> None:
        """Write `config.json`, which holds what `__init__` takes, and all weights in one `model.safetensors`."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        config = {
            "vocab": self.vocab,
            "hidden": self.lstm.hidden_size,
            "layers": self.lstm.num_layers,
            "dropout": self.lstm.dropout,
            "bias": self.lstm.bias,
            "batch_first": self.batch_first,
        }
        (Path(folder) / _CONFIG).write_text(json.dumps(config, indent=2) + "\n")
        save_weights(self, str(Path(folder) / _WEIGHTS), {"format": "pt", "model": _KIND})

    @classmethod
    def from_pretrained(cls, folder: str | PathLike[str]) -> Self:
        """The model that `save_pretrained` has written to a folder."""
        weights = Path(folder) / _WEIGHTS
        if not weights.is_file():
            raise ValueError(f"no {_WEIGHTS} in {folder}; name a folder that {_KIND}.save_pretrained has written")
        try:
            with safe_open(str(weights), "pt") as file:
                ours = (file.metadata() or {}).get("model") == _KIND
                dtype = file.get_tensor("head.weight").dtype if ours else None
        except SafetensorError as error:
            raise ValueError(f"{weights} is broken ({error}); save the model again") from error
        if not ours:
            raise ValueError(f"{weights} holds no {_KIND}; name a folder that {_KIND}.save_pretrained has written")
        try:
            model = cls(**json.loads((Path(folder) / _CONFIG).read_text())).to(dtype)
            load_weights(model, str(weights))
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise ValueError(
                f"{_CONFIG} in {folder} isn't the one that {_WEIGHTS} was saved with; save the model again"
            ) from error
        return model

    def _arrange(self, tokens: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """The rows batch-first, and where they are real."""
        if lengths is not None:
            expect(lengths, "batch")
        rows = self._batch_first(expect(tokens, "batch seq ..." if self.batch_first else "seq batch ..."))
        return rows, _real_tokens(rows.shape[:2], lengths, rows.device)

    def _batch_first(self, rows: Tensor) -> Tensor:
        """The caller's order of axes to batch-first, or back."""
        return rows if self.batch_first else rows.transpose(0, 1)

    def _look_up(
        self, real: Bool[Tensor, "*places"], tokens: Num[Tensor, "*places"] | Num[Tensor, "*places {self.vocab}"]
    ) -> Float[Tensor, "*places {4*self.lstm.hidden_size}"]:
        """What each token adds to the gates: its row of the table, which is its one-hot row times the table."""
        if tokens.dim() == real.dim():
            ids = tokens.masked_fill(~real, 0)
            if bool(((ids < 0) | (ids >= self.vocab)).any()):
                raise ValueError(
                    f"ids must be 0 to {self.vocab - 1}, and these go from {int(ids.min())} to {int(ids.max())}; "
                    "pass `lengths` if the others are padding"
                )
        elif tokens.requires_grad:
            return tokens.to(self.table.weight.dtype) @ self.table.weight
        else:
            highest, ids = tokens.max(dim=-1)
            filled = torch.linalg.vector_norm(tokens.float(), ord=0, dim=-1)
            if bool((real & ((highest != 1) | (filled != 1))).any()):
                raise ValueError("a row isn't one-hot (one 1, else 0); pass `lengths` if it is padding, or token ids")
        gates: Tensor = self.table(ids)
        return gates

    def _predict(
        self, states: Float[Tensor, "batch seq d"], real: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq {self.vocab}"]:
        """The logits of real tokens, and 0 elsewhere."""
        some: Float[Tensor, "real vocab"] = self.head(states[real])
        logits = some.new_zeros(*real.shape, self.vocab)
        logits[real] = some
        return logits


def _real_tokens(shape: torch.Size, lengths: Tensor | None, device: torch.device) -> Tensor:
    """Where rows are real, batch-first, from lengths on any device."""
    batch, seq = shape
    if seq == 0:
        raise ValueError("rows are 0 tokens long: drop this batch, or put a token into it that begins every text")
    if lengths is None:
        return torch.ones(batch, seq, dtype=torch.bool, device=device)
    wrong = (lengths < 1) | (lengths > seq)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0, 0])
        raise ValueError(f"row {row} has length {int(lengths[row])}, and rows are 1 to {seq} tokens long")
    return torch.arange(seq, device=device) < lengths.to(device).unsqueeze(1)


@guard
def draw(
    logits: Float[Tensor, "batch vocab"], temperature: float | int, top_k: int | None, generator: torch.Generator | None
) -> Int[Tensor, "batch"]:
    """One token for each row."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    if top_k is not None:
        least = logits.topk(top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    return torch.multinomial((logits.float() / temperature).softmax(dim=-1), 1, generator=generator).squeeze(-1)
