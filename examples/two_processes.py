"""The same training in one process and, by torchrun, in two: the losses of each step are equal."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

PYTHON = [sys.executable, "-m"]
TORCHRUN = [*PYTHON, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
TRAIN = "shapeguard train lm --layers 1 --width 32 --vocabulary 300 --longest 32 --batch 8 --steps 8 --evaluations 1"
# Two processes need two devices or none: on a machine with one GPU, both take the CPU.
ON_CPU = ["--set", "use_cpu=true"]
SENTENCES = [f"{who} {does} {what}." for who in ("a cat", "my dog", "the crow") for does in ("sees", "wants", "gets")
             for what in ("a fish", "the cheese", "bread", "some milk", "an apple")]  # fmt: skip


def read_losses(output: Path) -> list[float]:
    lines = map(json.loads, (output / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "sentences.jsonl"
        data.write_text("".join(json.dumps({"text": sentence}) + "\n" for sentence in SENTENCES))
        curves = {}
        for run, launch in {"one": PYTHON, "two": TORCHRUN}.items():
            chosen = [*TRAIN.split(), *ON_CPU, "--data", str(data), "--output", str(folder / run)]
            ran = subprocess.run([*launch, *chosen], capture_output=True, text=True, check=False)  # noqa: S603
            if ran.returncode:
                sys.exit(ran.stderr)
            curves[run] = read_losses(folder / run)
    print("step  one process  two processes")
    for step, (one, two) in enumerate(zip(curves["one"], curves["two"], strict=True), 1):
        print(f"{step:4}  {one:11.6f}  {two:13.6f}")


if __name__ == "__main__":
    main()
