"""`lab reconstruct` and `lab traverse` draw what a model makes of images, outside its run's folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lab
from generative.autoencoders.traversal import walk
from lab.cli.main import main
from lab.runs.summary import Summary

DIGITS = {"data.name": "digits", "device": "cpu", "threads": 1}


def run_of(name: str, folder: Path) -> Summary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run(name, DIGITS, runs_dir=folder, fast_dev_run=True)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return run_of("ae-mnist", tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return run_of("vqvae-mnist", tmp_path_factory.mktemp("runs"))


class Affine:
    """Two latents: the brightness of the left half of an image, and of the right half."""

    def latents_of(self, images: torch.Tensor) -> torch.Tensor:
        return torch.stack([half.mean((1, 2, 3)) for half in images.chunk(2, 3)], 1)

    def images_of(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[:, None, None].repeat_interleave(2, 3).expand(-1, 1, 3, -1)


def test_walks_change_one_latent_at_a_time() -> None:
    torch.manual_seed(0)
    levels = torch.stack([torch.rand(400), 0.4 + 0.2 * torch.rand(400)], 1)
    images = Affine().images_of(levels)
    walks = walk(Affine(), images, latents=2, between=1, positions=5)
    assert walks.names == ["latent 0", "latent 1", "two images"]
    assert walks.images.shape == (3, 5, 1, 3, 4)
    left, right = (walks.images[..., 0, 0, column] for column in (0, 2))  # (R, P)
    assert torch.allclose(right[0], right[0, 0].expand(5)), "the other latent stays"
    assert torch.allclose(left[1], left[1, 0].expand(5))
    assert left[0, 0] < 0.05
    assert left[0, -1] > 0.95
    assert torch.allclose(left[0].diff(), left[0].diff().mean().expand(4), atol=1e-6), "in equal steps"
    assert torch.allclose(walks.images[2, [0, -1]], images[:2], atol=1e-6)
    film = walks.film()
    assert len(film) == 8, "five positions there, three back"
    assert walks.sheet().width > film[0].width


def test_traversal_is_a_film_and_a_sheet(autoencoder: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(autoencoder.dir.rglob("*"))
    assert main(["traverse", str(autoencoder.dir), "-n", "3", "-o", "walk.gif"]) == 0
    with Image.open("walk.gif") as film, Image.open("walk-sheet.png") as sheet:
        assert film.n_frames > 10  # type: ignore[attr-defined]
        assert sheet.height > 8 * 28, "three latents and five pairs"
    assert "walk.gif: 8 walks, all of them on the sheet walk-sheet.png" in capsys.readouterr().out
    assert set(autoencoder.dir.rglob("*")) == before


def test_test_images_are_reconstructed(autoencoder: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reconstruct", str(autoencoder.dir), "-n", "20"]) == 0
    assert Path(f"reconstructions-{autoencoder.run_id}.png").is_file()
    assert f"reconstructions-{autoencoder.run_id}.png: 20 images, PSNR " in capsys.readouterr().out
    assert main(["reconstruct", str(autoencoder.dir), "-n", "20"]) == 0
    assert Path(f"reconstructions-{autoencoder.run_id}-2.png").is_file(), "nothing is replaced"


def test_codes_are_reconstructed_too(codes: Summary) -> None:
    assert main(["reconstruct", str(codes.dir), "-n", "3", "-o", "codes.png"]) == 0
    assert Path("codes.png").is_file()


def test_own_images_have_each_their_figure(autoencoder: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(name)
    assert main(["reconstruct", str(autoencoder.dir), "a.png", "b.png", "-o", "both.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(": PSNR ")[0] for line in lines[:2]] == ["a.png", "b.png"]
    assert lines[2].startswith("both.png: 2 images, PSNR ")
    made = lab.load(autoencoder.dir).reconstruct(torch.zeros(1, 1, 28, 28))
    expected = -10 * made.square().mean().log10()
    assert lines[0] == f"a.png: PSNR {expected:.2f} dB"
    before = Path("a.png").read_bytes()
    assert main(["reconstruct", str(autoencoder.dir), "a.png", "-o", "a.png"]) == 2
    assert "a.png is an input, and reconstructions would replace it" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before


def test_earlier_runs_do_not_know_the_commands(tmp_path: Path) -> None:
    """A run tells what its model could do when it was recorded. The model is asked, not the run."""
    run = run_of("ae-mnist", tmp_path)
    told = run.dir / "summary.json"
    told.write_text(json.dumps({**json.loads(told.read_text()), "can": ["sample"]}))
    assert main(["reconstruct", str(run.dir), "-n", "2"]) == 0


def test_misuse_is_one_sentence(autoencoder: Summary, codes: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("notes.txt").write_text("no picture")
    for words, sentence in (
        (["reconstruct", str(autoencoder.dir), "none.png"], "there is no file none.png"),
        (["reconstruct", str(autoencoder.dir), "notes.txt"], "notes.txt cannot be read as an image"),
        (["reconstruct", str(autoencoder.dir), "-o", "x.jpg"], "expected a file that ends in .png, received x.jpg"),
        (["reconstruct", str(autoencoder.dir), "-o", str(autoencoder.dir / "x.png")], "lies in a run's folder"),
        (["traverse", str(autoencoder.dir), "-o", "x.png"], "expected a file that ends in .gif, received x.png"),
        (["traverse", str(codes.dir)], "is a vqvae-mnist, which cannot traverse; it can reconstruct"),
    ):
        assert main(words) == 2, words
        assert sentence in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["notes.txt"]
