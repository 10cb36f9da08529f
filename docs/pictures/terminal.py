"""Three classic bugs, found and fixed by `shapeguard check` in a terminal, as the picture in the README.

    python docs/pictures/terminal.py

runs the commands of the picture in a terminal of its own, on files in a temporary folder, and draws what came out.
"""  # noqa: INP001 - a script beside the picture that it draws

import os
import pty
import re
import shlex
import subprocess
import sys
import termios
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

PICTURE = Path(__file__).with_suffix(".svg")
PROGRAMS = {
    "reward.py": """\
import torch
from torch import nn
from torch.nn import functional as F


class RewardModel(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.head = nn.Linear(width, 1)

    def forward(self, hidden):
        return self.head(hidden).squeeze()

    def loss(self, chosen, rejected):
        good, bad = self.head(chosen), self.head(rejected)
        return F.margin_ranking_loss(good, bad, torch.ones(len(good)))
""",
    "lstm.py": """\
from torch import nn
from torch.nn import functional as F


class NextToken(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.vocab = vocab
        self.lstm = nn.LSTM(vocab, width)
        self.head = nn.Linear(width, vocab)

    def forward(self, ids):
        x = F.one_hot(ids, self.vocab).float()  # (batch, seq, vocab)
        out, _ = self.lstm(x.permute(0, 2, 1))
        return self.head(out)
""",
    "lm.py": """\
from torch.nn import functional as F
from transformers import GPT2LMHeadModel


def loss(model: GPT2LMHeadModel, input_ids):
    logits = model(input_ids).logits  # (batch, seq, vocab)
    return F.cross_entropy(logits.flatten(0, 1), input_ids.flatten())
""",
}
COMMANDS = ("shapeguard check", "shapeguard check --fix --unsafe-fixes", "shapeguard check")
COLUMNS = 100
THEME = TerminalTheme(
    background=(22, 27, 34),
    foreground=(214, 221, 229),
    normal=[
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (240, 190, 80),
        (88, 166, 255),
        (188, 140, 255),
        (86, 212, 221),
        (177, 186, 196),
    ],
)
FONTS = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace'


def write_programs(folder: Path) -> None:
    """Write the broken programs, and settings that keep those of the folders above away."""
    (folder / "pyproject.toml").write_text("[tool.shapeguard]\n")
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)


def run_in_terminal(command: str, folder: Path) -> str:
    """What a command of shapeguard shows in a terminal, colours included."""
    _, *arguments = shlex.split(command)
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (60, COLUMNS))
    with subprocess.Popen(  # noqa: S603 - the commands above
        [sys.executable, "-m", "shapeguard", *arguments],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    ):
        os.close(its)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # on Linux, the end
        return b""


def record() -> Text:
    """The commands, each with what it shows."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_programs(folder)
        told = [f"\033[2m$\033[0m \033[1m{each}\033[0m\n{run_in_terminal(each, folder)}" for each in COMMANDS]
    return Text.from_ansi("\n".join(told).rstrip("\n"))


def draw(shown: Text) -> str:
    """A terminal with this in it, as SVG that needs nothing from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=StringIO(), no_color=False)
    console.print(shown)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", FONTS)
    svg = console.export_svg(title="", theme=THEME, code_format=template, unique_id="terminal")
    return "".join(f"{line.rstrip()}\n" for line in svg.strip().splitlines())


if __name__ == "__main__":
    PICTURE.write_text(draw(record()))
