"""The LSTM task: the next character or word of a text."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shapeguard.losses import linear_causal_lm_loss
from shapeguard.models import NextTokenLSTM
from shapeguard.train import tokens
from shapeguard.train.data.load import TEXTS, load
from shapeguard.train.next_token import NextTokenTask
from shapeguard.train.options import Options
from shapeguard.train.predictions import show_predictions
from shapeguard.train.task import Batch


class LSTMWithLoss(nn.Module):
    """An LSTM that can also give its loss, which is cheaper than its logits: they are there for learned tokens alone."""

    def __init__(self, lstm: NextTokenLSTM) -> None:
        super().__init__()
        self.lstm = lstm

    def forward(
        self,
        input_ids: Int[Tensor, "batch seq"],
        lengths: Int[Tensor, "batch"],
        labels: Int[Tensor, "batch seq"] | None = None,
        count: int | None = None,
    ) -> Tensor:
        """The logits, or with labels the sum of the losses divided by `count`."""
        if labels is None:
            logits: Tensor = self.lstm(input_ids, lengths)
            return logits
        states = self.lstm.states(input_ids, lengths)
        head = self.lstm.head
        loss: Tensor = linear_causal_lm_loss(states, head.weight, labels, bias=head.bias, num_items_in_batch=count)
        return loss


class LSTMTask(NextTokenTask):
    """An LSTM, and texts to train it on."""

    name: ClassVar[str] = "lstm"
    best: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    model: LSTMWithLoss

    def __init__(self, lstm: NextTokenLSTM, *args: Any, **kwargs: Any) -> None:
        super().__init__(LSTMWithLoss(lstm), *args, **kwargs)

    @property
    def called(self) -> str:
        """What is trained and saved; the loss is around it."""
        return type(self.model.lstm).__name__

    def predict(self, model: nn.Module, batch: Batch) -> Float[Tensor, "batch seq vocab"]:
        """Logits of real tokens; elsewhere they are 0."""
        logits: Tensor = model(batch["input_ids"], batch["attention_mask"].sum(dim=1))
        return logits

    def loss(self, model: nn.Module, batch: Batch, count: int) -> Float[Tensor, ""]:
        """Cross-entropy of each token that is learned."""
        loss: Tensor = model(batch["input_ids"], batch["attention_mask"].sum(dim=1), batch["labels"], count)
        return loss

    def save(self, folder: Path) -> None:
        """Model and tokenizer in one folder."""
        self.model.lstm.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def usage(self, folder: Path) -> str:
        """What it writes behind the beginning of a text."""
        return _USAGE.format(folder=str(folder))

    def epilogue(self) -> str:
        """A few held-out texts with what was predicted."""
        return show_predictions(self)


def make_task(options: Options) -> LSTMTask:
    """Data, tokenizer and model as they are asked for."""
    split = load(TEXTS, options.data, seed=options.seed, held_out=options.held_out, limit=options.limit)
    texts = [part for text in split.train for part in (text.prompt, text.text) if part]
    level: tokens.Kind = "characters" if options.level == "characters" else "words"
    tokenizer = tokens.learn_tokenizer(texts, level, options.vocabulary)
    torch.manual_seed(options.seed)
    model = NextTokenLSTM(len(tokenizer), options.width, layers=options.layers)
    task = LSTMTask(model, tokenizer, split.train, split.held_out, longest=options.longest)
    task.tell_of(split)
    return task


_USAGE = """\
from transformers import AutoTokenizer

from shapeguard.models import NextTokenLSTM, encode_texts

tokenizer = AutoTokenizer.from_pretrained({folder!r})
model = NextTokenLSTM.from_pretrained({folder!r}).eval()
beginning = "def read("
rows = encode_texts([beginning], tokenizer)
ids = model.generate(rows.input_ids, 40, lengths=rows.attention_mask.sum(1), temperature=0.7)
print(beginning + tokenizer.decode(ids[0]).partition(tokenizer.eos_token)[0])
"""
