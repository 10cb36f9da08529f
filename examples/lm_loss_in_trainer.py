"""A tiny GPT-2 trained by transformers' Trainer with a loss that can't be shifted twice, with and without logits.

It learns to answer: each text is a module's name, and the first words of its docstring are the answer. Prompts and
padding are labelled -100, so that only answers count.
"""

import tempfile
from importlib import import_module

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, default_data_collator, set_seed

from shapeguard.losses import causal_lm_loss, use_linear_loss

LENGTH, IGNORED = 48, -100
CONFIG = GPT2Config(vocab_size=256, n_positions=LENGTH, n_embd=64, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
MODULES = ("argparse", "bisect", "calendar", "dataclasses", "difflib", "heapq", "textwrap", "tokenize")


def example(name: str) -> dict[str, list[int]]:
    prompt = list(f"{name}: ".encode())
    answer = list((import_module(name).__doc__ or name).strip().encode())[: LENGTH - len(prompt)]
    padding = [0] * (LENGTH - len(prompt) - len(answer))
    return {
        "input_ids": prompt + answer + padding,
        "attention_mask": [1] * (LENGTH - len(padding)) + padding,
        "labels": [IGNORED] * len(prompt) + answer + [IGNORED] * len(padding),  # not shifted: the loss does that
    }


def train(folder: str, *, without_logits: bool) -> list[float]:
    set_seed(0)
    model = GPT2LMHeadModel(CONFIG)
    arguments = TrainingArguments(
        folder, max_steps=20, logging_steps=5, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        learning_rate=3e-3, save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=True,
    )  # fmt: skip
    loss = None if without_logits else causal_lm_loss
    examples = [example(name) for name in MODULES]
    trainer = Trainer(model, arguments, default_data_collator, examples, compute_loss_func=loss)
    if without_logits:
        use_linear_loss(model)  # the same number from hidden states, for vocabularies whose logits don't fit
    trainer.train()
    return [round(entry["loss"], 3) for entry in trainer.state.log_history if "loss" in entry]


if __name__ == "__main__":
    torch.set_num_threads(1)  # in a model as small as this, more of them wait for each other
    with tempfile.TemporaryDirectory() as folder:
        print("causal_lm_loss :", train(folder, without_logits=False))
        print("use_linear_loss:", train(folder, without_logits=True))
