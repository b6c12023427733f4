"""Commands that use what a run trained: samples, predictions, and the checkpoint to evaluate."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

import lab
from lab.cli.main import main
from lab.runs.summary import Summary

DIGITS = {"data.name": "digits", "device": "cpu", "threads": 1}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A classifier of digits, trained for long enough to know most of them."""
    more = {"model.encoder": "MLP", "trainer.max_epochs": 12, "data.val_size": 200, "data.batch_size": 64}
    more |= {"trainer.keep_best": {"metric": "val/loss", "mode": "min"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run("cnn-mnist", DIGITS | more, runs_dir=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A variational autoencoder after a few batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run("vae-mnist", DIGITS, runs_dir=tmp_path_factory.mktemp("runs"), fast_dev_run=True)


def digits(count: int, side: int = 28) -> tuple[list[str], list[str]]:
    """Write images of digits into the working directory; return their names and labels."""
    images, labels = load_digits(return_X_y=True)
    names = []
    for number in range(count):
        pixels = (images[number].reshape(8, 8) / 16 * 255).astype(np.uint8)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(f"digit-{number}.png")
        names.append(f"digit-{number}.png")
    return names, [str(label) for label in labels[:count]]


def files(run: Summary) -> set[Path]:
    return set(run.dir.rglob("*"))


def test_predictions_name_class_and_probability(classifier: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    names, labels = digits(40)
    assert main(["predict", str(classifier.dir), *names, "--json", "-o", "out.csv"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["input"] for row in rows] == names
    right = sum(row["label"] == label for row, label in zip(rows, labels, strict=True))
    assert right >= 32, f"{right} of 40 digits that it was trained on"
    assert all(0 < row["probability"] <= 1 for row in rows)
    written = list(csv.DictReader(Path("out.csv").read_text().splitlines()))
    assert [row["label"] for row in written] == [row["label"] for row in rows]
    assert main(["predict", str(classifier.dir), names[0]]) == 0
    expected = f"{names[0]}: {rows[0]['label']}, probability {rows[0]['probability']:.4g}"
    assert capsys.readouterr().out.startswith(expected[:-2])


def test_other_sizes_are_resized_aloud(classifier: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    (name,), (label,) = digits(1, side=64)
    assert main(["predict", str(classifier.dir), name]) == 0
    out, err = capsys.readouterr()
    assert f"{name} was resized from 64x64 to 28x28" in err
    assert out.startswith(f"{name}: {label}, ")


def test_samples_are_files_outside_the_run(sampler: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(sampler)
    assert main(["sample", str(sampler.dir), "-n", "5", "-o", "drawn"]) == 0
    assert sorted(path.name for path in Path("drawn").iterdir()) == [*(f"000{i}.png" for i in range(5)), "grid.png"]
    with Image.open("drawn/0000.png") as one:
        assert one.size == (28, 28)
    assert "5 samples, see drawn/grid.png" in capsys.readouterr().out
    Path("private").mkdir()
    Path("private/0000.png").write_text("precious")
    Path(f"samples-{sampler.run_id}").symlink_to("private")
    assert main(["sample", str(sampler.dir), "-n", "5", "--seed", "1"]) == 0
    assert [path.read_text() for path in Path("private").iterdir()] == ["precious"], "what is there is not replaced"
    other = Path(f"samples-{sampler.run_id}-2")
    assert (other / "0000.png").read_bytes() != Path("drawn/0000.png").read_bytes(), "another seed draws others"
    assert main(["sample", str(sampler.dir), "-n", "5", "-o", str(other)]) == 0
    assert (other / "0000.png").read_bytes() == Path("drawn/0000.png").read_bytes(), "the same seed draws the same"
    assert files(sampler) == before


def test_samples_fill_one_file(sampler: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("all.png", "all.npz"):
        assert main(["sample", str(sampler.dir), "-n", "5", "-o", name]) == 0
        assert capsys.readouterr().out == f"{name}: 5 samples\n"
    main(["sample", str(sampler.dir), "-n", "5", "-o", "drawn"])
    assert Path("all.png").read_bytes() == Path("drawn/grid.png").read_bytes()
    with np.load("all.npz") as archive, Image.open("drawn/0003.png") as one:
        assert archive["samples"].shape == (5, 28, 28)
        assert (archive["samples"][3] == np.asarray(one)).all()


def test_texts_are_drawn_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    """With one token to draw from there is one text, whatever the seed; and it is as long as asked."""
    tiny = {"model.encoder.width": 8, "model.encoder.layers": 1, "model.encoder.heads": 2, "data.name": "topics"}
    run = lab.run("gpt-shakespeare", tiny, runs_dir="runs", fast_dev_run=True)
    words = ["sample", str(run.dir), "-n", "1", "--prompt", "The ", "--max-tokens", "20"]
    texts = []
    for more in (["--top-k", "1"], ["--top-p", "0", "--seed", "1"], ["--temperature", "9"]):
        capsys.readouterr()
        assert main([*words, *more]) == 0
        texts.append(capsys.readouterr().out)
    assert len(texts[0]) == len("The ") + 20 + 1
    assert texts[0] == texts[1] != texts[2]
    assert main([*words, "--top-p", "2"]) == 2
    assert "top_p must be from 0 to 1, received 2.0" in capsys.readouterr().err


def test_restored_images_fill_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run(
        "superres-mnist", {**DIGITS, "model.filters": 4, "model.blocks": 1}, runs_dir="runs", fast_dev_run=True
    )
    Path("more").mkdir()
    for path in ("small.png", "more/small.jpg"):
        Image.new("L", (9, 5), "white").save(path)
    assert main(["predict", str(run.dir), "small.png", "more", "--json"]) == 0
    folder = f"predictions-{run.run_id}"
    rows = json.loads(capsys.readouterr().out)
    assert [row["picture"] for row in rows] == [f"{folder}/small.png", f"{folder}/small-2.png"]
    with Image.open(rows[1]["picture"]) as one:
        assert one.size == (36, 20)
    assert main(["predict", str(run.dir), "small.png", "-o", "drawn"]) == 0
    assert capsys.readouterr().out == "small.png: drawn/small.png\n"
    assert main(["predict", str(run.dir), "small.png", "-o", "x.csv"]) == 2
    assert "superres-mnist predicts pictures alone: name a folder for them" in capsys.readouterr().err
    assert not Path("x.csv").exists()
    for name in ("a.png", "a.jpg", "a-2.png"):
        Image.new("L", (9, 5), "white").save(name)
    capsys.readouterr()
    assert main(["predict", str(run.dir), "a.png", "a.jpg", "a-2.png", "--json", "-o", "three"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["picture"] for row in rows] == ["three/a.png", "three/a-2.png", "three/a-2-2.png"]
    assert len([*Path("three").iterdir()]) == 3
    before = Path("a.png").read_bytes()
    assert main(["predict", str(run.dir), "a.png", "-o", "."]) == 2
    assert "is an input, and predictions would replace it" in capsys.readouterr().err
    assert Path("a.png").read_bytes() == before


def test_exported_classifier_gives_logits(classifier: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    before = files(classifier)
    assert main(["export", str(classifier.dir)]) == 0
    path = f"cnn-mnist-{classifier.run_id}.onnx"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{path}: computes what the final checkpoint of {classifier.run_id} does"
    assert said[1] == "note: input (batch, 1, 28, 28), float32; results: logits"
    images = torch.rand(3, 1, 28, 28)
    session = onnxruntime.InferenceSession(path)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == [str(i) for i in range(10)]
    (logits,) = session.run(None, {"input": images.numpy()})
    assert np.abs(logits - lab.load(classifier.dir)(images).numpy()).max() < 1e-4
    assert files(classifier) == before
    for words, sentence in (
        (["--format", "sb3"], "is a cnn-mnist, which has no format sb3; it has onnx"),
        (["-o", "model.zip"], "the file must end in .onnx, received model.zip"),
    ):
        assert main(["export", str(classifier.dir), *words]) == 2
        assert sentence in capsys.readouterr().err


def test_misuse_is_one_sentence(classifier: Summary, sampler: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken.png").write_bytes(b"no picture")
    for words, sentence in (
        (["predict", str(classifier.dir), "none.png"], "there is no file none.png"),
        (["predict", str(classifier.dir), "broken.png"], "broken.png cannot be read as an image"),
        (["predict", str(classifier.dir), "broken.png", "-o", "x.txt"], "ends in .csv, received x.txt"),
        (["predict", str(sampler.dir), "broken.png"], "is a vae-mnist, which cannot predict; it can "),
        (["sample", str(classifier.dir)], "is a cnn-mnist, which cannot sample; it can "),
        (["sample", str(sampler.dir), "-o", str(sampler.dir / "media")], "lies in a run's folder"),
        (
            ["sample", str(sampler.dir), "-o", "all.wav"],
            "pictures, and all.wav is a file for sounds; name one that ends in",
        ),
        (["sample", str(sampler.dir), "-n", "0"], "expected a number from 1 to 1,000,000"),
        (["sample", str(sampler.dir), "--model.latent_dim=3"], "does not take '--model.latent_dim=3'"),
        (["sample", str(sampler.dir), "--top-k", "3"], "is a vae-mnist, which does not draw token by token; it takes"),
    ):
        assert main(words) == 2, words
        assert sentence in capsys.readouterr().err
    assert {path.name for path in Path().iterdir()} == {"broken.png"}


def test_any_checkpoint_is_evaluated(classifier: Summary, capsys: pytest.CaptureFixture[str]) -> None:
    there = {path.name for path in (classifier.dir / "checkpoints").iterdir() if not path.name.startswith("step-")}
    assert {"final", "best"} <= there
    for title in sorted(there):
        assert main(["eval", str(classifier.dir), "--checkpoint", title, "--json"]) == 0
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert told["same"] or title == "last"
    assert main(["eval", str(classifier.dir), "--checkpoint", "bets"]) == 2
    assert (
        f"has no checkpoint 'bets', it has {', '.join(sorted(there))}; did you mean 'best'?" in capsys.readouterr().err
    )
