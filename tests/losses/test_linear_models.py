"""transformers' models with the linear loss give their own loss and gradients, or are refused in words."""

import copy
import re

import pytest
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM, GPT2Config, Trainer, TrainingArguments

from shapeguard import ShapeError
from shapeguard.losses import linear_models
from shapeguard.losses.linear_models import use_linear_loss

VOCAB = 61
GPT = {"vocab_size": VOCAB, "n_embd": 16, "n_layer": 1, "n_head": 2, "bos_token_id": 1, "eos_token_id": 2}
LLAMA = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIGS = {
    "gpt2": ("GPT2Config", GPT),
    "gpt2-untied": ("GPT2Config", {**GPT, "tie_word_embeddings": False}),
    "gpt-bigcode": ("GPTBigCodeConfig", GPT),
    "gptj-with-bias": ("GPTJConfig", {**GPT, "rotary_dim": 4}),
    "llama": ("LlamaConfig", LLAMA),
    "llama-tied": ("LlamaConfig", {**LLAMA, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", LLAMA),
    "qwen3": ("Qwen3Config", LLAMA),
    "gemma": ("GemmaConfig", LLAMA),
    "gemma2-capped": ("Gemma2Config", {**LLAMA, "final_logit_softcapping": 0.5}),
    "gemma3-capped": ("Gemma3TextConfig", {**LLAMA, "final_logit_softcapping": 0.5}),
    "cohere-scaled": ("CohereConfig", {**LLAMA, "logit_scale": 0.25}),
    "granite-scaled": ("GraniteConfig", {**LLAMA, "logits_scaling": 3.0}),
    "mixtral-with-auxiliary-loss": (
        "MixtralConfig",
        {**LLAMA, "num_local_experts": 2, "output_router_logits": True},
    ),
}


def make(name="llama", **more):
    torch.manual_seed(0)
    kind, settings = CONFIGS[name]
    model = AutoModelForCausalLM.from_config(getattr(transformers, kind)(**settings, **more))
    # Large enough for a cap, a scale or a bias to matter.
    with torch.no_grad():
        head = model.get_output_embeddings()
        head.weight.mul_(20)
        if head.bias is not None:
            head.bias.normal_()
    return model.eval()


def batch():
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(3, VOCAB, (2, 9), generator=generator)
    labels = tokens.clone()
    labels[0, :4] = -100
    return {"input_ids": tokens, "labels": labels, "attention_mask": torch.ones_like(tokens)}


def run(model, **more):
    """The loss, and the gradient of every parameter by name."""
    model.zero_grad()
    outputs = model(**batch(), **more)
    outputs["loss"].backward()
    return outputs["loss"].detach(), {name: part.grad.clone() for name, part in model.named_parameters()}


IN_EVERY_RUN = ["gpt2", "gptj-with-bias", "llama", "qwen2", "gemma2-capped", "cohere-scaled"]


@pytest.mark.parametrize(
    "name", [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS]
)
def test_loss_and_all_gradients_are_the_models_own(name):
    model = make(name)
    own = run(model)
    accumulated = run(model, num_items_in_batch=torch.tensor(23))
    with use_linear_loss(model, chunk_rows=3):
        torch.testing.assert_close(run(model), own, rtol=1e-4, atol=1e-6)
        ours = run(model, num_items_in_batch=torch.tensor(23))
        torch.testing.assert_close(ours, accumulated, rtol=1e-4, atol=1e-6)
        assert "logits" not in model(**batch())
    assert "logits" in model(**batch())
    torch.testing.assert_close(run(model), own)


@pytest.mark.parametrize("name", ["gemma2-capped", "cohere-scaled"])
def test_scale_and_cap_matter_in_these_models(name):
    config = CONFIGS[name][1]
    changed = next(key for key in ("final_logit_softcapping", "logit_scale") if key in config)
    with_it = make(name)
    without = make(name)
    setattr(without.config, changed, 1.0)
    without.logit_scale = 1.0
    assert not torch.allclose(with_it(**batch()).loss, without(**batch()).loss, rtol=1e-3)


def test_shift_labels_are_taken_as_they_are():
    model = make()
    shifted = batch()["labels"].roll(-1, 1)
    own = model(**batch(), shift_labels=shifted).loss
    with use_linear_loss(model):
        torch.testing.assert_close(model(**batch(), shift_labels=shifted).loss, own)


def test_without_labels_nothing_changes():
    model = make()
    tokens = batch()["input_ids"]
    logits = model(tokens).logits
    written = model.generate(tokens, max_new_tokens=3, do_sample=False)
    with use_linear_loss(model):
        torch.testing.assert_close(model(tokens).logits, logits)
        assert torch.equal(model.generate(tokens, max_new_tokens=3, do_sample=False), written)
        assert model.lm_head.forward.__func__ is nn.Linear.forward


def test_tuples_hold_the_loss_and_no_logits():
    model = make()
    own = model(**batch(), return_dict=False, use_cache=False)
    use_linear_loss(model)
    ours = model(**batch(), return_dict=False, use_cache=False)
    assert (len(own), len(ours)) == (2, 1)
    torch.testing.assert_close(ours[0], own[0])


def test_a_copy_has_its_own_weights():
    model = make()
    use_linear_loss(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.lm_head.weight.zero_()
    torch.testing.assert_close(other(**batch()).loss, torch.tensor(VOCAB).float().log())
    assert model(**batch()).loss > 1.2 * other(**batch()).loss


def test_model_is_saved_under_its_own_name(tmp_path):
    model = make()
    own = model(**batch()).loss
    with use_linear_loss(model):
        model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    torch.testing.assert_close(loaded(**batch()).loss, own)


def test_an_error_in_the_model_leaves_it_whole():
    model = make()
    with use_linear_loss(model), pytest.raises(ValueError, match="no label is supervised"):
        model(**{**batch(), "labels": torch.full((2, 9), -100)})
    assert model(**batch()).logits.shape == (2, 9, VOCAB)


def test_policies_of_the_loss():
    model = make()
    nothing = {**batch(), "labels": torch.full((2, 9), -100)}
    with use_linear_loss(model, when_empty="zero"):
        loss = model(**nothing).loss
        loss.backward()
        assert loss == 0
        assert all(not part.grad.any() for part in model.parameters())
        labels = batch()["labels"]
        labels[1, 3] = VOCAB
        with pytest.raises(ValueError, match=re.escape("labels[1, 3] is 61, outside the vocabulary of 61")):
            model(**{**batch(), "labels": labels})
        with pytest.raises(ValueError, match=r"labels are \(2, 8\), and the logits are for \(2, 9\)"):
            model(**{**batch(), "labels": batch()["labels"][:, 1:]})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_under_autocast(dtype):
    model = make("gpt2")
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        own = run(model)
        with use_linear_loss(model, chunk_rows=4):
            ours = run(model)
    torch.testing.assert_close(ours[0], own[0], rtol=1e-2, atol=1e-2)
    for name, gradient in own[1].items():
        assert (ours[1][name] - gradient).norm() <= 0.03 * gradient.norm() + 1e-6


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_with_checkpointed_layers():
    model = make()
    own = run(model)
    model.train()
    model.gradient_checkpointing_enable()
    with use_linear_loss(model, chunk_rows=4):
        torch.testing.assert_close(run(model), own, rtol=1e-4, atol=1e-6)


def test_a_vocabulary_unlike_the_head_is_refused():
    model = make()
    model.config.vocab_size = VOCAB + 1
    with use_linear_loss(model), pytest.raises(ValueError, match="the vocabulary is 62, and the head of LlamaFor"):
        model(**batch())


def test_what_cannot_be_done_is_refused():
    with pytest.raises(TypeError, match="Linear is no model of transformers; if it wraps one, pass that"):
        use_linear_loss(nn.Linear(3, 3))
    model = make()
    with use_linear_loss(model), pytest.raises(ValueError, match="this LlamaForCausalLM takes its loss from hidden"):
        use_linear_loss(model)
    model.loss_function = lambda logits, labels, **_: logits.sum()
    with pytest.raises(TypeError, match="the loss of LlamaForCausalLM isn't transformers' ForCausalLMLoss"):
        use_linear_loss(model)
    model = make()
    model.lm_head.register_forward_hook(lambda *_: None)
    with pytest.raises(TypeError, match="the head of LlamaForCausalLM has hooks"):
        use_linear_loss(model)
    model = make()
    model.lm_head = nn.Sequential(model.lm_head)
    with pytest.raises(TypeError, match=r"the head of LlamaForCausalLM is Sequential; only a torch\.nn\.Linear"):
        use_linear_loss(model)


def test_a_model_that_does_more_to_its_logits_is_refused_when_called():
    torch.manual_seed(0)
    model = transformers.GPT2DoubleHeadsModel(GPT2Config(**GPT, num_labels=1))
    tokens = batch()["input_ids"][:, None]
    model.config.loss_type = None
    with use_linear_loss(model), pytest.raises(NotImplementedError, match="GPT2DoubleHeadsModel: it indexes them"):
        model(tokens, labels=tokens, mc_token_ids=torch.tensor([[3], [4]]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: x * torch.ones(()), "multiplies them by a tensor"),
        (lambda x: x / torch.ones(()), "divides them by a tensor"),
        (torch.sigmoid, "calls `sigmoid` on them"),
        (lambda x: torch.tanh(torch.tanh(x)), "takes their tanh twice"),
        (lambda x: x[:, 0], "indexes them"),
        (lambda x: x.view(-1, 3), "asks for their `view`"),
    ],
)
def test_what_stands_in_for_logits_refuses_what_it_cannot_remember(change, said):
    logits = linear_models.Unprojected("Model", torch.ones(1, 2, 3), torch.ones(5, 3), None)
    with pytest.raises((NotImplementedError, AttributeError), match=re.escape(f"logits of Model: it {said}")):
        change(logits)


def test_scale_and_cap_are_remembered_in_their_order():
    logits = linear_models.Unprojected("Model", torch.ones(1, 2, 3), torch.ones(5, 3), None)
    changed = (2 * (logits.float() * 3 / 6).tanh() * 5).contiguous()
    assert (changed.scale, changed.softcap) == (0.5, 10.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_trainer_takes_the_same_steps(tmp_path):
    examples = [
        {"input_ids": row, "labels": row.masked_fill(torch.arange(9) < start, -100)}
        for start, row in enumerate(torch.randint(3, VOCAB, (8, 9), generator=torch.Generator().manual_seed(2)))
    ]

    def train():
        model = make()
        arguments = TrainingArguments(
            str(tmp_path),
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            max_steps=3,
            report_to=[],
            use_cpu=True,
            learning_rate=0.01,
            optim="sgd",
            save_strategy="no",
        )
        return model, Trainer(model, arguments, train_dataset=examples)

    own, trainer = train()
    trainer.train()
    ours, trainer = train()
    with use_linear_loss(ours, chunk_rows=2):
        trainer.train()
    for mine, other in zip(ours.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_inside_a_compiled_model():
    model = make()
    own, gradients = run(model)
    with use_linear_loss(model, chunk_rows=4):
        loss, compiled = run(torch.compile(model, backend="eager"))
    torch.testing.assert_close(loss, own)
    torch.testing.assert_close(list(compiled.values()), list(gradients.values()), rtol=1e-4, atol=1e-5)


def test_wrong_labels_never_pass_for_right():
    model = make()
    with use_linear_loss(model), pytest.raises((ShapeError, ValueError), match="labels"):
        model(**{**batch(), "labels": batch()["labels"][:1]})
