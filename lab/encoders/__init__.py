"""Encoders: one contract (`base`), one architecture per file, at home under every paradigm of the lab."""

from lab.encoders.base import Encoder, EncoderFactory
from lab.encoders.by_shape import ByShape
from lab.encoders.combined import Combined
from lab.encoders.conv import Conv, ConvStage
from lab.encoders.mlp import MLP
from lab.encoders.pretrained import Pretrained
from lab.encoders.recurrent import Recurrent
from lab.encoders.resnet import ResNet
from lab.spec import InputSpec

__all__ = [
    "MLP",
    "ByShape",
    "Combined",
    "Conv",
    "ConvStage",
    "Encoder",
    "EncoderFactory",
    "InputSpec",
    "Pretrained",
    "Recurrent",
    "ResNet",
]
