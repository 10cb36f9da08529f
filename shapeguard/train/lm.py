"""The language-model task: a causal model of transformers, made from scratch or trained on."""

from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerBase

from shapeguard.config import UsageError
from shapeguard.losses import causal_lm_loss, use_linear_loss
from shapeguard.models.backbone import load_model, positions_of
from shapeguard.train import tokens
from shapeguard.train.data.load import TEXTS, load
from shapeguard.train.next_token import NextTokenTask
from shapeguard.train.options import Options
from shapeguard.train.predictions import show_continuations
from shapeguard.train.small_gpt2 import describe_gpt2
from shapeguard.train.task import Batch


class LMTask(NextTokenTask):
    """A causal language model, and texts to train it on, of which prompts are given and not learned."""

    name: ClassVar[str] = "lm"
    best: ClassVar[str] = "perplexity"
    higher_is_better: ClassVar[bool] = False
    model: PreTrainedModel

    def __init__(self, model: PreTrainedModel, *args: Any, **kwargs: Any) -> None:
        super().__init__(model, *args, **kwargs)
        self.linear = _take_linear_loss(model)

    def predict(self, model: nn.Module, batch: Batch) -> Float[Tensor, "batch seq vocab"]:
        """Logits of all tokens."""
        logits: Tensor = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return logits

    def loss(self, model: nn.Module, batch: Batch, count: int) -> Float[Tensor, ""]:
        """Cross-entropy of each token that is learned, without the logits of others where the model allows it."""
        loss: Tensor
        if self.linear:
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
            loss = model(**inputs, num_items_in_batch=count).loss
        else:
            loss = causal_lm_loss(self.predict(model, batch), batch["labels"], num_items_in_batch=count)
        return loss

    def summarise(self, observed: Float[Tensor, "windows 4"]) -> dict[str, float]:
        """With the perplexity that counting reaches."""
        return {**super().summarise(observed), "bigram_perplexity": self.baselines.bigram_perplexity}

    def save(self, folder: Path) -> None:
        """Model and tokenizer as transformers' Auto classes load them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def usage(self, folder: Path) -> str:
        """What it writes behind the beginning of a text."""
        return _USAGE.format(folder=str(folder))

    def epilogue(self) -> str:
        """A few held-out texts, continued."""
        return show_continuations(self)


def make_task(options: Options) -> LMTask:
    """Data, tokenizer and model as they are asked for."""
    split = load(TEXTS, options.data, seed=options.seed, held_out=options.held_out, limit=options.limit)
    torch.manual_seed(options.seed)
    tokenizer: PreTrainedTokenizerBase
    model: PreTrainedModel
    if options.model is None:
        texts = [part for text in split.train for part in (text.prompt, text.text) if part]
        tokenizer = tokens.learn_tokenizer(texts, "pieces", options.vocabulary)
        model = make_model(tokenizer, layers=options.layers, width=options.width, longest=options.longest)
    else:
        tokenizer = tokens.load_tokenizer(options.model)
        model = _load(options.model)
        _refuse_misfits(model, tokenizer, options)
    task = LMTask(model, tokenizer, split.train, split.held_out, longest=options.longest)
    task.tell_of(split)
    return task


def make_model(tokenizer: Any, *, layers: int, width: int, longest: int) -> GPT2LMHeadModel:
    """A small GPT-2 with fresh weights."""
    return GPT2LMHeadModel(describe_gpt2(tokenizer, layers=layers, width=width, longest=longest))


def _load(source: str) -> PreTrainedModel:
    """A model in float32: in less, the steps of training would be rounded away."""
    try:
        model: Any = load_model(source, AutoModelForCausalLM)
    except ValueError as error:
        raise UsageError(f"--model: {error}") from error
    precise: PreTrainedModel = model.float()
    return precise


def _refuse_misfits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, options: Options) -> None:
    config: Any = model.config.get_text_config()
    if getattr(config, "is_decoder", True) is False:
        raise UsageError(
            f"{options.model} is a {type(model).__name__}, which sees what comes next; name a causal model"
        )
    rows = cast("nn.Embedding", model.get_input_embeddings()).weight.size(0)
    if rows < len(tokenizer):
        raise UsageError(f"the tokenizer of {options.model} has {len(tokenizer)} tokens, and the model knows {rows}")
    most = positions_of(model)
    if most is not None and most < options.longest:
        raise UsageError(f"{options.model} takes {most} tokens, fewer than --longest {options.longest}")


def _take_linear_loss(model: PreTrainedModel) -> bool:
    """Have the model compute its loss without its logits, if it is one of those that can."""
    if getattr(model, "loss_type", None) is None:  # as GPT-2 has it: transformers takes the same loss, and warns
        model.loss_type = "ForCausalLM"
    try:
        use_linear_loss(model)
    except TypeError:
        return False
    return True


_USAGE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder!r})
model = AutoModelForCausalLM.from_pretrained({folder!r})
inputs = tokenizer("def read(", return_tensors="pt")
ids = model.generate(**inputs, max_new_tokens=40, do_sample=True, temperature=0.7)
print(tokenizer.decode(ids[0], skip_special_tokens=True))
"""
