from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.configuration import load
from lab.data import Images
from lab.data.augment import Augment, cutout, flip, scale, shift, thicken, warp
from lab.data.batch import Batch
from lab.data.batches import TensorBatches
from lab.errors import ConfigError


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int = 200, height: int = 5, width: int = 7) -> Tensor:
    return torch.rand(count, 2, height, width, generator=drawn()) + 0.1


def test_shifts_are_uniform() -> None:
    x = images()
    moved = shift(x, drawn(), pixels=1)
    places = []
    for before, after in zip(x, moved, strict=True):
        padded = torch.nn.functional.pad(before, (1, 1, 1, 1))
        crops = {(i, j): padded[:, i : i + 5, j : j + 7] for i in range(3) for j in range(3)}
        (place,) = (place for place, crop in crops.items() if torch.equal(crop, after))
        places.append(place)
    counts = [places.count(place) for place in set(places)]
    assert len(counts) == 9
    assert min(counts) > 8
    assert torch.equal(shift(x, drawn(), pixels=0), x)


def test_half_are_mirrored() -> None:
    x = images()
    mirrored = [torch.equal(after, before.flip(2)) for before, after in zip(x, flip(x, drawn()), strict=True)]
    kept = [torch.equal(after, before) for before, after in zip(x, flip(x, drawn()), strict=True)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True))
    assert 75 < sum(mirrored) < 125
    assert torch.equal(flip(x, drawn(), probability=0), x)


@pytest.mark.parametrize(("height", "width"), [(33, 33), (33, 65)])
def test_turns_keep_distances(height: int, width: int) -> None:
    """A dot right of the centre stays as far from it, at an angle below the bound."""
    x = torch.zeros(100, 1, height, width)
    x[:, 0, height // 2, width // 2 + 12] = 1
    turned = warp(x, drawn(), degrees=30)
    rows, columns = (torch.arange(n).float() - n // 2 for n in (height, width))
    mass = turned.sum((1, 2, 3))
    down = (turned.sum((1, 3)) * rows).sum(1) / mass
    right = (turned.sum((1, 2)) * columns).sum(1) / mass
    assert torch.allclose((down.square() + right.square()).sqrt(), torch.tensor(12.0), atol=0.3)
    angle = torch.atan2(down, right).rad2deg()
    assert angle.abs().max() < 31
    assert angle.min() < -20
    assert angle.max() > 20
    assert torch.allclose(warp(x, drawn()), x, atol=1e-5)


ALL = Augment(shift=1, flip=True, rotate=5, scale=0.2, cutout=2, noise=0.1, stretch=0.2, shear=10, stroke=0.5)


@pytest.mark.parametrize("augment", [Augment(shift=2), Augment(flip=True), Augment(rotate=10), ALL])
def test_changes_follow_the_generator(augment: Augment) -> None:
    batch = Batch(images(), torch.arange(200))
    (x, y), (again, _), (other, _) = (augment(batch, drawn(seed)) for seed in (1, 1, 2))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert x.shape == images().shape
    assert torch.equal(y, torch.arange(200))
    assert torch.equal(batch.inputs, images()), "the images themselves stay as they are"  # type: ignore[arg-type]


def test_no_change_by_default() -> None:
    assert Augment()(batch := Batch(images()), drawn()).inputs is batch.inputs


def test_changes_resume_exactly() -> None:
    def loader() -> TensorBatches:
        same = torch.rand(1, 1, 9, 9, generator=drawn()).expand(12, 1, 9, 9)
        return TensorBatches(same, batch_size=4, seed=3, transform=Augment(shift=2, rotate=10))

    whole = loader()
    everything = [x for _ in range(2) for x, _ in whole]
    assert all(not torch.equal(a, b) for i, a in enumerate(everything) for b in everything[:i])
    resumed = loader()
    resumed.load_state_dict({"epoch": 0, "batch": 2})
    assert all(map(torch.equal, [x for _ in range(2) for x, _ in resumed], everything[2:]))


def test_config_names_the_changes() -> None:
    config = load("cnn-mnist", ["--data.augment.shift=2", "--data.augment.rotate=7.5"]).build()
    assert config.data.augment == Augment(shift=2, rotate=7.5)  # type: ignore[attr-defined]
    assert load("cnn-mnist").build().data.augment is None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"data\.augment\.shfit'; did you mean 'data\.augment\.shift'"):
        load("cnn-mnist", ["--data.augment.shfit=2"])
    with pytest.raises(ConfigError, match=r"data\.augment\.shift must be >= 0, received -1"):
        load("cnn-mnist", ["--data.augment.shift=-1"])


@pytest.mark.parametrize("augment", [Augment(shift=28), Augment(cutout=28), Augment(shear=90)])
def test_changes_that_leave_nothing_are_refused(augment: Augment) -> None:
    data = Images(name="digits", augment=augment)
    with pytest.raises(ConfigError, match=r"data\.augment\.\w+ must be below"):
        data.prepare()


def test_sizes_keep_the_centre() -> None:
    """A square in the middle gets larger or smaller by the share that was drawn, and stays there."""
    x = torch.zeros(200, 1, 40, 60)
    x[:, :, 10:30, 20:40] = 1
    scaled = scale(x, drawn(), most=0.2)
    factors = (scaled.sum((1, 2, 3)) / 400).sqrt()
    assert factors.min() == pytest.approx(0.8, abs=0.03)
    assert factors.max() == pytest.approx(1.2, abs=0.03)
    assert factors.mean() == pytest.approx(1, abs=0.03)
    columns = (scaled.sum((1, 2)) * torch.arange(60)).sum(1) / scaled.sum((1, 2, 3))
    assert torch.allclose(columns, torch.tensor(29.5), atol=0.1)


def test_holes_are_squares_about_any_pixel() -> None:
    x = images(2_000, 9, 11)
    holes = (cutout(x, drawn(), side=3) == 0).all(1)
    assert torch.equal(cutout(x, drawn(), side=3)[~holes[:, None].expand_as(x)], x[~holes[:, None].expand_as(x)])
    assert {int(hole.any(1).sum()) for hole in holes} == {2, 3}, "cut off at the border"
    areas = holes.sum((1, 2))
    assert areas.max() == 9
    assert areas.min() == 4
    middle = (areas == 9).float().mean().item()
    assert middle == pytest.approx(7 * 9 / (9 * 11), abs=0.04), "all centres are equally likely"


def test_noise_has_its_deviation() -> None:
    x = torch.full((50, 1, 20, 20), 0.5)
    noisy, _ = Augment(noise=0.1)(Batch(x), drawn())
    assert noisy.std().item() == pytest.approx(0.1, abs=0.002)
    assert noisy.mean().item() == pytest.approx(0.5, abs=0.002)
    loud, _ = Augment(noise=2.0)(Batch(x), drawn())
    assert (loud.min(), loud.max()) == (0, 1)


@pytest.mark.parametrize(("height", "width"), [(65, 65), (49, 97)])
def test_stretch_and_lean_keep_their_bounds(height: int, width: int) -> None:
    """Dots right of and above the centre. A stretch moves each along its axis, and a lean the upper one aside."""
    x = torch.zeros(200, 1, height, width)
    middle, centre = height // 2, width // 2
    x[::2, 0, middle, centre + 10] = 1
    x[1::2, 0, middle - 10, centre] = 1
    rows, columns = (torch.arange(n).float() - n // 2 for n in (height, width))

    def places(images: Tensor) -> tuple[Tensor, Tensor]:
        mass = images.sum((1, 2, 3))
        return (images.sum((1, 3)) * rows).sum(1) / mass, (images.sum((1, 2)) * columns).sum(1) / mass

    down, right = places(warp(x, drawn(), stretch=0.25))
    assert down[::2].abs().max() < 0.1
    assert 7.9 < right[::2].min() < 8.4 < 12 < right[::2].max() < 12.6
    assert 7.9 < -down[1::2].max() < 8.4 < 12 < -down[1::2].min() < 12.6
    down, right = places(warp(x, drawn(), shear=45))
    assert torch.allclose(right[::2], torch.tensor(10.0), atol=0.1)
    assert torch.allclose(down[1::2], torch.tensor(-10.0), atol=0.1)
    assert -10.2 < right[1::2].min() < -9 < 9 < right[1::2].max() < 10.2


def test_strokes_lie_between_thin_and_thick() -> None:
    x = torch.zeros(200, 1, 9, 9)
    x[:, :, 3:6, 3:6] = 1
    changed = thicken(x, drawn(), share=0.5)
    inside, edge, around = changed[:, 0, 4, 4], changed[:, 0, 3, 4], changed[:, 0, 2, 4]
    assert torch.equal(inside, torch.ones(200)), "the middle of a thick stroke stays"
    assert torch.equal(changed[:, 0, 0], torch.zeros(200, 9))
    assert 0 == around.min() < 0.4 < around.max() <= 0.5
    assert 0.5 <= edge.min() < 0.6 < edge.max() == 1
    assert ((around > 0) != (edge < 1)).all(), "an image grows or shrinks"
