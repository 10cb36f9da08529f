"""A short run of PPO, in as many processes as torchrun has begun; its losses go into a file."""

import json
import sys
from pathlib import Path

import tiny_ppo  # which stands beside this file
import torch

from shapeguard.train.engine import leave_the_others, make_trainer, train


def run(output):
    task = tiny_ppo.make_task(dropout=0.1)
    trainer = make_trainer(task, tiny_ppo.make_asked(task, output, steps=12, settings=("use_cpu=true",)))
    train(trainer)
    trainer.evaluate()
    if trainer.is_world_process_zero():
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        (output / "losses.json").write_text(json.dumps(losses))


torch.set_num_threads(1)
run(Path(sys.argv[1]))
leave_the_others()
