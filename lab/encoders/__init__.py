"""Encoders: their contract and their files, and one architecture per file in `networks`. No heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from lab.data.spec import InputSpec
    from lab.encoders.base import Encoder, EncoderFactory, EncoderSource, RecurrentEncoder
    from lab.encoders.combined import Combined
    from lab.encoders.networks.by_shape import ByShape
    from lab.encoders.networks.conv import Conv, ConvStage
    from lab.encoders.networks.embedding import Embedding
    from lab.encoders.networks.inception import Inception
    from lab.encoders.networks.log_mel import LogMel
    from lab.encoders.networks.mlp import MLP
    from lab.encoders.networks.recurrent import Recurrent
    from lab.encoders.networks.resnet import ResNet
    from lab.encoders.networks.temporal_conv import TemporalConv
    from lab.encoders.networks.text_conv import TextConv
    from lab.encoders.networks.transformer import Transformer
    from lab.encoders.networks.tree import Tree
    from lab.encoders.networks.vit import ViT
    from lab.encoders.pretrained import Pretrained

__all__ = [
    "MLP",
    "ByShape",
    "Combined",
    "Conv",
    "ConvStage",
    "Embedding",
    "Encoder",
    "EncoderFactory",
    "EncoderSource",
    "Inception",
    "InputSpec",
    "LogMel",
    "Pretrained",
    "Recurrent",
    "RecurrentEncoder",
    "ResNet",
    "TemporalConv",
    "TextConv",
    "Transformer",
    "Tree",
    "ViT",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "ByShape": "lab.encoders.networks.by_shape",
        "Combined": "lab.encoders.combined",
        "Conv": "lab.encoders.networks.conv",
        "ConvStage": "lab.encoders.networks.conv",
        "Embedding": "lab.encoders.networks.embedding",
        "Encoder": "lab.encoders.base",
        "EncoderFactory": "lab.encoders.base",
        "EncoderSource": "lab.encoders.base",
        "Inception": "lab.encoders.networks.inception",
        "InputSpec": "lab.data.spec",
        "LogMel": "lab.encoders.networks.log_mel",
        "MLP": "lab.encoders.networks.mlp",
        "Pretrained": "lab.encoders.pretrained",
        "Recurrent": "lab.encoders.networks.recurrent",
        "RecurrentEncoder": "lab.encoders.base",
        "ResNet": "lab.encoders.networks.resnet",
        "TemporalConv": "lab.encoders.networks.temporal_conv",
        "TextConv": "lab.encoders.networks.text_conv",
        "Transformer": "lab.encoders.networks.transformer",
        "Tree": "lab.encoders.networks.tree",
        "ViT": "lab.encoders.networks.vit",
    },
)
