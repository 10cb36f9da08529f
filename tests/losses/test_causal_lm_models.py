"""The loss is the one that released models compute for themselves, and the one their Trainer trains with."""

import pytest
import torch
import transformers
from torch.nn import functional as F

from shapeguard.losses import causal_lm_loss

VOCAB = 37
IMAGE = 36
SIZES = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
PATCHES = 4


def gpt2():
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    )


def gpt_bigcode():
    return transformers.GPTBigCodeForCausalLM(
        transformers.GPTBigCodeConfig(vocab_size=VOCAB, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    )


def gpt_neox_japanese():
    return transformers.GPTNeoXJapaneseForCausalLM(
        transformers.GPTNeoXJapaneseConfig(
            **{**SIZES, "intermediate_size": None}, intermediate_multiple_size=1, bos_token_id=0, eos_token_id=0
        )
    )


def with_images(config, model, **options):
    return model(
        config(
            vision_config=transformers.CLIPVisionConfig(**VISION),
            text_config=transformers.LlamaConfig(**SIZES),
            image_token_index=IMAGE,
            **options,
        )
    )


def llava():
    return with_images(transformers.LlavaConfig, transformers.LlavaForConditionalGeneration, vision_feature_layer=-1)


def vip_llava():
    return with_images(
        transformers.VipLlavaConfig, transformers.VipLlavaForConditionalGeneration, vision_feature_layers=[-1, -2]
    )


def instruct_blip():
    config = transformers.InstructBlipConfig(
        vision_config=VISION,
        qformer_config={**SIZES, "encoder_hidden_size": 16, "cross_attention_frequency": 1},
        text_config={
            "model_type": "opt",
            "vocab_size": VOCAB,
            "hidden_size": 16,
            "ffn_dim": 16,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "word_embed_proj_dim": 16,
        },
        num_query_tokens=PATCHES,
        image_token_index=IMAGE,
    )
    return transformers.InstructBlipForConditionalGeneration(config)


def make_inputs(model, side):
    """Two texts, the second shorter; with an image in each where the model sees images."""
    torch.manual_seed(0)
    seq, short = 14, 9
    tokens = torch.randint(1, IMAGE, (2, seq))
    steps = torch.arange(seq)
    mask = torch.stack([steps >= 0, steps >= seq - short if side == "left" else steps < short]).long()
    tokens[mask == 0] = 0
    labels = tokens.masked_fill(mask == 0, -100)
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if isinstance(model, transformers.GPT2LMHeadModel | transformers.GPTBigCodeForCausalLM):
        inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    if hasattr(model.config, "vision_config"):
        for row in range(2):
            start = int(mask[row].argmax()) + 1
            tokens[row, start : start + PATCHES] = IMAGE
        labels = labels.masked_fill(tokens == IMAGE, -100)
        inputs["pixel_values"] = torch.randn(2, 3, 8, 8)
    if isinstance(model, transformers.InstructBlipForConditionalGeneration):
        inputs["qformer_input_ids"] = torch.randint(1, IMAGE, (2, 5))
        inputs["qformer_attention_mask"] = torch.ones(2, 5, dtype=torch.long)
    return inputs, labels


def gradients(loss, model):
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    "build",
    [
        gpt2,
        pytest.param(gpt_bigcode, marks=pytest.mark.slow),
        pytest.param(gpt_neox_japanese, marks=pytest.mark.slow),
        pytest.param(llava, marks=pytest.mark.slow),
        pytest.param(vip_llava, marks=pytest.mark.slow),
        pytest.param(instruct_blip, marks=pytest.mark.slow),
    ],
)
def test_equals_the_loss_of_the_model_itself(build, side):
    model = build().eval()
    inputs, labels = make_inputs(model, side)
    theirs = model(**inputs, labels=labels)
    ours = causal_lm_loss(model(**inputs).logits, labels)
    torch.testing.assert_close(ours, theirs.loss)
    expected, found = gradients(theirs.loss, model), gradients(ours, model)
    assert expected
    torch.testing.assert_close(found, expected)

    accumulated = model(**inputs, labels=labels, num_items_in_batch=torch.tensor(31)).loss
    torch.testing.assert_close(causal_lm_loss(model(**inputs), labels, num_items_in_batch=31), accumulated)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("build", [llava, vip_llava])
def test_with_the_mask_equals_the_older_form_on_the_logits_of_the_model(build, side):
    """Where labels are the tokens as they are, padding included, and the mask alone says what counts."""
    model = build().eval()
    inputs, _ = make_inputs(model, side)
    labels, mask = inputs["input_ids"], inputs["attention_mask"]
    logits = model(**inputs).logits
    kept = mask[..., 1:] != 0
    older = F.cross_entropy(logits[..., :-1, :][kept], labels[..., 1:][kept])
    torch.testing.assert_close(causal_lm_loss(logits, labels, attention_mask=mask), older)


def collate(texts):
    longest = max(map(len, texts))
    padded = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
    return {"input_ids": padded, "attention_mask": mask, "labels": padded.masked_fill(mask == 0, -100)}


def train(model, texts, folder, batch, accumulation, loss=causal_lm_loss):
    """What two steps of transformers' Trainer leave of a model's weights, and the losses that it told."""
    arguments = transformers.TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        max_steps=2,
        learning_rate=0.1,
        optim="sgd",
        max_grad_norm=0.0,
        lr_scheduler_type="constant",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = transformers.Trainer(model, arguments, data_collator=collate, train_dataset=texts, compute_loss_func=loss)
    trainer.train()
    told = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}, told


@pytest.mark.slow
def test_trainer_accumulates_exactly(tmp_path):
    """Texts of mixed lengths in micro-batches train as one big batch does; a mean of means would not."""
    torch.manual_seed(0)
    model = gpt2()
    model.config.use_cache = False
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    start = {name: weight.clone() for name, weight in model.state_dict().items()}
    texts = [torch.randint(1, VOCAB, (length,)).tolist() for length in (14, 2, 3, 9, 2, 12, 5, 2)]

    def run(*how, **options):
        model.load_state_dict(start)
        return train(model, texts, str(tmp_path), *how, **options)

    whole = run(8, 1)
    for batch, accumulation in [(2, 4), (1, 8)]:
        weights, losses = run(batch, accumulation)
        torch.testing.assert_close(weights, whole[0])
        assert losses == pytest.approx(whole[1], abs=1e-3)
    torch.testing.assert_close(run(2, 4, loss=None)[0], whole[0])

    means = run(2, 4, loss=lambda outputs, labels, **_: causal_lm_loss(outputs, labels) / 4)[0]
    assert not all(torch.allclose(means[name], whole[0][name], rtol=1e-3) for name in means)
