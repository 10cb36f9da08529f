"""The LSTM at its boundary; what it computes is told in `model_behaviours`."""

import copy
import json
import pickle
import time

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from shapeguard import ShapeError
from shapeguard.models import NextTokenLSTM


@pytest.fixture
def model():
    torch.manual_seed(0)
    return NextTokenLSTM(11, 5)


@pytest.mark.parametrize(
    ("batch_first", "hint"), [(True, "looks sequence-first where batch-first"), (False, "looks batch-first where sequence-first")]
)  # fmt: skip
def test_the_other_layout_is_told(batch_first, hint):
    model = NextTokenLSTM(11, 5, batch_first=batch_first)
    rows = torch.randint(11, (7, 3) if batch_first else (3, 7))
    with pytest.raises(ShapeError, match=hint):
        model(rows, torch.tensor([2, 7, 5]))
    with pytest.raises(ShapeError, match=hint):
        model.generate(rows, 1, lengths=torch.tensor([2, 7, 5]))


def test_shapes_and_types_are_told(model):
    rows = torch.randint(11, (3, 7))
    with pytest.raises(ShapeError, match=r"`tokens` axis 2 is 12, expected \{self.vocab\} = 11"):
        model(F.one_hot(rows, 12))
    with pytest.raises(ShapeError, match="`tokens` has dtype float32, expected Int"):
        model(rows.float())
    with pytest.raises(ShapeError, match="`tokens` axis 0 is 3, expected batch = 2"):
        model(rows, torch.tensor([7, 7]))


def test_an_empty_batch_gives_an_empty_batch(model):
    assert model(torch.empty(0, 7, dtype=torch.long)).shape == (0, 7, 11)
    assert model(torch.empty(0, 7, dtype=torch.long), torch.empty(0, dtype=torch.long)).shape == (0, 7, 11)


def test_bias_by_choice():
    assert {name for name, _ in NextTokenLSTM(11, 5, bias=False).named_parameters() if "bias" in name} == set()
    assert {"head.bias", "lstm.bias_hh_l0"} <= {name for name, _ in NextTokenLSTM(11, 5).named_parameters()}


def test_copies_and_checkpoints_are_equal(model):
    rows = torch.randint(11, (3, 7))
    other = NextTokenLSTM(11, 5)
    other.load_state_dict(model.state_dict())
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), other):  # noqa: S301 - made a line above
        assert torch.equal(copied(rows), model(rows))


def test_precisions(model):
    rows, lengths = torch.randint(11, (3, 7)), torch.tensor([4, 7, 2])
    logits = model(rows, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(rows, lengths).float(), logits, atol=0.02, rtol=0.02)
    torch.testing.assert_close(copy.deepcopy(model).double()(rows, lengths).float(), logits)


@pytest.mark.parametrize(
    "changes", [{}, {"layers": 2, "dropout": 0.25, "bias": False}, {"batch_first": False}, {"dtype": torch.float64}]
)
def test_what_is_saved_loads_again(changes, tmp_path):
    dtype = changes.pop("dtype", torch.float32)
    model = NextTokenLSTM(11, 5, **changes).to(dtype).eval()
    model.save_pretrained(tmp_path)
    again = NextTokenLSTM.from_pretrained(tmp_path)
    assert again.training
    assert again.lstm.dropout == model.lstm.dropout
    rows, lengths = torch.randint(11, (3, 7)), torch.tensor([4, 7, 2])
    if not model.batch_first:
        rows = rows.T
    assert torch.equal(again.eval()(rows, lengths), model(rows, lengths))
    assert {name: weight.requires_grad for name, weight in again.named_parameters()} == {
        name: weight.requires_grad for name, weight in model.named_parameters()
    }


def test_broken_folders_are_told_in_one_sentence(model, tmp_path):
    with pytest.raises(
        ValueError, match=r"no model.safetensors in .*; name a folder that NextTokenLSTM.save_pretrained"
    ):
        NextTokenLSTM.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for wrong in ({**config, "hidden": 6}, {**config, "width": 5}, {"vocab": 11}, []):
        (tmp_path / "config.json").write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=r"config.json in .* isn't the one .*; save the model again"):
            NextTokenLSTM.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config.json in .* isn't the one .*; save the model again"):
        NextTokenLSTM.from_pretrained(tmp_path)
    save_file({"head.weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"model.safetensors holds no NextTokenLSTM; name a folder"):
        NextTokenLSTM.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"model.safetensors is broken .*; save the model again"):
        NextTokenLSTM.from_pretrained(tmp_path)


def test_states_are_what_the_head_reads(model):
    rows, lengths = torch.randint(11, (3, 7)), torch.tensor([4, 7, 2])
    states, real = model.states(rows, lengths), torch.arange(7) < lengths.unsqueeze(1)
    torch.testing.assert_close(model.head(states)[real], model(rows, lengths)[real])
    torch.testing.assert_close(model.states(rows)[real], states[real])


@pytest.mark.slow
def test_looking_up_is_several_times_faster_than_multiplying():
    model, plain = NextTokenLSTM(5000, 128), nn.LSTM(5000, 128, batch_first=True)
    ids = torch.randint(5000, (32, 64))
    one_hot = F.one_hot(ids, 5000).float()
    everywhere = torch.ones_like(ids, dtype=torch.bool)

    def look_up(rows):
        return model.lstm(model._look_up(everywhere, rows))

    def time_training(run, rows):
        start = time.process_time()
        run(rows)[0].sum().backward()
        return time.process_time() - start

    from_ids, from_rows, multiplied = (
        min(time_training(run, rows) for _ in range(5))
        for run, rows in ((look_up, ids), (look_up, one_hot), (plain, one_hot))
    )
    assert from_ids < multiplied / 3
    assert from_rows < multiplied / 2


def test_gradients_in_float64():
    model = NextTokenLSTM(3, 2).double()
    rows, lengths = torch.randint(3, (2, 3)), torch.tensor([3, 1])
    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}

    def logits(*values):
        return torch.func.functional_call(model, dict(zip(weights, values, strict=True)), (rows, lengths))

    assert torch.autograd.gradcheck(logits, tuple(weights.values()))
