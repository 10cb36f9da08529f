"""The reward model on real families of transformers, with bad input, and on its way to disk and back."""

import copy
import json
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")
sys.path.insert(0, str(Path(__file__).parent))

import tiny
from huggingface_hub import constants
from model_behaviours import ragged
from transformers import AutoModel, AutoModelForCausalLM, T5Config, ViTConfig

from shapeguard import ShapeError
from shapeguard.models import RewardModel, ValueHeadPolicy, encode_texts, pad_rows
from shapeguard.models.backbone import positions_of

FAMILIES = ("gpt2", "llama", "qwen", "bert", "roberta", "opt", "bloom", "mamba")


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_left_and_right_padding_give_the_reward_of_the_row_alone(family, pooling):
    model = RewardModel(getattr(tiny, family)(), pooling=pooling).eval()
    rows = ragged()
    with torch.no_grad():
        left, right = (model(*pad_rows(rows, side=side, fill=1)) for side in ("left", "right"))
        alone = [model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long)) for row in rows]
    assert torch.equal(left, right)
    assert all(reward.shape == (1,) for reward in alone)
    torch.testing.assert_close(right, torch.cat(alone))


@pytest.mark.parametrize("family", ["gpt2", "bert", "roberta"])
def test_a_model_takes_as_many_tokens_as_it_has_positions_for(family):
    model = AutoModel.from_config(getattr(tiny, family)())
    most = positions_of(model)
    model(input_ids=torch.full((1, most), 3))
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, most + 1), 3))
    assert positions_of(AutoModel.from_config(tiny.bloom())) is None


def test_heads_and_poolers_are_stripped():
    model = RewardModel(AutoModelForCausalLM.from_config(tiny.llama()))
    assert type(model.backbone).__name__ == "LlamaModel"
    encoder = RewardModel(AutoModel.from_config(tiny.bert()))
    encoder(*pad_rows(ragged())).sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_a_folder_of_transformers_is_a_backbone(tmp_path):
    backbone = AutoModel.from_config(tiny.llama()).eval()
    backbone.save_pretrained(tmp_path / "backbone")
    model = RewardModel(tmp_path / "backbone", pooling="mean").eval()
    row = torch.tensor([[5, 4, 3]])
    hidden = model.backbone(row).last_hidden_state
    torch.testing.assert_close(hidden, backbone(row).last_hidden_state)
    model.save_pretrained(tmp_path / "reward")
    again = RewardModel.from_pretrained(tmp_path / "reward").eval()
    assert torch.equal(again(row, torch.ones_like(row)), model(row, torch.ones_like(row)))
    with pytest.raises(ValueError, match=r"holds no RewardModel; RewardModel\('.*backbone'\) puts a fresh head"):
        RewardModel.from_pretrained(tmp_path / "backbone")


def test_broken_folders_are_told_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"no model.safetensors in .*; name a folder that RewardModel.save_pretrained"):
        RewardModel.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"AutoModel finds no model in the folder .*; name one that `save_pretrained`"):
        RewardModel(tmp_path)
    RewardModel(tiny.llama()).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 17}))
    with pytest.raises(ValueError, match=r"config.json in .* isn't the one .*; save the model again"):
        RewardModel.from_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"config.json in .* isn't the one .*; save the model again"):
        RewardModel.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"model.safetensors is broken .*; save the model again"):
        RewardModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("backbone", "told"),
    [
        ("no-one/no-model", "AutoModel can't load 'no-one/no-model': it is no folder here, and the hub has no such"),
        (
            T5Config(d_model=2, d_kv=2, d_ff=2, num_heads=1, num_layers=1, vocab_size=3),
            "an encoder with a decoder; pass",
        ),
        (ViTConfig(hidden_size=12, num_hidden_layers=1, intermediate_size=2), "a ViTModel reads no token ids; pass"),
    ],
)
def test_backbones_that_are_none_are_refused(backbone, told, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=told) as caught:
        RewardModel(backbone)
    assert "\n" not in str(caught.value)


def test_shapes_are_told_by_the_guard():
    model = RewardModel(tiny.gpt2())
    ids, mask = pad_rows(ragged([3, 2]))
    for bad, told in (
        ((ids, mask[:, :2]), "`attention_mask` axis 1 is 2, expected seq = 3"),
        ((ids[:1], mask), "`attention_mask` axis 0 is 2, expected batch = 1"),
        ((ids[0], mask[0]), r"`input_ids` has 1 axis \(3,\), expected 2"),
        ((ids.float(), mask), "`input_ids` has dtype float32"),
    ):
        with pytest.raises(ShapeError, match=told):
            model(*bad)
    with pytest.raises(ValueError, match="pooling is 'last' or 'mean', and not 'max'"):
        RewardModel(tiny.gpt2(), pooling="max")


@pytest.mark.parametrize("kind", [RewardModel, ValueHeadPolicy])
def test_ids_and_lengths_that_the_backbone_cannot_take_are_told(kind):
    model = kind(tiny.gpt2())
    for ids, told in (
        (
            [[3, 5], [36, 37]],
            "row 1 holds an id that isn't 0 to 36: encode with the tokenizer that goes with the model",
        ),
        ([[-1, 5]], "row 0 holds an id that isn't 0 to 36"),
        (
            [[3] * 32],
            r"rows are 32 tokens long, and a GPT2\w+ like this one takes 31 \(index out of range .*; cut them",
        ),
    ):
        rows = torch.tensor(ids)
        with pytest.raises(ValueError, match=told):
            model(rows, torch.ones_like(rows))


def test_a_backbone_without_a_table_of_positions_takes_rows_of_any_length():
    ids = torch.full((1, 40), 3)
    assert RewardModel(tiny.llama())(ids, torch.ones_like(ids)).shape == (1,)


def test_precisions():
    model = RewardModel(tiny.llama()).eval()
    rows = pad_rows(ragged())
    rewards = model(*rows)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(model(*rows).float(), rewards, atol=0.05, rtol=0.05)
    half = AutoModel.from_config(tiny.llama(), dtype=torch.bfloat16)
    assert RewardModel(half).eval()(*rows).dtype == torch.float32
    torch.testing.assert_close(copy.deepcopy(model).double()(*rows).float(), rewards)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "bert"])
def test_compiles_whole(family):
    model = RewardModel(getattr(tiny, family)()).eval()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    ids, mask = pad_rows(ragged())
    torch.testing.assert_close(compiled(ids, mask), model(ids, mask))
    with pytest.raises(RuntimeError, match="a row is padding alone: drop it"):
        compiled(ids, mask * 0)


class WordTokenizer:
    """As far as `encode_texts` asks of a tokenizer: an id for each word's length."""

    pad_token_id, padding_side = 0, "left"

    def __call__(self, texts, *, truncation, max_length):
        ids = [[len(word) for word in text.split()] for text in texts]
        return type("Encoded", (), {"input_ids": [row[:max_length] if truncation else row for row in ids]})


def test_texts_become_rows():
    tokenizer = WordTokenizer()
    ids, mask = encode_texts(["a bb ccc", "dddd"], tokenizer)
    assert ids.tolist() == [[1, 2, 3], [0, 0, 4]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert encode_texts(["a bb ccc"], tokenizer, max_length=2).input_ids.tolist() == [[1, 2]]
    with pytest.raises(ValueError, match=r"texts is one text; pass a list of them, \[text\]"):
        encode_texts("a bb", tokenizer)
    with pytest.raises(ValueError, match="row 1 is empty"):
        encode_texts(["a", ""], tokenizer)
    tokenizer.pad_token_id = None
    with pytest.raises(ValueError, match=r"no padding token: set tokenizer.pad_token = tokenizer.eos_token"):
        encode_texts(["a"], tokenizer)
