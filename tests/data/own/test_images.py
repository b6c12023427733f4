"""Images that a user has: in a folder for each class, or in IDX files."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from lab.configuration import load
from lab.data import Batches, Images, InputSpec
from lab.data.batches import TensorBatches
from lab.data.files.picture import header, pixels, quietly
from lab.data.inputs.images import Images as Reader
from lab.data.own.folders import natural
from lab.data.own.splits import Examples, held_out, to_test
from lab.data.spec import Classes
from lab.errors import ConfigError, DataError
from lab.system import memory

CPU = torch.device("cpu")


def save(path: Path, seed: int = 0, size: tuple[int, int] = (8, 6), mode: str = "RGB") -> Path:
    """Write a picture of noise, of so many pixels down and across."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path)
    return path


def folder(place: Path, *, each: int = 10, classes: Sequence[str] = ("cats", "dogs"), mode: str = "RGB") -> Path:
    for label, name in enumerate(classes):
        for i in range(each):
            save(place / name / f"{i}.png", seed=1_000 * label + i, mode=mode)
    return place


def prepared(place: Path, **settings: Any) -> Images:
    data = Images(path=str(place), batch_size=1, **settings)
    data.prepare()
    return data


def labels(data: Images, split: str) -> list[int]:
    batches = data.train(CPU, 0) if split == "train" else getattr(data, split)(CPU)
    return sorted(int(label) for _, y in batches or () for label in y)


def test_spec_and_splits_are_found(tmp_path: Path) -> None:
    data = prepared(folder(tmp_path / "pets", each=20, classes=("c 10", "c 2")))
    assert data.spec.input == InputSpec((3, 8, 6))
    assert data.spec.target == Classes(2, ("c 2", "c 10")), "names are sorted as people sort them"
    assert (data.info.name, data.info.path) == ("pets", str(tmp_path / "pets"))
    every = {split: labels(data, split) for split in ("train", "validation", "test")}
    assert all(set(found) == {0, 1} for found in every.values()), "each class is in each split"
    assert sum(map(len, every.values())) == 40


def _first(split: Batches) -> list[int]:
    _, labels = next(iter(split))
    return [int(label) for label in labels]


def test_first_batch_has_all_classes(tmp_path: Path) -> None:
    """It is what a run draws, and the folders are sorted by class."""
    data = prepared(folder(tmp_path / "pets", each=60), eval_batch_size=8)
    assert all(set(_first(split)) == {0, 1} for split in (data.test(CPU), data.validation(CPU)) if split)


def test_split_follows_content_alone() -> None:
    """Neither order nor names matter, copies stay together, and each class has its share."""
    contents = [hashlib.sha256(bytes([i])).hexdigest() for i in range(60)]
    labels = [0] * 50 + [1] * 10
    first = dict(zip(contents, to_test(Examples(labels, contents, "ab"), "image"), strict=True))
    assert [sum(first[content] for content in part) for part in (contents[:50], contents[50:])] == [10, 2]
    turned = to_test(Examples(labels[::-1], contents[::-1], "ab"), "image")
    assert turned[::-1] == list(first.values())
    twice = [*contents, *contents]
    sides = to_test(Examples(labels * 2, twice, "ab"), "image")
    assert sides[:60] == sides[60:]
    out = held_out(Examples(labels * 2, twice, "ab"), 12)
    assert out[:60] == out[60:]
    assert out != sides


def test_held_out_images_are_of_all_classes() -> None:
    counts = (100, 10, 3)
    many = [label for label, n in enumerate(counts) for _ in range(n)]
    contents = [f"{i * 104_729 % 16**8:08x}" * 8 for i in range(len(many))]
    chosen = torch.tensor(held_out(Examples(many, contents, "abc"), 11))
    assert torch.tensor(many)[chosen].bincount().tolist() == [10, 1, 1]


def test_own_splits_are_kept(tmp_path: Path) -> None:
    folder(tmp_path / "train", each=6)
    folder(tmp_path / "test", each=3)
    folder(tmp_path / "val", each=2)
    data = prepared(tmp_path)
    assert [len(labels(data, split)) for split in ("train", "validation", "test")] == [12, 4, 6]
    assert any("12 images tested and trained on" in note or "6 images tested" in note for note in data.notes)
    assert prepared(tmp_path, val_size=7).notes[-1].startswith("data.val_size=7 changes nothing: data.path has its own")
    save(tmp_path / "test" / "dgos" / "1.png")
    with pytest.raises(DataError, match=r"has the class dgos in its test split, but not in its .*did you mean 'dogs'"):
        prepared(tmp_path)


def test_classes_may_be_links(tmp_path: Path) -> None:
    place, linked, split = folder(tmp_path / "photos"), tmp_path / "linked", tmp_path / "split"
    linked.mkdir()
    for one in (*place.iterdir(), tmp_path):  # the last leads back
        (linked / one.name).symlink_to(one)
    assert prepared(linked).spec == prepared(place).spec
    for name in ("train", "test"):
        (split / name).mkdir(parents=True)
        for one in place.iterdir():
            (split / name / one.name).symlink_to(one)
    assert len(labels(prepared(split), "test")) == 20


def test_a_split_may_have_two_folders(tmp_path: Path) -> None:
    for name in ("train", "Training", "test"):
        folder(tmp_path / name, each=3)
    data = prepared(tmp_path, val_size=0)
    assert (len(labels(data, "train")), len(labels(data, "test"))) == (12, 6)


def test_classes_may_be_called_as_splits(tmp_path: Path) -> None:
    data = prepared(folder(tmp_path, classes=("bus", "test", "train")))
    assert data.spec.target == Classes(3, ("bus", "test", "train"))


def test_sizes_become_one(tmp_path: Path) -> None:
    folder(tmp_path, each=5)
    save(tmp_path / "cats" / "tall.png", size=(30, 10))
    data = prepared(tmp_path)
    assert data.spec.input == InputSpec((3, 8, 6))
    assert any("1 of 11 images were resized to 6x8 (10x30), the most common size" in note for note in data.notes)
    assert prepared(tmp_path, image_size=12).spec.input == InputSpec((3, 12, 12))
    assert prepared(tmp_path, image_size=[4, 5]).spec.input == InputSpec((3, 4, 5))
    with pytest.raises(ConfigError, match=r"data\.image_size is for images of your own"):
        Images(image_size=12)
    with pytest.raises(ConfigError, match=r"data\.image_size must be one side, or \[height, width\], received \[4\]"):
        Images(path=str(tmp_path), image_size=[4])


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    for place, mode in ((tmp_path / "a", "L"), (tmp_path / "b", "RGB")):
        folder(place, mode="L")
        for path in place.glob("*/*.png"):
            Image.open(path).convert(mode).save(path)
    assert prepared(tmp_path / "a").spec.input == prepared(tmp_path / "b").spec.input == InputSpec((1, 8, 6))
    save(tmp_path / "a" / "cats" / "red.png")
    assert prepared(tmp_path / "a").spec.input == InputSpec((3, 8, 6))


def read(path: Path) -> NDArray[np.uint8]:
    return pixels(path.read_bytes(), path.name)


def test_every_form_of_picture_is_read(tmp_path: Path) -> None:
    """A palette, transparency, 16 bits, printing colours and a turned photo."""
    red = Image.new("RGB", (4, 2), (250, 0, 0))
    red.convert("P").save(tmp_path / "palette.png")
    assert abs(read(tmp_path / "palette.png")[0, 0].astype(int) - (250, 0, 0)).max() < 10
    clear = red.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    clear.save(tmp_path / "clear.png")
    assert read(tmp_path / "clear.png")[0, :2].tolist() == [[255] * 3, [250, 0, 0]]
    Image.new("LA", (2, 2), (90, 255)).save(tmp_path / "grey.png")
    assert read(tmp_path / "grey.png").tolist() == [[90, 90], [90, 90]], "grey stays without colour"
    Image.fromarray(np.full((2, 4), 200 * 257, np.uint16)).save(tmp_path / "deep.png")
    assert read(tmp_path / "deep.png").tolist() == [[200] * 4] * 2
    red.convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert abs(read(tmp_path / "print.jpg")[0, 0].astype(int) - (250, 0, 0)).max() < 10
    turned = red.getexif()
    turned[0x0112] = 6
    red.save(tmp_path / "turned.jpg", exif=turned)
    assert read(tmp_path / "turned.jpg").shape == (4, 2, 3)
    assert header((tmp_path / "turned.jpg").read_bytes(), "").size == (4, 2)


def test_deep_pictures_are_turned_too(tmp_path: Path) -> None:
    deep = Image.fromarray((np.arange(8, dtype=np.uint16) * 257).reshape(2, 4))
    turned = deep.getexif()
    turned[0x0112] = 6
    deep.save(tmp_path / "turned.png", exif=turned)
    assert read(tmp_path / "turned.png").tolist() == [[4, 0], [5, 1], [6, 2], [7, 3]]
    assert header((tmp_path / "turned.png").read_bytes(), "").size == (4, 2)


def test_the_same_is_said_of_a_single_picture(tmp_path: Path) -> None:
    """What training tells of its images, `lab predict` tells of each that it is given."""
    Image.new("LA", (8, 4)).save(tmp_path / "clear.png")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    reader = Reader(InputSpec((1, 4, 4)))
    given = [reader.read(path.read_bytes(), path.name) for path in sorted(tmp_path.glob("*.png"))]
    assert [note for one in given for note in one.notes] == [
        "clear.png was resized from 8x4 to 4x4",
        "clear.png changed proportions in this: images are stretched, not cropped",
        "transparent parts were put on white in clear.png",
        "8 of 16 bits were kept in deep.png",
    ]


def test_other_files_are_left_out(tmp_path: Path) -> None:
    tmp_path = folder(tmp_path / "pets", each=4)
    for name in ("cats/.hidden.png", "cats/notes.txt", "README"):
        (tmp_path / name).write_text("x")
    (tmp_path / "none").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "dogs" / "gone.png").symlink_to(tmp_path / "gone.png")
    data = prepared(tmp_path)
    assert data.spec.target == Classes(2, ("cats", "dogs"))
    told = " ".join(data.notes)
    for part in ("4 files left out", "1 .txt", ".hidden.png", "broken link", "without images: none", "again"):
        assert part in told


def test_bad_folders_are_refused(tmp_path: Path) -> None:
    place = folder(tmp_path / "pets", each=4)
    (place / "dogs" / "3.png").write_bytes((place / "dogs" / "3.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"dogs/3\.png cannot be read as an image"):
        prepared(place)
    for path in (place / "dogs").iterdir():
        path.write_bytes((place / "cats" / "1.png").read_bytes())
    with pytest.raises(DataError, match=r"the class dogs has 4 images, all the same; each class needs two different"):
        prepared(place)
    with pytest.raises(ConfigError, match=r"expected images in a folder for each class .*1\.png is an image$"):
        prepared(place / "cats" / "1.png")
    with pytest.raises(
        ConfigError, match=r"cats holds 4 images itself; each class needs a folder .*: cats/CLASS/0\.png"
    ):
        prepared(place / "cats")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"expected images in a folder for each class .*empty is empty$"):
        prepared(tmp_path / "empty")
    with pytest.raises(ConfigError, match=r"there is no file or folder .*pest; did you mean 'pets'\?"):
        prepared(tmp_path / "pest")
    (tmp_path / "empty" / "a.wav").touch()
    with pytest.raises(
        ConfigError, match=r"empty is a folder of wav files; wav files are for speech-digits, wavenet-digits$"
    ):
        prepared(tmp_path / "empty")


def test_too_large_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they are decoded, and with both sizes."""
    folder(tmp_path, each=4)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1_000)
    with pytest.raises(DataError, match=r"8 images of 6x8 need 1\.2 kB of memory, but this machine has 1\.0 kB free"):
        prepared(tmp_path)
    monkeypatch.undo()
    save(tmp_path / "large" / "1.png", size=(600, 600))
    save(tmp_path / "large" / "2.png", size=(600, 600), seed=1)
    assert prepared(tmp_path).spec.input == InputSpec((3, 8, 6))
    (tmp_path / "b").mkdir()
    (tmp_path / "large").rename(tmp_path / "b" / "large")
    with pytest.raises(DataError, match=r"most images .* have 600x600 pixels.*--data\.image_size"):
        prepared(tmp_path / "b")


def test_hash_changes_with_content(tmp_path: Path) -> None:
    before = prepared(folder(tmp_path)).info.sha256
    assert prepared(tmp_path).info.sha256 == before
    save(tmp_path / "cats" / "1.png", seed=77)
    assert prepared(tmp_path).info.sha256 != before


def test_config_names_path_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path / "pets")
    monkeypatch.chdir(tmp_path)
    settings = load("cnn-mnist", ["--data.path=pets", "--data.image_size=[8,9]"]).as_dict()["data"]["init_args"]
    assert (settings["path"], settings["image_size"]) == (str(tmp_path / "pets"), [8, 9])


def idx(path: Path, values: NDArray[np.uint8]) -> None:
    content = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def idx_folder(place: Path, *, prefix: str = "", ending: str = "", splits: Sequence[str] = ("train", "t10k")) -> Path:
    place.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for split in splits:
        idx(place / f"{prefix}{split}-images-idx3-ubyte{ending}", random.integers(0, 256, (40, 5, 6), np.uint8))
        idx(place / f"{prefix}{split}-labels-idx1-ubyte{ending}", random.integers(1, 4, 40).astype(np.uint8))
    return place


@pytest.mark.parametrize(("prefix", "ending"), [("", ""), ("emnist-letters-", ".gz")])
def test_idx_files_are_read(tmp_path: Path, prefix: str, ending: str) -> None:
    data = prepared(idx_folder(tmp_path, prefix=prefix, ending=ending))
    assert data.spec.input == InputSpec((1, 5, 6))
    assert data.spec.target == Classes(3, ("1", "2", "3")), "labels need not begin at 0"
    assert [len(labels(data, split)) for split in ("train", "validation", "test")] == [36, 4, 40]


def test_idx_files_without_test(tmp_path: Path) -> None:
    data = prepared(idx_folder(tmp_path, splits=("train",)))
    assert sum(len(labels(data, split)) for split in ("train", "validation", "test")) == 40
    assert any("of 40 images are tested" in note for note in data.notes)


def test_bad_idx_files_are_refused(tmp_path: Path) -> None:
    place = idx_folder(tmp_path / "a")
    idx(place / "train-labels-idx1-ubyte", np.ones(39, np.uint8))
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte has 40 images, but train-labels-.* has 39 labels"):
        prepared(place)
    (place / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"lacks train-labels-idx1-ubyte, with or without \.gz"):
        prepared(place)
    idx_folder(place, prefix="b-")
    with pytest.raises(ConfigError, match=r"holds 2 data sets, with the prefixes '', 'b-'"):
        prepared(place)
    place = idx_folder(tmp_path / "c", ending=".gz")
    path = place / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz cannot be read as an IDX file: it is damaged"):
        prepared(place)


def test_data_that_exceed_the_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 1_000 if device.type == "meta" else 10**9)
    images, labels = torch.zeros(500, 1, 2, 2, dtype=torch.uint8), torch.zeros(500, dtype=torch.uint8)
    assert len(TensorBatches(images, labels, device=CPU, batch_size=50, seed=None)) == 10
    with pytest.raises(DataError, match=r"the examples need 2\.5 kB of memory, but meta has 1\.0 kB free"):
        TensorBatches(images, labels, device=torch.device("meta"), batch_size=50, seed=None)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP"])
def test_damaged_pictures_are_read_or_refused(form: str) -> None:
    """Whatever bytes are changed, nothing but DataError is raised."""
    random = np.random.default_rng(1)
    file = io.BytesIO()
    picture = Image.fromarray(random.integers(0, 256, (8, 6, 3), np.uint8))
    details = picture.getexif()
    details[0x0112] = 6
    picture.save(file, form, **({"exif": details} if form in ("PNG", "JPEG") else {}))
    refused = 0
    with quietly():
        for _ in range(200):
            content = np.frombuffer(file.getvalue(), np.uint8).copy()
            content[random.integers(0, min(len(content), 120), 2)] = random.integers(0, 256, 2)
            try:
                pixels(content.tobytes(), "a", size=(4, 4))
            except DataError:
                refused += 1
    assert refused > 10


def test_equal_names_have_one_order(tmp_path: Path) -> None:
    """`A` and `a` are sorted alike as people sort them, and texts in a set have another order in each process."""
    assert sorted({"a", "A", "1", "01", "b"}, key=natural) == ["01", "1", "A", "a", "b"]


def test_folders_of_splits_may_lack_classes(tmp_path: Path) -> None:
    """As where the images to test have no labels: what has classes is used, and the rest is told."""
    place = tmp_path / "pets"
    folder(place / "train", each=10)
    save(place / "test" / "1.png")
    (place / "val").mkdir()
    data = prepared(place)
    assert data.spec.target == Classes(2, ("cats", "dogs"))
    assert sum(len(labels(data, split)) for split in ("train", "validation", "test")) == 20
    assert "1 image left out, as in no folder of a class: 1.png" in data.notes
    assert "1 folder left out, as without images: val" in data.notes
