"""Small models from transformers, built from configurations alone and run with two sets of sizes each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

# The sizes of one set are distinct, so that an axis taken for another is seen, and none is 1, which broadcasts.
ATTENTION = ("eager", "sdpa")
BATCH = (3, 5)
LENGTH = (11, 7)
VOCABULARY = (61, 83)
TARGETS = (6, 9)
LAYERS = (2, 2)
SETS = range(len(ATTENTION))

NANO_GPT = Path(__file__).parent / "data" / "nano_gpt.py"


@dataclass(frozen=True)
class Model:
    """A model and the module that it is written in."""

    name: str
    module: str
    run: Callable[[int], Any]
    """Builds and runs it with one set of sizes."""
    path: Path | None = None
    """The module's file, where the module isn't found by its name."""


def _transformers(name: str, run: Callable[[int], Any], module: str | None = None) -> Model:
    return Model(name, f"transformers.models.{module or name}.modeling_{module or name}", run)


def _get(model: str, *names: str) -> list[Any]:
    module = import_module(f"transformers.models.{model}")
    return [getattr(module, name) for name in names]


def _tokens(which: int, length: int | None = None) -> Any:
    import torch

    return torch.randint(5, VOCABULARY[which], (BATCH[which], LENGTH[which] if length is None else length))


def _mask(tokens: Any) -> Any:
    import torch

    mask = torch.ones_like(tokens)
    mask[0, -2:] = 0
    return mask


def _images(which: int, height: int, width: int) -> Any:
    import torch

    return torch.randn(BATCH[which], 3, height, width)


def _decoder(config: type, model: type, which: int, **sizes: Any) -> None:
    """A loss; then a prefix, and what follows it with the prefix cached."""
    import torch

    made = model(config(vocab_size=VOCABULARY[which], attn_implementation=ATTENTION[which], **sizes)).eval()
    tokens = _tokens(which)
    with torch.no_grad():
        made(input_ids=tokens, attention_mask=_mask(tokens), labels=tokens)
        first = made(input_ids=tokens[:, :4], use_cache=True)
        made(input_ids=tokens[:, 4:], past_key_values=first.past_key_values, use_cache=True)


def _llama_sizes(which: int) -> dict[str, Any]:
    return {
        "hidden_size": (24, 40)[which],
        "intermediate_size": (37, 29)[which],
        "num_hidden_layers": LAYERS[which],
        "num_attention_heads": (6, 4)[which],
        "num_key_value_heads": (2, 2)[which],
        "head_dim": (8, 14)[which],
        "max_position_embeddings": (47, 53)[which],
        "pad_token_id": 0,
    }


def _llama(which: int) -> None:
    _decoder(*_get("llama", "LlamaConfig", "LlamaForCausalLM"), which, **_llama_sizes(which))


def _qwen3(which: int) -> None:
    _decoder(*_get("qwen3", "Qwen3Config", "Qwen3ForCausalLM"), which, **_llama_sizes(which))


def _mistral(which: int) -> None:
    _decoder(*_get("mistral", "MistralConfig", "MistralForCausalLM"), which, **_llama_sizes(which))


def _gpt2(which: int) -> None:
    sizes = {"n_embd": (24, 36)[which], "n_layer": 2, "n_head": (4, 6)[which], "n_positions": (47, 53)[which]}
    _decoder(*_get("gpt2", "GPT2Config", "GPT2LMHeadModel"), which, **sizes)


def _encoder_sizes(which: int) -> dict[str, Any]:
    return {
        "hidden_size": (24, 40)[which],
        "num_hidden_layers": LAYERS[which],
        "num_attention_heads": (6, 4)[which],
        "intermediate_size": (37, 29)[which],
    }


def _bert_like(model: str, config: str, heads: tuple[str, ...], which: int) -> None:
    import torch

    config, *models = _get(model, config, *heads)
    made = config(
        vocab_size=VOCABULARY[which],
        max_position_embeddings=(47, 53)[which],
        type_vocab_size=2,
        num_labels=TARGETS[which],
        attn_implementation=ATTENTION[which],
        **_encoder_sizes(which),
    )
    tokens = _tokens(which)
    labels = (tokens, torch.randint(0, TARGETS[which], (BATCH[which],)))
    for kind, targets in zip(models, labels, strict=True):
        kind(made).eval()(input_ids=tokens, attention_mask=_mask(tokens), labels=targets)


def _bert(which: int) -> None:
    _bert_like("bert", "BertConfig", ("BertForMaskedLM", "BertForSequenceClassification"), which)


def _roberta(which: int) -> None:
    _bert_like("roberta", "RobertaConfig", ("RobertaForMaskedLM", "RobertaForSequenceClassification"), which)


def _distilbert(which: int) -> None:
    config, masked, answering = _get(
        "distilbert", "DistilBertConfig", "DistilBertForMaskedLM", "DistilBertForQuestionAnswering"
    )
    made = config(
        vocab_size=VOCABULARY[which],
        max_position_embeddings=(47, 53)[which],
        n_layers=LAYERS[which],
        n_heads=(6, 4)[which],
        dim=(24, 40)[which],
        hidden_dim=(37, 29)[which],
        attn_implementation=ATTENTION[which],
    )
    tokens = _tokens(which)
    masked(made).eval()(input_ids=tokens, attention_mask=_mask(tokens), labels=tokens)
    answering(made).eval()(input_ids=tokens, start_positions=tokens[:, 0] % 5, end_positions=tokens[:, 1] % 5)


def _encoder_decoder(made: Any, which: int) -> None:
    import torch

    tokens, following = _tokens(which), _tokens(which, (6, 9)[which])
    with torch.no_grad():
        made.eval()(input_ids=tokens, attention_mask=_mask(tokens), labels=following)
        first = made(input_ids=tokens, decoder_input_ids=following[:, :2], use_cache=True)
        made(
            input_ids=tokens,
            encoder_outputs=(first.encoder_last_hidden_state,),
            decoder_input_ids=following[:, 2:],
            past_key_values=first.past_key_values,
            use_cache=True,
        )


def _t5(which: int) -> None:
    config, model = _get("t5", "T5Config", "T5ForConditionalGeneration")
    made = config(
        vocab_size=VOCABULARY[which],
        d_model=(24, 40)[which],
        d_kv=(8, 14)[which],
        d_ff=(37, 29)[which],
        num_layers=LAYERS[which],
        num_heads=(4, 6)[which],
        feed_forward_proj=("relu", "gated-gelu")[which],
        decoder_start_token_id=0,
    )
    _encoder_decoder(model(made), which)


def _bart(which: int) -> None:
    config, model = _get("bart", "BartConfig", "BartForConditionalGeneration")
    made = config(
        vocab_size=VOCABULARY[which],
        d_model=(24, 40)[which],
        encoder_layers=LAYERS[which],
        decoder_layers=LAYERS[which],
        encoder_attention_heads=(6, 4)[which],
        decoder_attention_heads=(4, 10)[which],
        encoder_ffn_dim=(37, 29)[which],
        decoder_ffn_dim=(31, 43)[which],
        max_position_embeddings=(47, 53)[which],
        attn_implementation=ATTENTION[which],
    )
    _encoder_decoder(model(made), which)


def _vit_sizes(which: int) -> dict[str, Any]:
    return {"image_size": (28, 30)[which], "patch_size": (7, 6)[which], **_encoder_sizes(which)}


def _vit(which: int) -> None:
    import torch

    config, classifier, masked = _get("vit", "ViTConfig", "ViTForImageClassification", "ViTForMaskedImageModeling")
    sizes = _vit_sizes(which)
    made = config(
        num_labels=TARGETS[which], attn_implementation=ATTENTION[which], encoder_stride=sizes["patch_size"], **sizes
    )
    side, patch = sizes["image_size"], sizes["patch_size"]
    labels = torch.randint(0, TARGETS[which], (BATCH[which],))
    model = classifier(made).eval()
    model(_images(which, side, side), labels=labels)
    model(_images(which, side + patch, side + 2 * patch), interpolate_pos_encoding=True)
    patches = torch.rand(BATCH[which], (side // patch) ** 2) > 0.5
    masked(made).eval()(_images(which, side, side), bool_masked_pos=patches)


def _convnext(which: int) -> None:
    import torch

    config, model = _get("convnext", "ConvNextConfig", "ConvNextForImageClassification")
    made = config(
        hidden_sizes=((8, 12, 18, 26), (10, 14, 22, 34))[which],
        depths=((2, 2, 3, 2), (2, 3, 2, 2))[which],
        num_labels=TARGETS[which],
    )
    labels = torch.randint(0, TARGETS[which], (BATCH[which],))
    model(made).eval()(_images(which, (96, 128)[which], (128, 64)[which]), labels=labels)


def _clip(which: int) -> None:
    config, model = _get("clip", "CLIPConfig", "CLIPModel")
    text = {
        **_encoder_sizes(which),
        "vocab_size": VOCABULARY[which],
        "max_position_embeddings": (47, 53)[which],
        "eos_token_id": 4,
        "bos_token_id": 3,
    }
    vision = _vit_sizes(which) | {"hidden_size": (30, 28)[which]}
    made = config(
        text_config=text, vision_config=vision, projection_dim=(17, 19)[which], attn_implementation=ATTENTION[which]
    )
    tokens = _tokens(which)
    tokens[:, -3] = 4
    side = vision["image_size"]
    model(made).eval()(
        input_ids=tokens, attention_mask=_mask(tokens), pixel_values=_images(which, side, side), return_loss=False
    )


def _llava(which: int) -> None:
    config, model = _get("llava", "LlavaConfig", "LlavaForConditionalGeneration")
    vision = _vit_sizes(which) | {"hidden_size": (30, 28)[which], "model_type": "clip_vision_model"}
    patches = (vision["image_size"] // vision["patch_size"]) ** 2
    made = config(
        text_config={**_llama_sizes(which), "model_type": "llama", "vocab_size": VOCABULARY[which]},
        vision_config=vision,
        image_token_index=2,
        attn_implementation=ATTENTION[which],
    )
    tokens = _tokens(which, patches + 6)
    tokens[:, 2 : patches + 2] = 2
    side = vision["image_size"]
    model(made).eval()(input_ids=tokens, pixel_values=_images(which, side, side), labels=tokens)


def _blip(which: int) -> None:
    config, captions, retrieval = _get(
        "blip", "BlipConfig", "BlipForConditionalGeneration", "BlipForImageTextRetrieval"
    )
    vision = _vit_sizes(which) | {"hidden_size": (30, 28)[which]}
    text = {
        **_encoder_sizes(which),
        "vocab_size": VOCABULARY[which],
        "encoder_hidden_size": vision["hidden_size"],
        "max_position_embeddings": (47, 53)[which],
        "bos_token_id": 3,
        "sep_token_id": 4,
    }
    made = config(
        text_config=text, vision_config=vision, projection_dim=(17, 19)[which], image_text_hidden_size=(13, 23)[which]
    )
    tokens = _tokens(which)
    side = vision["image_size"]
    captions(made).eval()(_images(which, side, side), input_ids=tokens, attention_mask=_mask(tokens), labels=tokens)
    retrieval(made).eval()(tokens, _images(which, side, side), attention_mask=_mask(tokens))
    retrieval(made).eval()(tokens, _images(which, side, side), attention_mask=_mask(tokens), use_itm_head=False)


def _wav2vec2(which: int) -> None:
    import torch

    config, speech, classifier = _get(
        "wav2vec2", "Wav2Vec2Config", "Wav2Vec2ForCTC", "Wav2Vec2ForSequenceClassification"
    )
    made = config(
        vocab_size=VOCABULARY[which],
        conv_dim=((8, 12, 18), (10, 14, 22))[which],
        conv_kernel=(10, 3, 3),
        conv_stride=(5, 2, 2),
        feat_extract_norm=("group", "layer")[which],
        do_stable_layer_norm=bool(which),
        num_conv_pos_embeddings=(16, 9)[which],
        num_conv_pos_embedding_groups=2,
        num_labels=TARGETS[which],
        classifier_proj_size=(13, 23)[which],
        mask_time_length=2,
        attn_implementation=ATTENTION[which],
        **_encoder_sizes(which),
    )
    waves = torch.randn(BATCH[which], (997, 1201)[which])
    mask = torch.ones_like(waves, dtype=torch.long)
    mask[0, -200:] = 0
    speech(made)(waves, attention_mask=mask, labels=_tokens(which, 4))
    classifier(made).eval()(waves, attention_mask=mask, labels=torch.randint(0, TARGETS[which], (BATCH[which],)))


def _whisper(which: int) -> None:
    import torch

    config, model = _get("whisper", "WhisperConfig", "WhisperForConditionalGeneration")
    mel, frames = (13, 17)[which], (19, 23)[which]
    made = config(
        vocab_size=VOCABULARY[which],
        num_mel_bins=mel,
        d_model=(24, 40)[which],
        encoder_layers=LAYERS[which],
        decoder_layers=LAYERS[which],
        encoder_attention_heads=(6, 4)[which],
        decoder_attention_heads=(4, 10)[which],
        encoder_ffn_dim=(37, 29)[which],
        decoder_ffn_dim=(31, 43)[which],
        max_source_positions=frames,
        max_target_positions=(47, 53)[which],
        decoder_start_token_id=3,
        pad_token_id=0,
        bos_token_id=3,
        eos_token_id=4,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        attn_implementation=ATTENTION[which],
    )
    sounds, tokens = torch.randn(BATCH[which], mel, 2 * frames), _tokens(which)
    whisper = model(made).eval()
    with torch.no_grad():
        whisper(sounds, labels=tokens)
        first = whisper(sounds, decoder_input_ids=tokens[:, :2], use_cache=True)
        whisper(
            sounds,
            encoder_outputs=(first.encoder_last_hidden_state,),
            decoder_input_ids=tokens[:, 2:],
            past_key_values=first.past_key_values,
            use_cache=True,
        )


def _nano_gpt(which: int) -> None:
    nano_gpt = import_module("nano_gpt")
    config = nano_gpt.GPTConfig(
        block_size=(13, 17)[which],
        vocab_size=VOCABULARY[which],
        n_layer=LAYERS[which],
        n_head=(4, 6)[which],
        n_embd=(20, 42)[which],
        bias=bool(which),
        flash=bool(which),
    )
    model = nano_gpt.GPT(config).eval()
    tokens = _tokens(which)
    model(tokens, targets=tokens)
    model.generate(tokens, max_new_tokens=12, top_k=6)
    model.crop_block_size(12)


MODELS = {
    model.name: model
    for model in (
        Model("nano_gpt", "nano_gpt", _nano_gpt, NANO_GPT),
        _transformers("llama", _llama),
        _transformers("gpt2", _gpt2),
        _transformers("qwen3", _qwen3),
        _transformers("mistral", _mistral),
        _transformers("bert", _bert),
        _transformers("roberta", _roberta),
        _transformers("distilbert", _distilbert),
        _transformers("t5", _t5),
        _transformers("bart", _bart),
        _transformers("vit", _vit),
        _transformers("convnext", _convnext),
        _transformers("clip", _clip),
        _transformers("llava", _llava),
        _transformers("blip", _blip),
        _transformers("wav2vec2", _wav2vec2),
        _transformers("whisper", _whisper),
    )
}
