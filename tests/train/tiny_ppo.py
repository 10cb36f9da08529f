"""A policy of a few thousand weights that writes letters, and judges that count them."""

import torch
from transformers import GPT2Config

from shapeguard.models import RewardModel, ValueHeadPolicy
from shapeguard.train import tokens
from shapeguard.train.data.records import Text
from shapeguard.train.experience import Recipe
from shapeguard.train.options import make_options
from shapeguard.train.ppo import PPOTask

LETTERS = "abcdefgh"


def make_tokenizer(letters=LETTERS):
    return tokens.learn_tokenizer([letters], "characters", len(letters) + 3)


def make_config(tokenizer, dropout=0.0, positions=32):
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=1,
        n_head=2,
        n_positions=positions,
        attn_pdrop=dropout,
        embd_pdrop=dropout,
        resid_pdrop=dropout,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def make_policy(tokenizer, dropout=0.0):
    torch.manual_seed(0)
    return ValueHeadPolicy(make_config(tokenizer, dropout))


def make_reward(tokenizer, positions=32):
    torch.manual_seed(1)
    return RewardModel(make_config(tokenizer, positions=positions))


def make_prompts(count, seed=0):
    """Prompts of one to six letters."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda high: int(torch.randint(high, (), generator=generator))  # noqa: E731
    return [Text("".join(LETTERS[draw(8)] for _ in range(1 + draw(6))), "", f"prompts:{line}") for line in range(count)]


def count_a(prompts, responses):
    """A judge that likes one letter."""
    return torch.tensor([float(response.count("a")) for response in responses])


def make_task(judge=count_a, *, dropout=0.0, prompts=40, held_out=12, **recipe):
    tokenizer = make_tokenizer()
    chosen = {"response": 6, "rollouts": 8, "passes": 2, "target": 2.0, **recipe}
    return PPOTask(
        make_policy(tokenizer, dropout),
        tokenizer,
        judge,
        make_prompts(prompts),
        make_prompts(held_out, seed=1),
        Recipe(**chosen),
    )


def make_asked(task, output, **chosen):
    recipe = task.recipe
    counts = {"rollouts": recipe.rollouts, "passes": recipe.passes, "response": recipe.response}
    return make_options("ppo", output=output, **{"batch": 4, "learning_rate": 1e-3, **counts, **chosen})
