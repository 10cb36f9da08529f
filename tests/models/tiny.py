"""Configs of transformers' models small enough to be made in a test; their sizes are distinct primes."""

from transformers import (
    BertConfig,
    BloomConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    OPTConfig,
    Qwen2Config,
    RobertaConfig,
)

VOCAB, WIDTH, LAYERS, LENGTHS = 37, 13, 2, (7, 2, 5, 1, 11)
_NO_ENDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
_ROTARY = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": 17,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 22,
    "max_position_embeddings": 31,
    **_NO_ENDS,
}
_ENCODER = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": 17,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 1,
    "max_position_embeddings": 31,
}


def gpt2(**changes):
    return GPT2Config(
        **{
            "vocab_size": VOCAB,
            "n_embd": WIDTH,
            "n_layer": LAYERS,
            "n_head": 1,
            "n_positions": 31,
            **_NO_ENDS,
            **changes,
        }
    )


def llama(**changes):
    return LlamaConfig(**{**_ROTARY, **changes})


def qwen(**changes):
    return Qwen2Config(**{**_ROTARY, "hidden_size": 14, **changes})


def bert(**changes):
    return BertConfig(**{**_ENCODER, **changes})


def roberta(**changes):
    return RobertaConfig(**{**_ENCODER, **changes})


def opt(**changes):
    """Its first and last layers are narrower than those between."""
    return OPTConfig(
        **{
            "vocab_size": VOCAB,
            "hidden_size": WIDTH,
            "word_embed_proj_dim": 11,
            "do_layer_norm_before": False,
            "ffn_dim": 17,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": 1,
            "max_position_embeddings": 31,
            **changes,
        }
    )


def bloom(**changes):
    return BloomConfig(**{"vocab_size": VOCAB, "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": 1, **changes})


def mamba(**changes):
    return MambaConfig(
        **{"vocab_size": VOCAB, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "state_size": 5, **changes}
    )
