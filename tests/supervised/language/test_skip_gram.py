"""Vectors of words: the loss is the paper's, words in the same places become alike, and counts are a baseline."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from lab.data import Batch, Images, WordContexts
from lab.encoders import Embedding
from lab.errors import ConfigError
from supervised.language import SkipGram
from supervised.language.word_map import plane

CPU = torch.device("cpu")
NIGHTS = "the cat sat on a mat while rain fell . the dog sat on a rug while snow fell . "


def text(folder: Path) -> WordContexts:
    """Cats and dogs do the same, mats and rugs are in one place."""
    path = folder / "pets.txt"
    swapped = NIGHTS.replace("mat", "RUG").replace("rug", "mat").replace("RUG", "rug")
    path.write_text((NIGHTS + swapped) * 40)
    data = WordContexts(path=str(path), window=2, batch_size=64, subsampling=0.2)
    data.prepare()
    return data


def built(data: WordContexts, width: int = 8) -> SkipGram:
    torch.manual_seed(0)
    model = SkipGram(data.spec, encoder=partial(Embedding, width=width), shown=["cat", "unicorn"])
    model.adapt(data)
    return model


def test_exact_loss_is_the_mean_of_the_drawn_one(tmp_path: Path) -> None:
    model = built(data := text(tmp_path))
    for part in model.parameters():
        torch.nn.init.normal_(part)
    batch = next(iter(data.train(CPU, 0)))
    exact = model.eval().losses(batch)["loss"]
    drawn = torch.stack([model.train().losses(batch)["loss"].detach() for _ in range(400)])
    assert drawn.std() > 0
    assert abs(drawn.mean() - exact) < 4 * drawn.std() / 20


def test_loss_of_one_pair_by_hand(tmp_path: Path) -> None:
    model = built(text(tmp_path)).eval()
    torch.nn.init.normal_(model.contexts.weight)
    batch = Batch(torch.tensor([[3]]), torch.tensor([[-1, 5, -1, -1]]))
    v, u = model(torch.tensor([[3]]))[0], model.contexts.weight
    expected = -F.logsigmoid(u[5] @ v) - 5 * sum(p * F.logsigmoid(-(row @ v)) for p, row in zip(model.noise, u))  # noqa: B905
    assert torch.allclose(model.losses(batch)["loss"], expected, atol=1e-5)
    shares = model.noise[2:] ** (4 / 3)
    counts = text(tmp_path).counts[2:]
    assert torch.allclose(shares / shares.sum(), counts / counts.sum(), atol=1e-4)


def test_words_in_the_same_places_become_alike(tmp_path: Path) -> None:
    model = built(data := text(tmp_path))
    optimizer, batches = torch.optim.Adam(model.parameters(), lr=0.02), data.train(CPU, 0)
    for _ in range(12):
        for batch in batches:
            optimizer.zero_grad()
            model.losses(batch)["loss"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    reader = data.spec.reader
    assert reader is not None
    predicted = model.predict(reader.read(b"cat mat", "-").inputs)  # type: ignore[arg-type]
    nearest = [one.things[0]["label"] for one in predicted if one.things]
    assert nearest == ["dog", "rug"]
    assert model.texts(next(iter(batches)))["neighbours"].startswith("cat: dog ")
    model.eval()
    (batch,) = data.test(CPU)
    measured = {name: found["test/loss"] for name, found in model.baselines(data).items()}
    assert model.losses(batch)["loss"] < measured["unigrams"] < measured["a random guess"]
    assert measured["counted pairs"] < measured["unigrams"]


def test_zero_vectors_are_a_random_guess(tmp_path: Path) -> None:
    model = built(data := text(tmp_path)).eval()
    assert model.contexts.weight.abs().max() == 0
    (batch,) = data.test(CPU)
    expected = model.baselines(data)["a random guess"]["test/loss"]
    assert model.losses(batch)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_map_is_the_same_each_time() -> None:
    vectors = F.normalize(torch.randn(30, 5), dim=1)
    assert (plane(vectors) == plane(vectors)).all()
    assert plane(vectors[:3]).shape == (3, 2)


def test_other_data_are_refused() -> None:
    data = Images(name="digits")
    data.prepare()
    with pytest.raises(ConfigError, match="needs sequences of token ids as targets"):
        SkipGram(data.spec, encoder=Embedding)
