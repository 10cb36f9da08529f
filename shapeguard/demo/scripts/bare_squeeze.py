"""Trains a reward model: of two lines, the better one has its words the right way round."""

import argparse
import random
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

LENGTH, EPOCHS = 48, 6


def read_pairs():
    lines = Path(argparse.__file__).read_text(encoding="utf-8").splitlines()
    lines = [line.strip()[:LENGTH] for line in lines]
    lines = random.sample([line for line in lines if len(line) > 24], 1225)
    mirrored = [" ".join(word[::-1] for word in line.split(" ")) for line in lines]
    return encode(lines), encode(mirrored)


def encode(lines):
    return torch.tensor([[min(ord(c), 127) for c in line.ljust(LENGTH)] for line in lines])


class RewardModel(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.embed = nn.Embedding(128, width)
        self.conv = nn.Conv1d(width, width, kernel_size=3)
        self.head = nn.Linear(width, 1)

    def forward(self, ids):
        x = self.embed(ids).transpose(1, 2)
        x = self.conv(x).relu().amax(dim=2)
        return self.head(x)


random.seed(0)
torch.manual_seed(0)
chosen, rejected = read_pairs()
batches = list(zip(chosen[:1025].split(32), rejected[:1025].split(32)))
model = RewardModel()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

step = 0
for epoch in range(EPOCHS):
    for batch in batches:
        better, worse = model(batch[0]).squeeze(), model(batch[1]).squeeze()
        target = torch.ones(better.size(0))
        loss = F.margin_ranking_loss(better, worse, target, margin=1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        print(f"step {step}/{EPOCHS * len(batches)} loss {loss.item():.4f}", flush=True)

with torch.no_grad():
    right = model(chosen[1025:]) > model(rejected[1025:])
print(f"accuracy {right.float().mean().item():.4f}")
