from __future__ import annotations

from typing import Any

import pytest
import torch

from lab.data.spec import InputSpec
from lab.errors import ConfigError
from lab.nn.decoders import ConvDecoder, MLPDecoder

IMAGE = InputSpec((1, 8, 8))


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        (InputSpec((6,)), (6,)),
        (InputSpec((5, 3)), (5, 3)),
        (IMAGE, (1, 8, 8)),
        (InputSpec((5, 1, 4, 4)), (5, 1, 4, 4)),
        (InputSpec((5,), "int64", vocab=7), (5, 7)),
    ],
)
def test_logits_of_any_form(spec: InputSpec, shape: tuple[int, ...]) -> None:
    decoder = MLPDecoder(spec, 4, hidden=[3])
    assert decoder.shape == shape
    assert decoder(torch.randn(2, 4)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("spec", "settings", "sentence"),
    [
        (InputSpec((6,)), {"shapes": [(1, 8, 8)], "kernels": []}, r"ConvDecoder needs images of shape \(C, H, W\)"),
        (IMAGE, {"shapes": [(4, 4, 4), (1, 9, 9)], "kernels": [3]}, r"the image, \(1, 8, 8\), received \(1, 9, 9\)"),
        (IMAGE, {"shapes": [], "kernels": []}, "received none"),
        (IMAGE, {"shapes": [(4, 4, 4), (1, 8, 8)], "kernels": [3, 3]}, "each of its 1 stages, received 2"),
    ],
)
def test_what_a_conv_decoder_needs(spec: InputSpec, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ConvDecoder(spec, 4, **settings)
