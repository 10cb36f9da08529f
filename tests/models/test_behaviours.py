"""Every behaviour that mutants are held to is one that the models and losses have."""

import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import loss_behaviours
import model_behaviours

BEHAVIOURS = {**model_behaviours.BEHAVIOURS, **loss_behaviours.BEHAVIOURS}


@pytest.mark.parametrize("behaviour", BEHAVIOURS.values(), ids=BEHAVIOURS)
def test_behaviour(behaviour):
    torch.manual_seed(0)
    behaviour()
