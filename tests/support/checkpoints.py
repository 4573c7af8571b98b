"""Small checkpoints of the real architectures, with random weights, and their tokenizers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("timm")
pytest.importorskip("torchvision")
import transformers

SIZE = 32
TINY = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}
TINY_VISION = TINY | {"image_size": SIZE, "patch_size": 8}
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "sunny",
    "day",
    "at",
    "the",
    "##s",
    "sea",
    "день",
    "море",
    "海",
    "日",
]


def seeded(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """A network whose weights are always the same."""
    torch.manual_seed(1)
    model = build().eval()
    for module in model.modules():  # so that batch norms are not the identity
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    return model


def vit() -> torch.nn.Module:
    return transformers.ViTModel(transformers.ViTConfig(**TINY_VISION))


def vit_classifier() -> torch.nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig(**TINY_VISION))


def clip_tower() -> torch.nn.Module:
    return transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**TINY_VISION))


def clip() -> torch.nn.Module:
    text = TINY | {"vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2}
    return transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=TINY_VISION, projection_dim=16)
    )


def clip_with_texts() -> torch.nn.Module:
    """CLIP with the vocabulary of :func:`byte_pairs`."""
    text = TINY | {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1}
    return transformers.CLIPModel(
        transformers.CLIPConfig(text_config=text, vision_config=TINY_VISION, projection_dim=16)
    )


def siglip_tower() -> torch.nn.Module:
    return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**TINY_VISION))


def siglip() -> torch.nn.Module:
    text = TINY | {"vocab_size": 50, "projection_size": 32}
    return transformers.SiglipModel(
        transformers.SiglipConfig(text_config=text, vision_config=TINY_VISION)
    )


def word_pieces(folder: Path) -> None:
    """Tokenizer files as BERT's, DeBERTa's stand-in, and multilingual BERT's are published."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=32,
    ).save_pretrained(folder)


def byte_pairs(folder: Path) -> None:
    """Tokenizer files as RoBERTa's."""
    from tokenizers import ByteLevelBPETokenizer, processors

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        ["a sunny day at the sea"] * 5,
        vocab_size=300,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    )
    trained.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=32,
    ).save_pretrained(folder)


TEXT_MODELS = {
    "bert": (
        word_pieces,
        lambda: transformers.BertModel(transformers.BertConfig(**TINY, vocab_size=20)),
    ),
    "roberta": (
        byte_pairs,
        lambda: transformers.RobertaModel(transformers.RobertaConfig(**TINY, vocab_size=400)),
    ),
    "deberta-v2": (
        word_pieces,
        lambda: transformers.DebertaV2Model(
            transformers.DebertaV2Config(
                **TINY,
                vocab_size=20,
                relative_attention=True,
                pos_att_type=["p2c", "c2p"],
                position_buckets=16,
            )
        ),
    ),
}
