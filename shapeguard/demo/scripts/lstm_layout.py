"""Trains a character model: an LSTM that reads Python and says which character comes next."""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

WIDTH, STEPS, BATCH, TOTAL = 32, 32, 64, 300


class NextCharacter(nn.Module):
    def __init__(self, vocab, hidden=128):
        super().__init__()
        self.embed = nn.Embedding(vocab, WIDTH)
        self.lstm = nn.LSTM(WIDTH, hidden)
        self.head = nn.Linear(hidden, vocab)

    def forward(self, ids):
        x = self.embed(ids)  # (batch, steps, width)
        out, _ = self.lstm(x.permute(0, 2, 1))  # steps first
        return self.head(out)


torch.manual_seed(0)
text = Path(argparse.__file__).read_text(encoding="utf-8")
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])
rows = data[: len(data) // (STEPS + 1) * (STEPS + 1)].view(-1, STEPS + 1)
train, held_out = rows[: -len(rows) // 10], rows[-len(rows) // 10 :]

model = NextCharacter(len(letters))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)

for step in range(1, TOTAL + 1):
    batch = train[torch.randint(len(train), (BATCH,))]
    logits = model(batch[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].t().flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}/{TOTAL} loss {loss.item():.4f}", flush=True)

with torch.no_grad():
    guess = model(held_out[:, :-1]).flatten(0, 1).argmax(dim=-1)
right = guess == held_out[:, 1:].t().flatten()
most_frequent = train[:, 1:].flatten().mode().values
print(f"baseline {(held_out[:, 1:] == most_frequent).float().mean().item():.4f}")
print(f"accuracy {right.float().mean().item():.4f}")
