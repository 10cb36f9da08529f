"""What the loss of a linear head costs in time and memory, in forms that give the same loss and gradients.

    python benchmarks/linear_loss.py [--batch N] [--seq N] [--vocab N] [--hidden N] [--supervised SHARE ...]
                                     [--dtype NAME] [--device NAME] [--threads N] [--rounds N] [--json FILE] [--quick]

Timed is the loss and its backward, from hidden states and the weight of the head to the gradients of both. In each
round every contestant has its turn; printed are medians, and of the ratios to the contiguous shift the median over the
rounds. On one thread of the CPU the clock counts processor time, which other processes disturb less. Memory is what one
loss and its backward add at their peak to what is there before: on CUDA by torch's allocator, on the CPU by the
resident memory of a process of its own, as Linux counts it, whose inputs are made and whose libraries are warm. Before
that, each contestant's loss and gradients are compared with the contiguous shift's.

On CUDA, Liger's and Apple's losses take part where `liger_kernel` and `cut_cross_entropy` are installed, and so does
transformers' loss under `torch.compile`.
"""

import argparse
import ctypes
import gc
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from processes import table
from torch import Tensor, nn
from torch.nn import functional as F

CONTIGUOUS = "contiguous shift"
OURS = "linear_causal_lm_loss"
GOALS: dict[str, dict[float, tuple[float, float]]] = {
    "cpu": {1.0: (0.95, 0.30), 0.3: (0.30, 0.45)},
    "cuda": {0.25: (0.30, 0.10)},
}
"""Share supervised -> how much of the contiguous shift's time and memory are to be enough."""
GOALS_ARE_FOR = {"cpu": (32000, 512), "cuda": (128256, 4096)}
"""The sizes of the vocabulary and of the hidden states."""
OF_LIGER = (1.0, 1.2)
"""The same of Liger's at full supervision."""

WARM = 64
"""Positions."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def contiguous_shift(hidden, weight, labels):
    logits = F.linear(hidden, weight)
    shift_logits, shift_labels = logits[..., :-1, :].contiguous(), labels[..., 1:].contiguous()
    return nn.CrossEntropyLoss()(shift_logits.view(-1, shift_logits.size(-1)), shift_labels.view(-1))


def of_transformers(hidden, weight, labels):
    from transformers.loss.loss_utils import ForCausalLMLoss  # noqa: PLC0415 - a contestant loads what is its own

    return ForCausalLMLoss(F.linear(hidden, weight), labels, weight.size(0))


def of_torch(options):
    def loss(hidden, weight, labels):
        return F.linear_cross_entropy(
            hidden[:, :-1].flatten(0, 1), weight, labels[:, 1:].flatten(), ignore_index=-100, options=options
        )

    return loss


def of_liger(hidden, weight, labels):
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss  # noqa: PLC0415

    return LigerFusedLinearCrossEntropyLoss()(weight, hidden[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def of_cce(hidden, weight, labels):
    from cut_cross_entropy import linear_cross_entropy  # noqa: PLC0415

    return linear_cross_entropy(hidden, weight, labels, shift=1)


def ours(hidden, weight, labels):
    from shapeguard.losses.linear import linear_causal_lm_loss  # noqa: PLC0415

    return linear_causal_lm_loss(hidden, weight, labels)


def contestants(device: str) -> dict[str, Loss]:
    """Everything that takes part on this machine."""
    found: dict[str, Loss] = {
        CONTIGUOUS: contiguous_shift,
        "ForCausalLMLoss": of_transformers,
        "F.linear_cross_entropy": of_torch(None),
        "the same, chunked by default": of_torch(torch.nn.LinearCrossEntropyOptions()),
        "the same, in chunks of 256": of_torch(torch.nn.LinearCrossEntropyOptions(batch_chunk_size=256)),
    }
    if device == "cuda":
        found["ForCausalLMLoss, compiled"] = torch.compile(of_transformers)
        if importlib.util.find_spec("liger_kernel"):
            found["Liger"] = of_liger
        if importlib.util.find_spec("cut_cross_entropy"):
            found["CCE"] = of_cce
    return {**found, OURS: ours}


def make(options: argparse.Namespace, supervised: float) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, the weight of the head, and labels of which a share is supervised."""
    torch.manual_seed(0)
    kind = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    hidden = torch.randn(options.batch, options.seq, options.hidden, **kind).requires_grad_()
    weight = torch.randn(options.vocab, options.hidden, **kind).mul_(options.hidden**-0.5).requires_grad_()
    labels = torch.randint(options.vocab, (options.batch, options.seq))
    labels[torch.rand(labels.shape) >= supervised] = -100
    return hidden, weight, labels.to(options.device)


def step(loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """One loss and its backward; the gradients stay in the inputs."""
    inputs[0].grad = inputs[1].grad = None
    value = loss(*inputs)
    value.backward()
    return value.detach()


def timed(loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    """Seconds of one step."""
    inputs[0].grad = inputs[1].grad = None
    synchronize(inputs[0])
    clock = time.process_time if not inputs[0].is_cuda and torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    step(loss, inputs)
    synchronize(inputs[0])
    return clock() - start


def synchronize(tensor: Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize()


def compare(losses: dict[str, Loss], inputs: tuple[Tensor, Tensor, Tensor]) -> dict[str, float]:
    """By how much each contestant's loss and gradients are off, as a share of the contiguous shift's."""
    expected = [step(losses[CONTIGUOUS], inputs), inputs[0].grad, inputs[1].grad]
    expected = [part.float() for part in expected]
    off = {}
    for name, loss in losses.items():
        found = [step(loss, inputs), inputs[0].grad, inputs[1].grad]
        off[name] = max(
            float((mine.float() - theirs).norm() / theirs.norm()) for mine, theirs in zip(found, expected, strict=True)
        )
    return off


# Memory


def resident(what: str) -> float:
    """Megabytes of this process that are resident: now (VmRSS), or at their peak (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"Linux doesn't say {what} of this process")


def measure_memory(loss: Loss, inputs: tuple[Tensor, Tensor, Tensor]) -> float:
    """Megabytes that one step adds at its peak."""
    if inputs[0].is_cuda:
        step(loss, inputs)
        inputs[0].grad = inputs[1].grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(loss, inputs)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    # A few rows make what stays after any first step; then what was freed goes back to the system.
    few = inputs[0].detach()[:1, :WARM].requires_grad_(), inputs[1], inputs[2][:1, :WARM]
    step(loss, few)
    inputs[1].grad = None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    step(loss, inputs)
    return resident("VmHWM") - before


def memory_of(name: str, options: argparse.Namespace, supervised: float) -> float:
    """The same in a process of its own."""
    arguments = [
        f"--{key}={getattr(options, key)}" for key in ("batch", "seq", "vocab", "hidden", "dtype", "device", "threads")
    ]
    command = [sys.executable, __file__, *arguments, "--supervised", str(supervised), "--memory-of", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


# Printing


def measure(options: argparse.Namespace, supervised: float) -> dict[str, dict[str, Any]]:
    """The figures of every contestant."""
    losses = contestants(options.device)
    inputs = make(options, supervised)
    off = compare(losses, inputs)
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    order = list(losses)
    for _ in range(options.rounds):
        order.append(order.pop(0))
        for name in order:
            seconds[name].append(timed(losses[name], inputs))
    figures = {}
    for name, loss in losses.items():
        megabytes = measure_memory(loss, inputs) if options.device == "cuda" else memory_of(name, options, supervised)
        ratios = [mine / theirs for mine, theirs in zip(seconds[name], seconds[CONTIGUOUS], strict=True)]
        figures[name] = {
            "seconds": seconds[name],
            "time": statistics.median(ratios),
            "megabytes": megabytes,
            "off": off[name],
        }
    for each in figures.values():
        each["memory"] = each["megabytes"] / figures[CONTIGUOUS]["megabytes"]
    return figures


def show(figures: dict[str, dict[str, Any]], supervised: float) -> str:
    rows = [
        [
            name,
            f"{1e3 * statistics.median(each['seconds']):.1f}",
            f"{each['time']:.2f}",
            f"{each['megabytes']:.0f}",
            f"{each['memory']:.2f}",
            f"{each['off']:.0e}",
        ]
        for name, each in figures.items()
    ]
    head = [f"{supervised:.0%} supervised", "ms", "time", "MB", "memory", "off by"]
    return table(head, rows)


def judge(figures: dict[str, dict[str, Any]], device: str, supervised: float) -> list[list[str]]:
    """How the loss here does against what it is to reach."""
    mine = figures[OURS]
    goal = GOALS[device].get(supervised)
    compared = [("the contiguous shift", goal, mine)] if goal else []
    if supervised == 1 and "Liger" in figures:
        liger = figures["Liger"]
        compared.append(("Liger", OF_LIGER, {key: mine[key] / liger[key] for key in ("time", "memory")}))
    return [
        [
            f"{supervised:.0%} supervised: {key} of {name}, at most",
            f"{limit:.2f}",
            f"{found[key]:.2f}",
            "reached" if found[key] <= limit else "not reached",
        ]
        for name, most, found in compared
        for key, limit in zip(("time", "memory"), most, strict=True)
    ]


def is_what_the_goals_are_for(options: argparse.Namespace) -> bool:
    return (options.vocab, options.hidden) == GOALS_ARE_FOR[options.device]


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, size in (("batch", 2), ("seq", 512), ("vocab", 32000), ("hidden", 512)):
        parser.add_argument(f"--{name}", type=int, default=size, help=f"({size})")
    parser.add_argument("--dtype", default="float32", help="torch's name of it (float32)")
    parser.add_argument("--device", choices=sorted(GOALS), default="cpu", help="(cpu)")
    parser.add_argument(
        "--supervised", type=float, nargs="+", default=[1.0, 0.3], help="shares of the labels that count (1 and 0.3)"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of the CPU (torch's own number)")
    parser.add_argument("--rounds", type=int, default=7, help="how often each contestant has its turn (7)")
    parser.add_argument("--quick", action="store_true", help="only show that it runs, at a small size")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.batch, options.seq, options.vocab, options.hidden, options.rounds = 2, 64, 1000, 32, 1
    return options


def main() -> int:
    options = read_options()
    torch.set_num_threads(options.threads)
    if options.memory_of:
        loss = contestants(options.device)[options.memory_of]
        print(measure_memory(loss, make(options, options.supervised[0])))
        return 0
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads"
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {version('transformers')}; {where}; "
        f"B={options.batch} T={options.seq} V={options.vocab} H={options.hidden} {options.dtype}; {options.rounds} rounds"
    )
    every, verdicts = {}, []
    for supervised in options.supervised:
        figures = measure(options, supervised)
        every[str(supervised)] = figures
        if is_what_the_goals_are_for(options):
            verdicts += judge(figures, options.device, supervised)
        print(f"\n{show(figures, supervised)}")
    if verdicts:
        print(f"\n{table(['target', '', 'measured', ''], verdicts)}")
    if options.json:
        options.json.write_text(json.dumps(every, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
