"""A policy that learns by PPO what a reward model likes, both tiny and made from configs.

With models of your own, `shapeguard train ppo --policy FOLDER --reward FOLDER` does the same.
"""

import string
import tempfile
from pathlib import Path

import torch
from transformers import GPT2Config

from shapeguard.models import RewardModel, ValueHeadPolicy
from shapeguard.train.data.records import Text
from shapeguard.train.engine import make_trainer, train
from shapeguard.train.experience import Recipe
from shapeguard.train.judge import RewardJudge
from shapeguard.train.options import make_options
from shapeguard.train.ppo import PPOTask
from shapeguard.train.tokens import learn_tokenizer

LETTERS = string.ascii_lowercase


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer = learn_tokenizer([LETTERS], "characters", len(LETTERS) + 3)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=32,
        n_layer=1,
        n_head=2,
        n_positions=16,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    policy, reward = ValueHeadPolicy(config), RewardModel(config)
    prompts = [Text(prompt=one + other, text="") for one in LETTERS for other in LETTERS]

    recipe = Recipe(response=8, rollouts=32, passes=2, target=2.0)
    task = PPOTask(policy, tokenizer, RewardJudge(reward, tokenizer), prompts[64:], prompts[:64], recipe)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        options = make_options("ppo", output=output, batch=16, rollouts=32, steps=60, learning_rate=3e-3)
        trainer = make_trainer(task, options)
        before = trainer.evaluate()
        train(trainer)
        after = trainer.evaluate()
    for when, figures in (("before", before), ("after", after)):
        print(
            f"{when:6}  reward {figures['eval_reward']:.2f} ± {figures['eval_standard_error']:.2f}, "
            f"{figures['eval_kl']:.2f} nats from the reference"
        )
    print(task.epilogue())


if __name__ == "__main__":
    main()
