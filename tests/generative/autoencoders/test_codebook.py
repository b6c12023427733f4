"""A codebook follows its vectors, revives dead codes, and is saved and loaded with both halves of the VQ-VAE."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from generative.autoencoders.codebook import Codebook
from generative.autoencoders.tokenizer import ImageTokenizer, load_tokenizer, save_tokenizer
from lab.data.spec import InputSpec
from lab.encoders import MLP, Conv, ConvStage, ResNet
from lab.errors import CheckpointError, ConfigError

SPEC = InputSpec((1, 8, 8))
CONV = partial(Conv, stages=[ConvStage(4, kernel=4, stride=2, padding=1), ConvStage(6)])


def tokenizer() -> ImageTokenizer:
    torch.manual_seed(0)
    made = ImageTokenizer(SPEC, encoder=CONV, size=5, width=3)
    made.codebook.vectors.normal_()
    return made.eval()


def test_nearest_code_is_chosen() -> None:
    book = Codebook(6, 3).eval()
    book.vectors.normal_()
    x = torch.randn(50, 3)
    assert torch.equal(book(x).codes, torch.cdist(x, book.vectors).argmin(1))
    assert torch.allclose(book(x).vectors, book.vectors[book(x).codes])
    assert torch.allclose(book(x).distance, torch.cdist(x, book.vectors).amin(1).square(), atol=1e-5)


def test_gradients_go_straight_through() -> None:
    book = Codebook(6, 3).eval()
    book.vectors.normal_()
    x = torch.randn(10, 3, requires_grad=True)
    wanted = torch.randn(10, 3)
    (book(x).vectors * wanted).sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, wanted)


def test_distance_pulls_the_vectors() -> None:
    book = Codebook(6, 3).eval()
    book.vectors.normal_()
    x = torch.randn(10, 3, requires_grad=True)
    chosen = book(x)
    chosen.distance.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, 2 * (x - book.vectors[chosen.codes]).detach())


def test_codes_become_the_means_of_their_vectors() -> None:
    torch.manual_seed(0)
    x = torch.randn(60, 2)
    book = Codebook(4, 2, decay=0.9)
    for _ in range(300):
        book(x)
    codes = book.nearest(x)
    means = torch.stack([x[codes == code].mean(0) for code in range(4)])
    assert torch.allclose(book.vectors, means, atol=1e-3)
    assert torch.allclose(book.counts, codes.bincount(minlength=4).float(), atol=1e-2)


def test_dead_codes_are_revived() -> None:
    torch.manual_seed(0)
    book = Codebook(4, 2, decay=0.9)
    book(torch.randn(40, 2))
    book.vectors[3], book.sums[3] = 100.0, 100.0 * book.counts[3]  # nothing is near it
    for _ in range(100):
        book(torch.randn(40, 2))
    assert book.vectors.norm(dim=1).max() < 5
    assert len(set(book.nearest(torch.randn(200, 2)).tolist())) == 4


def test_evaluation_moves_nothing() -> None:
    book = Codebook(4, 2)
    book(torch.randn(40, 2))
    before = {name: value.clone() for name, value in book.state_dict().items()}
    book.eval()(torch.randn(40, 2))
    assert all(torch.equal(value, before[name]) for name, value in book.state_dict().items())


def test_state_resumes() -> None:
    """Two books with the same state and the same random numbers stay the same."""
    torch.manual_seed(0)
    book, other = Codebook(4, 2), Codebook(4, 2)
    batches = [torch.randn(12, 2) for _ in range(6)]
    for x in batches[:3]:
        book(x)
    other.load_state_dict(book.state_dict())
    for one in (book, other):
        torch.manual_seed(1)
        for x in batches[3:]:
            one(x)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in book.state_dict().items())


def test_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    made, x = tokenizer(), torch.rand(3, 1, 8, 8)
    save_tokenizer(made, tmp_path / "artifacts/codebook")
    assert {path.suffix for path in (tmp_path / "artifacts/codebook").iterdir()} == {".json", ".safetensors"}
    for place in (tmp_path, tmp_path / "artifacts/codebook"):
        loaded = load_tokenizer(place)
        assert torch.equal(loaded.encode(x), made.encode(x))
        assert torch.equal(loaded.decode(loaded.encode(x)), made.decode(made.encode(x)))
    assert made.encode(x).shape == (3, 4, 4)
    assert made.decode(made.encode(x)).shape == x.shape


def test_spectral_norm_is_folded_in(tmp_path: Path) -> None:
    made, x = tokenizer(), torch.rand(3, 1, 8, 8)
    spectral_norm(next(one for one in made.encoder.modules() if isinstance(one, nn.Conv2d)))
    made.eval()
    save_tokenizer(made, tmp_path)
    assert torch.allclose(load_tokenizer(tmp_path).vectors(x), made.vectors(x), atol=1e-5)


@pytest.mark.parametrize("damage", ["another size", "no weights", "no json", "short", "no number"])
def test_damaged_files_are_one_sentence(tmp_path: Path, damage: str) -> None:
    """With the manifest that was written with them, and without any."""
    save_tokenizer(tokenizer(), tmp_path)
    told, weights = tmp_path / "codebook.json", tmp_path / "codebook.safetensors"
    if damage == "another size":
        told.write_text(json.dumps({**json.loads(told.read_text()), "size": 10**12}))
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no json":
        told.write_text("[1, 2")
    elif damage == "short":
        weights.write_bytes(weights.read_bytes()[:-9])
    else:
        told.write_text(json.dumps({**json.loads(told.read_text()), "width": "three"}))
    with pytest.raises(CheckpointError, match=r"is damaged: it differs|no codebook can be loaded from"):
        load_tokenizer(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="no codebook can be loaded from"):
        load_tokenizer(tmp_path)


def test_weights_must_fit_the_encoder(tmp_path: Path) -> None:
    save_tokenizer(tokenizer(), tmp_path)
    weights = load_file(tmp_path / "codebook.safetensors")
    weights["narrow.weight"] = torch.zeros(3, 7, 1, 1)
    save_file(weights, tmp_path / "codebook.safetensors")
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="no codebook can be loaded from"):
        load_tokenizer(tmp_path)


def test_no_codebook_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no codebook in .*; expected a folder with codebook.json"):
        load_tokenizer(tmp_path)


def test_codes_need_a_map() -> None:
    with pytest.raises(ConfigError, match="need an encoder that gives a map, such as Conv or ResNet, received MLP"):
        ImageTokenizer(SPEC, encoder=partial(MLP, hidden=[4]), size=5, width=3)
    made = ImageTokenizer(SPEC, encoder=partial(ResNet, channels=[4, 8], blocks=1), size=5, width=3)
    assert made.encode(torch.rand(2, 1, 8, 8)).shape == (2, 4, 4)
