"""Two processes on one machine, which exchange gradients and shards by gloo."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes(check, tmp_path_factory):
    """How each case of ranks.py ended, on both ranks."""
    folder = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[2]), "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, str(HERE / "ranks.py"), check.name, str(rank), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        said = [rank.communicate(timeout=120) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    assert all(rank.returncode == 0 for rank in ranks), "\n".join(errors for _, errors in said)
    return [json.loads(lines.splitlines()[-1]) for lines, _ in said]


def ended_well_on_both(check, outcomes, case):
    for of_rank in outcomes:
        check.require(of_rank[case] == "works", of_rank[case])


@pytest.mark.case("Distributed", "`DistributedDataParallel`")
def test_ddp(check, outcomes):
    ended_well_on_both(check, outcomes, "ddp")


@pytest.mark.case("Distributed", "`DistributedDataParallel` of one instance under guard")
def test_ddp_instance(check, outcomes):
    ended_well_on_both(check, outcomes, "ddp_instance")


@pytest.mark.case("Distributed", "`DistributedDataParallel` inside `torch.compile`")
def test_ddp_compiled(check, outcomes):
    ended_well_on_both(check, outcomes, "ddp_compiled")


@pytest.mark.case("Distributed", "FSDP2 (`fully_shard`)")
def test_fsdp(check, outcomes):
    ended_well_on_both(check, outcomes, "fsdp")


@pytest.mark.case("Distributed", "FSDP2 of one instance under guard")
def test_fsdp_instance(check, outcomes):
    ended_well_on_both(check, outcomes, "fsdp_instance")


@pytest.mark.case("Distributed", "FSDP2 inside `torch.compile`")
def test_fsdp_compiled(check, outcomes):
    ended_well_on_both(check, outcomes, "fsdp_compiled")
