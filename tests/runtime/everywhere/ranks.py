"""One of two processes that train together; writes how each of its cases ended.

Run as `python ranks.py CHECKER RANK FOLDER`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from conftest import WORKS, Check, Outcome
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

WRONG = "`y` axis 0 is 1, expected batch = 4"


def make_net(check):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.Linear(3, 3)

        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch d"]:
            return self.up(x) * y

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList([Block(), Block()])

        def forward(self, x: Float[Tensor, "batch d"], y: Float[Tensor, "batch d"]) -> Float[Tensor, "batch"]:
            for block in self.blocks:
                x = block(x, y)
            return x.sum(-1)

    if check is not None:
        check(Block)
        check(Net)
    torch.manual_seed(0)
    return Net()


def trains_as_the_bare_net(check, net):
    """Two steps give the losses of a bare net in one process, since each rank has the same rows."""
    bare = make_net(None)
    torch.manual_seed(1)
    x, y = torch.randn(4, 3), torch.randn(4, 3)
    losses = []
    with check.right():
        for model in (bare, net):
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for _ in range(2):
                loss = model(x, y).square().mean()
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
            losses.append(loss.detach())
        check.same(losses[1], losses[0])
    with check.refused(WRONG):
        net(x, y[:1])


def ddp(check):
    trains_as_the_bare_net(check, DistributedDataParallel(make_net(check)))


def ddp_instance(check):
    net = make_net(None)
    check(net.blocks[0])
    check(net.blocks[1])
    trains_as_the_bare_net(check, DistributedDataParallel(check(net)))


def ddp_compiled(check):
    trains_as_the_bare_net(check, torch.compile(DistributedDataParallel(make_net(check)), backend="aot_eager"))


def sharded(net):
    mesh = init_device_mesh("cpu", (2,))
    for block in net.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net


def fsdp(check):
    trains_as_the_bare_net(check, sharded(make_net(check)))


def fsdp_instance(check):
    net = make_net(None)
    check(net.blocks[0])
    check(net.blocks[1])
    trains_as_the_bare_net(check, sharded(check(net)))


def fsdp_compiled(check):
    net = sharded(make_net(check))
    net.compile(backend="aot_eager")
    trains_as_the_bare_net(check, net)


CASES = ddp, ddp_instance, ddp_compiled, fsdp, fsdp_instance, fsdp_compiled


def main():
    checker, rank, folder = sys.argv[1:]
    dist.init_process_group("gloo", init_method=f"file://{Path(folder) / 'store'}", rank=int(rank), world_size=2)
    outcomes = {}
    for case in CASES:
        torch.compiler.reset()
        try:
            case(Check(checker))
            outcomes[case.__name__] = WORKS
        except Outcome as outcome:
            outcomes[case.__name__] = str(outcome)
        dist.barrier()
    dist.destroy_process_group()
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main()
