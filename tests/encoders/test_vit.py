"""The Vision Transformer sees patches, and where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lab.encoders import InputSpec, ViT
from lab.encoders.files import load_encoder, save_encoder
from lab.errors import ConfigError

SMALL: dict[str, Any] = {"width": 8, "layers": 2, "heads": 2}


@pytest.mark.parametrize("overlap", [0, 2])
def test_features_are_a_map_of_patches(overlap: int, tmp_path: Path) -> None:
    encoder = ViT(InputSpec((3, 8, 12)), patch=4, overlap=overlap, **SMALL).eval()
    x = torch.rand(2, 3, 8, 12)
    assert encoder.features(x).shape == (2, 8, 2, 3)
    assert torch.allclose(encoder(x), encoder.features(x).mean((2, 3)), atol=1e-6)
    encoder(x).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())
    save_encoder(encoder, tmp_path)
    assert torch.equal(load_encoder(tmp_path)(x), encoder(x))


def test_one_patch_is_one_vector_of_its_pixels() -> None:
    """What a patch is before the first block follows from its own pixels alone."""
    encoder = ViT(InputSpec((1, 8, 8)), patch=4, **SMALL)
    x = torch.rand(1, 1, 8, 8)
    other = x.clone()
    other[..., :4, :4] += 1
    moved = (encoder.patches(x) - encoder.patches(other)).abs().sum(1)[0]
    assert moved[0, 0] > 0
    assert moved.flatten()[1:].sum() == 0


def test_places_count() -> None:
    torch.manual_seed(0)
    encoder = ViT(InputSpec((1, 8, 8)), patch=4, **SMALL).eval()
    x = torch.rand(1, 1, 8, 8)
    assert not torch.allclose(encoder(x), encoder(x.roll(4, dims=3)), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patch": 3}, "patches of 3 pixels do not divide images of 8x8"),
        ({"patch": 4, "overlap": 4}, "overlap by 0 to 3 pixels, received 4"),
        ({"patch": 4, "heads": 3}, "heads must divide the width 8"),
    ],
)
def test_impossible_patches(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ViT(InputSpec((1, 8, 8)), **{**SMALL, **settings})
