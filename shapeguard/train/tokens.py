"""Texts as ids: by a tokenizer learned from the texts themselves, or by a model's own."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from shapeguard.config import UsageError
from shapeguard.models.backbone import first_line
from shapeguard.train.data.chat import Message, Template
from shapeguard.train.data.network import NO_NETWORK, asked_once

PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"

_BYTES = 256
_BATCH = 4096
_LEAST_OF_A_MODEL = 8
_ANY_LETTER = Regex(r"[\s\S]")
_ANY_WORD = Regex(r"\w+|[^\w\s]|\n")
_PARALLEL = "TOKENIZERS_PARALLELISM"
_CHOSEN = _PARALLEL in os.environ
"""Whether it was said from outside whether to use all cores."""

Kind = Literal["pieces", "words", "characters"]


def learn_tokenizer(texts: Iterable[str], kind: Kind, size: int) -> PreTrainedTokenizerFast:
    """A tokenizer of at most `size` tokens, the special ones among them; the same texts always give the same one.

    `pieces` are parts of words, made of bytes, so that no text is unknown; `words` are words, marks of punctuation and
    ends of lines, in lower and upper case as they stand, and `characters` are what they are. Of the latter two the most
    frequent are known. Pieces and known characters are decoded into the text that they were made from.
    """
    special = [PAD, EOS] if kind == "pieces" else [PAD, EOS, UNKNOWN]
    least = len(special) + (_BYTES if kind == "pieces" else 1)
    if size < least:
        raise UsageError(f"a tokenizer of {kind} has at least {least} tokens, and not {size}")
    tokenizer, trainer = _begin(kind, size, special)
    seen = _Seen(texts)
    with _all_cores():
        tokenizer.train_from_iterator(seen, trainer)
    if not seen.any:
        raise UsageError("there are no texts to learn a tokenizer from")
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=None if kind == "pieces" else UNKNOWN,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model's folder or name. One without a padding token pads with the token that ends a text."""
    tokenizer = _find_tokenizer(source)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise UsageError(f"what {source} names isn't a tokenizer of texts, but a {type(tokenizer).__name__}")
    if len(tokenizer) < _LEAST_OF_A_MODEL:
        raise UsageError(f"the tokenizer of {source} knows no text: its vocabulary isn't there")
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise UsageError(f"the tokenizer of {source} has neither a padding token nor one that ends a text")
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return tokenizer


def _find_tokenizer(source: str) -> Any:
    with asked_once() as network:
        try:
            return AutoTokenizer.from_pretrained(source)
        except Exception as error:
            why = first_line(error).rstrip(" :")
            if Path(source).is_dir():
                raise UsageError(f"the folder {source} holds no tokenizer that can be loaded: {why}") from error
            why = why if network else NO_NETWORK
            raise UsageError(
                f"no folder {source} is here, and no tokenizer of that name can be loaded: {why}"
            ) from error


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], *, ends: bool = False, special: bool = False
) -> list[list[int]]:
    """The ids of each text, of any length; with `ends`, the token that ends a text behind them.

    No text makes a special token: "<eos>" in one is read letter by letter. `special` is for texts that the tokenizer's
    own chat template has written, whose special tokens are meant.
    """
    end = tokenizer.eos_token_id
    if ends and not isinstance(end, int):
        raise UsageError("the tokenizer has no token that ends a text")
    rows: list[list[int]] = []
    with _all_cores():
        for begin in range(0, len(texts), _BATCH):
            encoded = tokenizer(
                list(texts[begin : begin + _BATCH]),
                add_special_tokens=False,
                split_special_tokens=not special,
                return_attention_mask=False,
                return_token_type_ids=False,
                verbose=False,  # says that a text is longer than a model takes, which is for others to judge
            )
            rows += encoded["input_ids"]
    return [[*row, end] for row in rows] if isinstance(end, int) and ends else rows


def template_of(tokenizer: PreTrainedTokenizerBase) -> Template | None:
    """The tokenizer's own way to write a conversation; None where it has none."""
    if not getattr(tokenizer, "chat_template", None):
        return None

    def write(messages: Sequence[Message], opened: bool) -> str:  # noqa: FBT001 - positional in every Template
        conversation: Any = list(messages)
        return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=opened))

    return write


def _begin(kind: Kind, size: int, special: list[str]) -> tuple[Tokenizer, Any]:
    """A tokenizer that knows nothing yet, and what teaches it."""
    if kind == "pieces":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
        return tokenizer, trainer
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    if kind == "characters":
        tokenizer.pre_tokenizer = pre_tokenizers.Split(_ANY_LETTER, "isolated")
        tokenizer.decoder = decoders.Fuse()
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(_ANY_WORD, "removed", invert=True)
    return tokenizer, trainers.WordLevelTrainer(vocab_size=size, special_tokens=special, show_progress=False)


class _Seen:
    """Texts, and whether one of them isn't empty."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts, self.any = texts, False

    def __iter__(self) -> Iterator[str]:
        for text in self.texts:
            self.any = self.any or bool(text.strip())
            yield text


@contextmanager
def _all_cores() -> Iterator[None]:
    """Tokenize on all cores here, and on one from then on: a process forked later would warn, and could stand still.

    What was said from outside stands.
    """
    if _CHOSEN:
        yield
        return
    os.environ[_PARALLEL] = "true"
    try:
        yield
    finally:
        os.environ[_PARALLEL] = "false"
