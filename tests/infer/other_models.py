"""Models of other families than those in the zoo, for a second look that nothing was tuned to."""

from __future__ import annotations

from model_zoo import (
    ATTENTION,
    BATCH,
    TARGETS,
    VOCABULARY,
    _encoder_sizes,
    _get,
    _images,
    _mask,
    _tokens,
    _transformers,
)


def _labels(which):
    import torch

    return torch.randint(0, TARGETS[which], (BATCH[which],))


def _causal(config, model, which, attention=True, **sizes):
    import torch

    extra = {"attn_implementation": ATTENTION[which]} if attention else {"attn_implementation": "eager"}
    made = model(config(vocab_size=VOCABULARY[which], **extra, **sizes)).eval()
    tokens = _tokens(which)
    with torch.no_grad():
        made(input_ids=tokens, attention_mask=_mask(tokens), labels=tokens)
        first = made(input_ids=tokens[:, :4], use_cache=True)
        made(input_ids=tokens[:, 4:], past_key_values=first.past_key_values, use_cache=True)


def _falcon(which):
    config, model = _get("falcon", "FalconConfig", "FalconForCausalLM")
    _causal(
        config,
        model,
        which,
        hidden_size=(24, 40)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        ffn_hidden_size=(37, 29)[which],
        alibi=bool(which),
        new_decoder_architecture=not which,
        num_kv_heads=2,
        multi_query=bool(which),
        pad_token_id=0,
    )


def _gpt_neox(which):
    config, model, classifier = _get(
        "gpt_neox", "GPTNeoXConfig", "GPTNeoXForCausalLM", "GPTNeoXForSequenceClassification"
    )
    sizes = {
        "hidden_size": (24, 48)[which],
        "num_hidden_layers": 2,
        "num_attention_heads": (3, 4)[which],
        "intermediate_size": (37, 29)[which],
        "max_position_embeddings": (47, 53)[which],
        "use_parallel_residual": bool(which),
        "pad_token_id": 0,
    }
    _causal(config, model, which, **sizes)
    tokens = _tokens(which)
    classifier(config(vocab_size=VOCABULARY[which], num_labels=TARGETS[which], **sizes)).eval()(
        input_ids=tokens, labels=_labels(which)
    )


def _phi(which):
    config, model = _get("phi", "PhiConfig", "PhiForCausalLM")
    _causal(
        config,
        model,
        which,
        hidden_size=(24, 48)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        num_key_value_heads=2,
        qk_layernorm=bool(which),
        intermediate_size=(37, 29)[which],
        max_position_embeddings=(47, 53)[which],
        pad_token_id=0,
    )


def _gemma2(which):
    config, model = _get("gemma2", "Gemma2Config", "Gemma2ForCausalLM")
    _causal(
        config,
        model,
        which,
        False,
        hidden_size=(24, 40)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        num_key_value_heads=2,
        head_dim=(8, 14)[which],
        sliding_window=(6, 9)[which],
        intermediate_size=(37, 29)[which],
        max_position_embeddings=(47, 53)[which],
        pad_token_id=0,
    )


def _qwen2_moe(which):
    config, model = _get("qwen2_moe", "Qwen2MoeConfig", "Qwen2MoeForCausalLM")
    _causal(
        config,
        model,
        which,
        hidden_size=(24, 40)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        num_key_value_heads=2,
        moe_intermediate_size=(16, 24)[which],
        experts_implementation=("eager", "batched_mm")[which],
        shared_expert_intermediate_size=(19, 23)[which],
        num_experts=(6, 10)[which],
        num_experts_per_tok=(2, 3)[which],
        output_router_logits=True,
        intermediate_size=(37, 29)[which],
        max_position_embeddings=(47, 53)[which],
        pad_token_id=0,
    )


def _opt(which):
    config, model = _get("opt", "OPTConfig", "OPTForCausalLM")
    _causal(
        config,
        model,
        which,
        hidden_size=(24, 40)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        ffn_dim=(37, 29)[which],
        max_position_embeddings=(47, 53)[which],
        word_embed_proj_dim=(14, 18)[which],
        do_layer_norm_before=bool(which),
    )


def _mpt(which):
    config, model = _get("mpt", "MptConfig", "MptForCausalLM")
    _causal(
        config,
        model,
        which,
        False,
        d_model=(24, 40)[which],
        n_layers=2,
        n_heads=(6, 4)[which],
        max_seq_len=(47, 53)[which],
        expansion_ratio=(3, 2)[which],
    )


def _bloom(which):
    config, model = _get("bloom", "BloomConfig", "BloomForCausalLM")
    _causal(config, model, which, False, hidden_size=(24, 40)[which], n_layer=2, n_head=(6, 4)[which])


def _heads(model, config, heads, which, attention=True, **sizes):
    """A language model's head, a sequence's, a token's and a question's, by name."""
    import torch

    config, *kinds = _get(model, config, *heads)
    made = config(
        vocab_size=VOCABULARY[which],
        max_position_embeddings=(47, 53)[which],
        num_labels=TARGETS[which],
        attn_implementation=ATTENTION[which] if attention else "eager",
        **_encoder_sizes(which),
        **sizes,
    )
    tokens = _tokens(which)
    for kind in sorted(kinds, key=lambda kind: "Question" in kind.__name__):
        name = kind.__name__
        if "SequenceCl" in name:
            keywords = {"labels": _labels(which)}
        elif "TokenCl" in name:
            keywords = {"labels": torch.randint(0, TARGETS[which], tokens.shape)}
        elif "Question" in name:
            made.num_labels = 2
            keywords = {
                "start_positions": torch.tensor([1] * BATCH[which]),
                "end_positions": torch.tensor([3] * BATCH[which]),
            }
        elif name == "AlbertForPreTraining":
            import copy

            two = copy.deepcopy(made)
            two.num_labels = 2
            kind(two).eval()(
                input_ids=tokens,
                attention_mask=_mask(tokens),
                labels=tokens,
                sentence_order_label=torch.zeros(BATCH[which], dtype=torch.long),
            )
            continue
        elif "PreTraining" in name:
            keywords = {"labels": tokens} | (
                {"sentence_order_label": torch.zeros(BATCH[which], dtype=torch.long)} if model == "albert" else {}
            )
        else:
            keywords = {"labels": tokens}
        kind(made).eval()(input_ids=tokens, attention_mask=_mask(tokens), **keywords)


def _electra(which):
    _heads(
        "electra",
        "ElectraConfig",
        (
            "ElectraForMaskedLM",
            "ElectraForPreTraining",
            "ElectraForSequenceClassification",
            "ElectraForTokenClassification",
            "ElectraForQuestionAnswering",
        ),
        which,
        embedding_size=(14, 18)[which],
    )


def _albert(which):
    _heads(
        "albert",
        "AlbertConfig",
        (
            "AlbertForMaskedLM",
            "AlbertForPreTraining",
            "AlbertForSequenceClassification",
            "AlbertForTokenClassification",
            "AlbertForQuestionAnswering",
        ),
        which,
        embedding_size=(14, 18)[which],
        num_hidden_groups=(2, 1)[which],
    )


def _deberta_v2(which):
    _heads(
        "deberta_v2",
        "DebertaV2Config",
        (
            "DebertaV2ForMaskedLM",
            "DebertaV2ForSequenceClassification",
            "DebertaV2ForTokenClassification",
            "DebertaV2ForQuestionAnswering",
        ),
        which,
        False,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        position_buckets=(5, 8)[which],
        norm_rel_ebd="layer_norm",
        share_att_key=bool(which),
        conv_kernel_size=(3, 0)[which],
        legacy=bool(which),
        type_vocab_size=(0, 2)[which],
    )


def _esm(which):
    _heads(
        "esm",
        "EsmConfig",
        ("EsmForMaskedLM", "EsmForSequenceClassification", "EsmForTokenClassification"),
        which,
        pad_token_id=1,
        mask_token_id=2,
        position_embedding_type=("rotary", "absolute")[which],
        token_dropout=True,
    )


def _fnet(which):
    _heads("fnet", "FNetConfig", ("FNetForMaskedLM",), which, False)


def _seq2seq(made, which):
    import torch

    made = made.eval()
    tokens = _tokens(which)
    targets = _tokens(which, (9, 13)[which])
    with torch.no_grad():
        made(input_ids=tokens, attention_mask=_mask(tokens), labels=targets)
        first = made(input_ids=tokens, decoder_input_ids=targets[:, :3], use_cache=True)
        from transformers.modeling_outputs import BaseModelOutput

        made(
            encoder_outputs=BaseModelOutput(last_hidden_state=first.encoder_last_hidden_state),
            decoder_input_ids=targets[:, 3:4] if "Prophet" in type(made).__name__ else targets[:, 3:],
            past_key_values=first.past_key_values,
            use_cache=True,
        )


def _bart_sizes(which):
    return {
        "vocab_size": VOCABULARY[which],
        "d_model": (24, 40)[which],
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": (6, 4)[which],
        "decoder_attention_heads": (4, 10)[which],
        "encoder_ffn_dim": (37, 29)[which],
        "decoder_ffn_dim": (31, 43)[which],
        "max_position_embeddings": (47, 53)[which],
        "attn_implementation": ATTENTION[which],
    }


def _mbart(which):
    config, model, classifier = _get(
        "mbart", "MBartConfig", "MBartForConditionalGeneration", "MBartForSequenceClassification"
    )
    _seq2seq(model(config(**_bart_sizes(which))), which)
    tokens = _tokens(which)
    tokens[:, -1] = 2
    classifier(config(num_labels=TARGETS[which], **_bart_sizes(which))).eval()(input_ids=tokens, labels=_labels(which))


def _pegasus(which):
    config, model = _get("pegasus", "PegasusConfig", "PegasusForConditionalGeneration")
    _seq2seq(model(config(**_bart_sizes(which))), which)


def _longt5(which):
    config, model = _get("longt5", "LongT5Config", "LongT5ForConditionalGeneration")
    _seq2seq(
        model(
            config(
                vocab_size=VOCABULARY[which],
                d_model=(24, 40)[which],
                d_kv=(7, 9)[which],
                d_ff=(37, 29)[which],
                num_layers=2,
                num_heads=(6, 4)[which],
                local_radius=(3, 4)[which],
                global_block_size=(4, 3)[which],
                relative_attention_num_buckets=(8, 12)[which],
                encoder_attention_type=("local", "transient-global")[which],
                feed_forward_proj=("relu", "gated-gelu")[which],
                decoder_start_token_id=0,
            )
        ),
        which,
    )


def _prophetnet(which):
    config, model = _get("prophetnet", "ProphetNetConfig", "ProphetNetForConditionalGeneration")
    _seq2seq(
        model(
            config(
                vocab_size=VOCABULARY[which],
                hidden_size=(24, 40)[which],
                encoder_ffn_dim=(37, 29)[which],
                decoder_ffn_dim=(31, 43)[which],
                num_encoder_layers=2,
                num_decoder_layers=2,
                num_encoder_attention_heads=(6, 4)[which],
                num_decoder_attention_heads=(4, 10)[which],
                max_position_embeddings=(47, 53)[which],
                ngram=(2, 3)[which],
                num_buckets=(8, 12)[which],
                relative_max_distance=(17, 19)[which],
            )
        ),
        which,
    )


def _vision(which):
    return _encoder_sizes(which) | {
        "image_size": (28, 30)[which],
        "patch_size": (7, 5)[which],
        "num_labels": TARGETS[which],
    }


def _swin(which):
    import torch

    config, classifier, masked = _get("swin", "SwinConfig", "SwinForImageClassification", "SwinForMaskedImageModeling")
    side = (48, 40)[which]
    made = config(
        image_size=side,
        patch_size=(4, 2)[which],
        embed_dim=(12, 20)[which],
        depths=(2, 2),
        num_heads=((2, 4), (4, 5))[which],
        window_size=(6, 5)[which],
        num_labels=TARGETS[which],
        attn_implementation=ATTENTION[which],
        encoder_stride=(8, 4)[which],
        use_absolute_embeddings=bool(which),
    )
    classifier(made).eval()(_images(which, side, side), labels=_labels(which))
    patches = (side // made.patch_size) ** 2
    masked(made).eval()(_images(which, side, side), bool_masked_pos=torch.randint(0, 2, (BATCH[which], patches)).bool())


def _deit(which):
    import torch

    config, *kinds, masked = _get(
        "deit",
        "DeiTConfig",
        "DeiTForImageClassification",
        "DeiTForImageClassificationWithTeacher",
        "DeiTForMaskedImageModeling",
    )
    made = config(**_vision(which), attn_implementation=ATTENTION[which], encoder_stride=(7, 5)[which])
    side = made.image_size
    kinds[0](made).eval()(_images(which, side, side), labels=_labels(which))
    kinds[1](made).eval()(_images(which, side, side))
    masked(made).eval()(
        _images(which, side, side),
        bool_masked_pos=torch.randint(0, 2, (BATCH[which], (side // made.patch_size) ** 2)).bool(),
    )


def _beit(which):
    config, classifier, segmenter = _get(
        "beit", "BeitConfig", "BeitForImageClassification", "BeitForSemanticSegmentation"
    )
    keywords = _vision(which) | {"num_hidden_layers": 4}
    made = config(
        **keywords,
        use_relative_position_bias=not which,
        use_shared_relative_position_bias=bool(which),
        use_absolute_position_embeddings=bool(which),
        attn_implementation=ATTENTION[which],
        out_indices=[1, 2, 3, 4],
        auxiliary_channels=(11, 13)[which],
        use_mask_token=False,
    )
    side = made.image_size
    import torch

    classifier(made).eval()(_images(which, side, side), labels=_labels(which))
    segmenter(made).eval()(
        _images(which, side, side), labels=torch.randint(0, TARGETS[which], (BATCH[which], side, side))
    )


def _dinov2(which):
    config, classifier, backbone = _get("dinov2", "Dinov2Config", "Dinov2ForImageClassification", "Dinov2Backbone")
    made = config(**_vision(which), attn_implementation=ATTENTION[which], use_swiglu_ffn=bool(which))
    side = made.image_size
    classifier(made).eval()(_images(which, side, side), labels=_labels(which))
    backbone(made).eval()(_images(which, 42 if not which else 40, 56 if not which else 35))


def _resnet(which):
    config, classifier = _get("resnet", "ResNetConfig", "ResNetForImageClassification")
    made = config(
        embedding_size=(8, 10)[which],
        hidden_sizes=((12, 16, 20, 28), (14, 18, 22, 26))[which],
        depths=(2, 2, 3, 2),
        layer_type=("basic", "bottleneck")[which],
        num_labels=TARGETS[which],
    )
    classifier(made).eval()(_images(which, (96, 128)[which], (128, 64)[which]), labels=_labels(which))


def _segformer(which):
    import torch

    config, classifier, segmenter = _get(
        "segformer", "SegformerConfig", "SegformerForImageClassification", "SegformerForSemanticSegmentation"
    )
    made = config(
        hidden_sizes=((8, 12, 20, 28), (10, 16, 24, 30))[which],
        num_attention_heads=((2, 3, 4, 7), (5, 4, 6, 3))[which],
        num_labels=TARGETS[which],
        decoder_hidden_size=(17, 19)[which],
    )
    height, width = (96, 128)[which], (128, 64)[which]
    classifier(made).eval()(_images(which, height, width), labels=_labels(which))
    segmenter(made).eval()(
        _images(which, height, width), labels=torch.randint(0, TARGETS[which], (BATCH[which], height, width))
    )


def _siglip(which):
    config, model, classifier = _get("siglip", "SiglipConfig", "SiglipModel", "SiglipForImageClassification")
    vision = _vision(which) | {"hidden_size": (30, 28)[which]}
    text = _encoder_sizes(which) | {
        "vocab_size": VOCABULARY[which],
        "max_position_embeddings": (47, 53)[which],
        "projection_size": (30, 28)[which],
    }
    made = config(
        text_config=text, vision_config=vision, attn_implementation=ATTENTION[which], num_labels=TARGETS[which]
    )
    tokens = _tokens(which)
    side = vision["image_size"]
    model(made).eval()(
        input_ids=tokens, attention_mask=_mask(tokens), pixel_values=_images(which, side, side), return_loss=True
    )
    classifier(made).eval()(_images(which, side, side), labels=_labels(which))


def _git(which):
    import torch

    config, model = _get("git", "GitConfig", "GitForCausalLM")
    vision = _vision(which) | {"hidden_size": (30, 28)[which]}
    made = config(
        vision_config=vision,
        vocab_size=VOCABULARY[which],
        max_position_embeddings=(47, 53)[which],
        bos_token_id=3,
        eos_token_id=4,
        attn_implementation="eager",
        **_encoder_sizes(which),
    )
    tokens = _tokens(which)
    side = vision["image_size"]
    git = model(made).eval()
    git(input_ids=tokens, attention_mask=_mask(tokens), pixel_values=_images(which, side, side), labels=tokens)
    with torch.no_grad():
        git(input_ids=tokens)


def _detr(which):
    import torch

    config, model = _get("detr", "DetrConfig", "DetrForObjectDetection")
    from transformers import ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8,
        hidden_sizes=(12, 16, 20, 28),
        depths=(1, 1, 1, 1),
        layer_type="basic",
        out_features=["stage4"],
    )
    made = config(
        use_timm_backbone=False,
        backbone=None,
        use_pretrained_backbone=False,
        backbone_config=backbone,
        d_model=(24, 40)[which],
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=(6, 4)[which],
        decoder_attention_heads=(4, 10)[which],
        encoder_ffn_dim=(37, 29)[which],
        decoder_ffn_dim=(31, 43)[which],
        num_queries=(14, 18)[which],
        num_labels=TARGETS[which],
        attn_implementation="eager",
    )
    height, width = (96, 128)[which], (128, 64)[which]
    with torch.no_grad():
        model(made).eval()(_images(which, height, width))


def _sam(which):
    import torch

    config, model = _get("sam", "SamConfig", "SamModel")
    vision = {
        "hidden_size": (24, 40)[which],
        "output_channels": (16, 24)[which],
        "num_hidden_layers": 2,
        "num_attention_heads": (6, 4)[which],
        "image_size": (48, 60)[which],
        "patch_size": (6, 5)[which],
        "window_size": (3, 5)[which],
        "global_attn_indexes": [1],
        "mlp_dim": (37, 29)[which],
        "num_pos_feats": (8, 12)[which],
    }
    mask = {
        "hidden_size": (16, 24)[which],
        "mlp_dim": (31, 43)[which],
        "num_hidden_layers": 2,
        "num_attention_heads": (2, 4)[which],
        "iou_head_hidden_dim": (13, 17)[which],
    }
    prompt = {
        "hidden_size": (16, 24)[which],
        "image_size": vision["image_size"],
        "patch_size": vision["patch_size"],
        "mask_input_channels": (8, 12)[which],
    }
    made = config(vision_config=vision, mask_decoder_config=mask, prompt_encoder_config=prompt)
    side = vision["image_size"]
    with torch.no_grad():
        model(made).eval()(_images(which, side, side), input_points=torch.rand(BATCH[which], 2, 4, 2) * side)


def _hubert_sizes(which):
    return dict(
        vocab_size=VOCABULARY[which],
        conv_dim=((8, 12, 18), (10, 14, 22))[which],
        conv_kernel=(10, 3, 3),
        conv_stride=(5, 2, 2),
        feat_extract_norm=("group", "layer")[which],
        num_conv_pos_embeddings=(16, 9)[which],
        num_conv_pos_embedding_groups=2,
        num_labels=TARGETS[which],
        classifier_proj_size=(13, 23)[which],
        mask_time_length=2,
        attn_implementation=ATTENTION[which],
        **_encoder_sizes(which),
    )


def _speech(which, speech, classifier, made):
    import torch

    waves = torch.randn(BATCH[which], (997, 1201)[which])
    mask = torch.ones_like(waves, dtype=torch.long)
    mask[0, -200:] = 0
    speech(made)(waves, attention_mask=mask, labels=_tokens(which, 4))
    classifier(made).eval()(waves, attention_mask=mask, labels=_labels(which))


def _hubert(which):
    config, *kinds = _get("hubert", "HubertConfig", "HubertForCTC", "HubertForSequenceClassification")
    _speech(which, *kinds, config(**_hubert_sizes(which), do_stable_layer_norm=bool(which)))


def _sew(which):
    config, *kinds = _get("sew", "SEWConfig", "SEWForCTC", "SEWForSequenceClassification")
    _speech(which, *kinds, config(**_hubert_sizes(which), squeeze_factor=(2, 3)[which]))


def _mamba(which):
    import torch

    config, model = _get("mamba", "MambaConfig", "MambaForCausalLM")
    made = model(
        config(
            vocab_size=VOCABULARY[which],
            hidden_size=(24, 40)[which],
            state_size=(7, 9)[which],
            num_hidden_layers=2,
            expand=2,
            conv_kernel=(4, 3)[which],
            time_step_rank=(5, 6)[which],
            use_mambapy=bool(which),
        )
    ).eval()
    tokens = _tokens(which)
    made(input_ids=tokens, labels=tokens)
    made.train()(input_ids=tokens, labels=tokens)
    with torch.no_grad():
        first = made.eval()(input_ids=tokens[:, :4], use_cache=True)
        made(input_ids=tokens[:, 4:5], cache_params=first.cache_params, use_cache=True)


def _vits(which):
    import torch

    config, model = _get("vits", "VitsConfig", "VitsModel")
    made = config(
        vocab_size=VOCABULARY[which],
        hidden_size=(24, 40)[which],
        num_hidden_layers=2,
        num_attention_heads=(6, 4)[which],
        window_size=(4, 3)[which],
        ffn_dim=(37, 29)[which],
        flow_size=(16, 24)[which],
        spectrogram_bins=(33, 41)[which],
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=2,
        posterior_encoder_num_wavenet_layers=2,
        upsample_initial_channel=(32, 48)[which],
        duration_predictor_num_flows=2,
    )
    tokens = _tokens(which)
    with torch.no_grad():
        model(made).eval()(input_ids=tokens, attention_mask=_mask(tokens))


NAMES = [
    "falcon",
    "gpt_neox",
    "phi",
    "gemma2",
    "qwen2_moe",
    "opt",
    "mpt",
    "bloom",
    "electra",
    "albert",
    "deberta_v2",
    "esm",
    "fnet",
    "mbart",
    "pegasus",
    "longt5",
    "prophetnet",
    "swin",
    "deit",
    "beit",
    "dinov2",
    "resnet",
    "segformer",
    "siglip",
    "git",
    "detr",
    "sam",
    "hubert",
    "sew",
    "mamba",
    "vits",
]


OTHERS = {name: _transformers(name, globals()["_" + name]) for name in NAMES}
