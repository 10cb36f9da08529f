"""An LSTM learns the next character of a few proverbs: rows of different lengths, a loss on real characters alone."""

import torch

from shapeguard.losses import causal_lm_loss
from shapeguard.models import NextTokenLSTM, pad_rows

PROVERBS = """\
a stitch in time saves nine
all that glitters is not gold
better late than never
practice makes perfect
the early bird catches the worm
too many cooks spoil the broth
when in doubt, leave it out
""".splitlines()
LETTERS = sorted({letter for line in PROVERBS for letter in line} | {"\n"})


def encode(text: str) -> list[int]:
    return [LETTERS.index(letter) for letter in text]


def main() -> None:
    torch.manual_seed(0)
    model = NextTokenLSTM(len(LETTERS), hidden=64)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)

    rows = pad_rows([encode(f"\n{line}\n") for line in PROVERBS])
    lengths = rows.attention_mask.sum(dim=1)
    for step in range(81):
        logits = model(rows.input_ids, lengths)
        loss = causal_lm_loss(logits, rows.input_ids, attention_mask=rows.attention_mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0:
            print(f"step {step:2}  loss {loss.item():.3f}")

    for beginning in ("\nall", "\nthe", "\ntoo"):
        ids = model.generate(torch.tensor([encode(beginning)]), 30)
        written = "".join(LETTERS[i] for i in ids[0].tolist())
        print(beginning.strip() + written.partition("\n")[0])


if __name__ == "__main__":
    main()
