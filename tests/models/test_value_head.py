"""The policy on causal families of transformers, and with models that are none."""

import copy
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny
from model_behaviours import ragged
from transformers import AutoModel

from shapeguard import ShapeError
from shapeguard.models import ValueHeadPolicy, pad_rows


@pytest.mark.parametrize("family", ["llama", "qwen", "opt", "bloom", "mamba"])
def test_left_and_right_padding_give_the_same_scores(family):
    policy = ValueHeadPolicy(getattr(tiny, family)()).eval()
    with torch.no_grad():
        left, right = (policy.score(*pad_rows(ragged(), side=side, fill=1)) for side in ("left", "right"))
    torch.testing.assert_close(left.log_probs[left.mask], right.log_probs[right.mask])
    torch.testing.assert_close(left.values[left.mask], right.values[right.mask])


def test_models_that_are_no_causal_ones_are_refused():
    for model, told in (
        (AutoModel.from_config(tiny.llama()), "a LlamaModel has no language-model head; pass a ...ForCausalLM"),
        (tiny.bert(), "a BertLMHeadModel sees what comes next; pass a config with is_decoder=True"),
    ):
        with pytest.raises(ValueError, match=told):
            ValueHeadPolicy(model)


def test_shapes_are_told_by_the_guard():
    policy = ValueHeadPolicy(tiny.gpt2())
    ids, mask = pad_rows(ragged([3, 2]))
    with pytest.raises(ShapeError, match="`attention_mask` axis 1 is 2, expected seq = 3"):
        policy.score(ids, mask[:, :2])


def test_it_keeps_no_hidden_states_and_copies_apart():
    policy = ValueHeadPolicy(tiny.gpt2()).eval()
    ids, mask = pad_rows(ragged([3, 2]))
    before = policy(ids, mask)
    other = copy.deepcopy(policy)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    policy.model(ids)
    assert policy._hidden is None
    assert not other(ids, mask).values.any()
    assert torch.equal(policy(ids, mask).values, before.values)


@pytest.mark.slow
def test_compiles_whole():
    policy = ValueHeadPolicy(tiny.llama()).eval()
    ids, mask = pad_rows(ragged())
    compiled = torch.compile(policy, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(ids, mask).values, policy(ids, mask).values)
