"""The reward task: pairs of texts, of which the chosen one is to get the higher reward."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, cast

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from tokenizers import processors
from torch import Tensor, nn

from shapeguard.config import UsageError
from shapeguard.losses import bradley_terry_loss
from shapeguard.models import RewardModel, pad_rows
from shapeguard.models.backbone import positions_of
from shapeguard.train import tokens
from shapeguard.train.data.chat import count_shared, plain_template
from shapeguard.train.data.load import PAIRS, load
from shapeguard.train.data.records import Pair, Problem, refuse_overlong
from shapeguard.train.options import Options
from shapeguard.train.small_gpt2 import describe_gpt2
from shapeguard.train.task import Batch, Task

_LEARNED = 20_000
"""How many pairs a tokenizer is learned from at most."""
_SHOWN, _COLUMNS, _BEFORE = 4, 72, 24


class Encoded(NamedTuple):
    """A pair as tokens, the prompt before each text."""

    chosen: list[int]
    rejected: list[int]
    margin: float


class RewardTask(Task):
    """A reward model, and pairs to train it on."""

    name: ClassVar[str] = "reward"
    items: ClassVar[str] = "pairs"
    best: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    model: RewardModel

    def __init__(
        self,
        model: RewardModel,
        tokenizer: Any,
        train: Sequence[Pair],
        held_out: Sequence[Pair],
        *,
        longest: int,
        center: float = 0.0,
        special: bool = False,
    ) -> None:
        self.model, self.tokenizer, self.center = model, tokenizer, center
        model.backbone.config.use_cache = False  # keys and values that nobody asks for would be copied
        _, self.train, problems = _encode(train, tokenizer, longest, special=special)
        judged, self.held_out, more = _encode(held_out, tokenizer, longest, special=special)
        self.problems = [*problems, *more]
        shown = list(zip(judged, self.held_out, strict=True))
        self._shown = shown[:: max(1, len(shown) // _SHOWN)][:_SHOWN]
        for what, pairs in (("train", self.train), ("evaluate", self.held_out)):
            if not pairs:
                raise UsageError(f"no pair to {what} on has {longest} tokens or fewer, which is the most that is taken")

    def collate(self, items: Sequence[Encoded]) -> Batch:
        """Ids and mask have chosen and rejected as their axis 1."""
        rows = pad_rows([row for item in items for row in (item.chosen, item.rejected)])
        pairs = {name: values.unflatten(0, (len(items), 2)) for name, values in rows._asdict().items()}
        return {**pairs, "margin": torch.tensor([item.margin for item in items])}

    def length(self, item: Encoded) -> int:
        """Up to this both texts are padded."""
        return max(len(item.chosen), len(item.rejected))

    def count(self, batch: Batch) -> int:
        """Pairs."""
        return batch["margin"].size(0)

    def loss(self, model: nn.Module, batch: Batch, count: int) -> Float[Tensor, ""]:
        """Bradley and Terry's, with each pair's margin."""
        chosen, rejected = _rewards(model, batch)
        mean: Tensor = bradley_terry_loss(chosen, rejected, batch["margin"], center=self.center)
        return mean * (self.count(batch) / count)

    def observe(self, model: nn.Module, batch: Batch) -> Float[Tensor, "pairs 5"]:
        """Of each pair both rewards, the margin, and both lengths."""
        chosen, rejected = _rewards(model, batch)
        lengths = batch["attention_mask"].sum(dim=2).to(chosen)
        return torch.stack([chosen, rejected, batch["margin"], *lengths.unbind(1)], dim=1)

    def summarise(self, observed: Float[Tensor, "pairs 5"]) -> dict[str, float]:
        """The length baseline is the accuracy of holding the longer text for the better one."""
        chosen, rejected, margins, chosen_lengths, rejected_lengths = observed.double().unbind(1)
        right = _wins(chosen, rejected)
        return {
            "loss": bradley_terry_loss(chosen, rejected, margins, center=self.center).item(),
            "accuracy": right.mean().item(),
            "standard_error": right.std(correction=0).item() / len(right) ** 0.5,
            "length_baseline": _wins(chosen_lengths, rejected_lengths).mean().item(),
            "mean_margin": (chosen - rejected).mean().item(),
        }

    def save(self, folder: Path) -> None:
        """Backbone, head and tokenizer in one folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def usage(self, folder: Path) -> str:
        """The rewards of two texts."""
        return _USAGE.format(folder=str(folder))

    @torch.no_grad()
    def epilogue(self) -> str:
        """A few held-out pairs, and how much better each text was found."""
        pairs, items = zip(*self._shown, strict=True)
        self.model.eval()
        device = self.model.score.weight.device
        batch = {name: values.to(device) for name, values in self.collate(items).items()}
        chosen, rejected = (rewards.tolist() for rewards in _rewards(self.model, batch))
        told = [line for shown in zip(pairs, chosen, rejected, strict=True) for line in _tell(*shown)]
        return "\n".join(["held-out pairs and their rewards", *told])


def make_task(options: Options) -> RewardTask:
    """Data, tokenizer and model as they are asked for."""
    tokenizer: Any = None if options.model is None else tokens.load_tokenizer(options.model)
    template = tokenizer and tokens.template_of(tokenizer)
    split = load(
        PAIRS,
        options.data,
        seed=options.seed,
        held_out=options.held_out,
        limit=options.limit,
        template=template or plain_template,
    )
    torch.manual_seed(options.seed)
    if options.model is None:
        tokenizer = _learn_tokenizer(split.train, options.vocabulary)
        model = _make_model(options, tokenizer)
    else:
        model = _load_model(options.model, options.pooling)
    _end_texts(tokenizer)
    task = RewardTask(
        model,
        tokenizer,
        split.train,
        split.held_out,
        longest=min(options.longest, positions_of(model.backbone) or options.longest),
        center=options.center,
        special=bool(template),
    )
    if options.model is not None:
        _refuse_unknown_tokens(task)
    task.tell_of(split)
    return task


def encode_whole(tokenizer: Any, texts: Sequence[str], *, special: bool = False) -> list[list[int]]:
    """Texts as a reward model reads them: begun as the tokenizer begins one, such as by [CLS], and always ended."""
    begin, end = _wrapping(tokenizer)
    rows = tokens.encode(tokenizer, texts, special=special)
    # What a chat template has written may begin and end with these already.
    return [
        [
            *(begin if row[: len(begin)] != begin else []),
            *row,
            *(end if row[len(row) - len(end) :] != end else []),
        ]
        for row in rows
    ]


def _wrapping(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens before and behind each text."""
    (plain,) = tokens.encode(tokenizer, ["a"])
    whole = list(tokenizer("a")["input_ids"])
    places = range(len(whole) - len(plain) + 1)
    at = next((at for at in places if whole[at : at + len(plain)] == plain), None)
    begin, end = ([], []) if at is None else (whole[:at], whole[at + len(plain) :])
    if not end and isinstance(tokenizer.eos_token_id, int):
        end = [tokenizer.eos_token_id]
    return begin, end


def _end_texts(tokenizer: Any) -> None:
    """Let the tokenizer itself put the token behind each text that `encode_whole` puts there, so that it is saved."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    _, end = _wrapping(tokenizer)
    whole = list(tokenizer("a")["input_ids"])
    if backend is None or not end or whole[len(whole) - len(end) :] == end:
        return
    name = tokenizer.eos_token
    ending = processors.TemplateProcessing(
        single=f"$A {name}", pair=f"$A {name} $B {name}", special_tokens=[(name, end[0])]
    )
    before = backend.post_processor
    backend.post_processor = ending if before is None else processors.Sequence([before, ending])


def _encode(
    pairs: Sequence[Pair], tokenizer: Any, longest: int, *, special: bool
) -> tuple[Sequence[Pair], list[Encoded], Sequence[Problem]]:
    """The pairs that are short enough, the same as tokens, and what is said of the others."""
    chosen = encode_whole(tokenizer, [pair.prompt + pair.chosen for pair in pairs], special=special)
    rejected = encode_whole(tokenizer, [pair.prompt + pair.rejected for pair in pairs], special=special)
    lengths = [max(map(len, rows)) for rows in zip(chosen, rejected, strict=True)]
    kept, problems = refuse_overlong(pairs, lengths, longest)
    encoded = [
        Encoded(better, worse, pair.margin)
        for pair, better, worse, length in zip(pairs, chosen, rejected, lengths, strict=True)
        if length <= longest
    ]
    return kept, encoded, problems


def _rewards(model: nn.Module, batch: Batch) -> tuple[Float[Tensor, "pairs"], Float[Tensor, "pairs"]]:
    """Of chosen and rejected texts, from one forward."""
    rows = {name: batch[name].flatten(0, 1) for name in ("input_ids", "attention_mask")}
    chosen, rejected = model(**rows).unflatten(0, (-1, 2)).unbind(1)
    return chosen, rejected


def _wins(better: Float[Tensor, "pairs"], worse: Float[Tensor, "pairs"]) -> Float[Tensor, "pairs"]:
    """1 where the better one has more, half where both have the same."""
    return ((better - worse).sign() + 1) / 2


def _learn_tokenizer(pairs: Sequence[Pair], size: int) -> Any:
    some = pairs[:: len(pairs) // _LEARNED + 1]
    return tokens.learn_tokenizer(
        (text for pair in some for text in (pair.prompt + pair.chosen, pair.rejected)), "pieces", size
    )


def _make_model(options: Options, tokenizer: Any) -> RewardModel:
    """A small GPT-2 with fresh weights, and a head on it."""
    config = describe_gpt2(
        tokenizer,
        layers=options.layers,
        width=options.width,
        longest=options.longest,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own, in one operation
    )
    return RewardModel(config, pooling=cast(Literal["last", "mean"], options.pooling or "last"))


def _load_model(source: str, pooling: str | None) -> RewardModel:
    """A reward model to train on, or a fresh head on a backbone; in float32, in which small steps don't vanish."""
    try:
        if not _is_reward_model(Path(source)):
            return RewardModel(source, pooling=cast(Literal["last", "mean"], pooling or "last")).float()
        model = RewardModel.from_pretrained(source)
    except ValueError as error:
        raise UsageError(f"--model: {error}") from error
    if pooling not in (None, model.pooling):
        raise UsageError(f"{source} was trained with --pooling {model.pooling}, and not {pooling}; leave it out")
    return model.float()


def _is_reward_model(folder: Path) -> bool:
    try:
        with safe_open(str(folder / "model.safetensors"), "pt") as file:
            about = file.metadata() or {}
    except (OSError, SafetensorError):
        return False
    return about.get("model") == "RewardModel"


def _refuse_unknown_tokens(task: RewardTask) -> None:
    table: Any = task.model.backbone.get_input_embeddings()
    highest = max(max(row) for item in (*task.train, *task.held_out) for row in (item.chosen, item.rejected))
    if highest >= table.num_embeddings:
        raise UsageError(
            f"the tokenizer makes the token {highest}, and the model knows {table.num_embeddings} only: "
            "the two aren't made for each other"
        )


def _tell(pair: Pair, chosen: float, rejected: float) -> list[str]:
    """Both texts from a little before they part."""
    begin = max(0, count_shared(pair.chosen, pair.rejected) - _BEFORE)
    lines = []
    for name, text, reward in (("chosen", pair.chosen, chosen), ("rejected", pair.rejected, rejected)):
        shown = " ".join(text[begin : begin + 4 * _COLUMNS].split())
        shown = f"…{shown}" if begin else shown
        lines.append(f"  {reward:7.2f}  {name:8}  {shown if len(shown) <= _COLUMNS else shown[: _COLUMNS - 1] + '…'}")
    return lines


_USAGE = """\
import torch
from transformers import AutoTokenizer

from shapeguard.models import RewardModel, encode_texts

tokenizer = AutoTokenizer.from_pretrained({folder!r})
model = RewardModel.from_pretrained({folder!r}).eval()
texts = ["The better one of two texts.", "The other one."]
with torch.no_grad():
    print(model(*encode_texts(texts, tokenizer)))
"""
