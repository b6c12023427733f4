"""Damaged images are restored better than by simple ways, and what is done to them is what is said."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import lab
from lab.data.spec import Classes, DataSpec, InputSpec
from lab.errors import ConfigError
from supervised.restoration import Denoiser, SuperResolver
from supervised.restoration.damage import Noise, Shrink, median
from supervised.restoration.restorer import signal

DIGITS: dict[str, Any] = {"data.name": "digits", "threads": 1, "trainer.max_epochs": 6, "data.batch_size": 32}


def test_signal_of_a_known_error() -> None:
    x = torch.zeros(2, 1, 4, 4)
    made = x.clone()
    made[0] += 0.1
    assert signal(made, x).tolist() == pytest.approx([20, 100], abs=1e-3)


def test_shrunk_pixels_are_means() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4) / 16
    assert torch.allclose(Shrink(2)(x)[0, 0], torch.tensor([[2.5, 4.5], [10.5, 12.5]]) / 16)


def test_noise_is_cut_off_and_follows_its_generator() -> None:
    x = torch.full((1, 1, 50, 50), 0.5)
    first, again = (Noise(0.2)(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.std().item() == pytest.approx(0.2, abs=0.02)
    assert 0 <= first.min() < first.max() <= 1


def test_median_agrees_with_scipy() -> None:
    from scipy.ndimage import median_filter

    x = torch.rand(2, 1, 6, 7)
    expected = median_filter(x.numpy(), size=(1, 1, 3, 3), mode="nearest")
    assert torch.allclose(median(x, 3), torch.from_numpy(expected))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("superres-mnist", {"model.filters": 8, "model.blocks": 1}),
        pytest.param("denoise-mnist", {"model.widths": [8, 16]}, marks=pytest.mark.slow),
    ],
)
def test_network_beats_simple_ways(name: str, settings: dict[str, Any]) -> None:
    run = lab.run(name, DIGITS | settings, runs_dir="runs")
    simple = max(figures["test/psnr"] for figures in run.baselines.values())
    assert (run.metrics["test/psnr"] or 0) > simple + 0.5
    assert (run.dir / "media" / "restored-00000006.png").is_file()


def test_untrained_networks_change_little() -> None:
    spec = DataSpec(InputSpec((1, 8, 8)), Classes(2))
    x = torch.rand(3, 1, 8, 8)
    enlarging, denoising = SuperResolver(spec, factor=2).eval(), Denoiser(spec).eval()
    small = enlarging.damage(x)
    assert torch.allclose(enlarging(small), enlarging.damage.simple()["bicubic"](small), atol=1e-6)
    assert torch.allclose(denoising(x), x, atol=1e-6)


def test_odd_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"must divide the images' 6 x 8 pixels, received 4"):
        SuperResolver(DataSpec(InputSpec((1, 6, 8)), Classes(2)), factor=4)
