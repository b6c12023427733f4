"""An encoder says what it was trained on, and a model that gives it something else is told, or refused."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.data.own.columns import of_numbers
from lab.data.own.texts.documents import Documents
from lab.data.spec import Classes, DataSpec, InputSpec, Values
from lab.data.tokenizers.base import fingerprint
from lab.data.tokenizers.characters import Characters
from lab.data.tokenizers.words import Words
from lab.encoders import MLP, Embedding, Pretrained, Recurrent
from lab.encoders.files import load_encoder, save_encoder
from lab.encoders.trained_on import TrainedOn
from lab.errors import CheckpointError, ConfigError
from lab.training.checks import carried_notes
from lab.training.model import Model
from supervised.classifier import Classifier
from supervised.forecasting import Forecaster
from supervised.probe import LinearProbe

SCALED = "standardised by the training data"


def table(*columns: str) -> DataSpec:
    reader = of_numbers(columns, torch.zeros(1, len(columns)))
    return DataSpec(InputSpec((len(columns),)), Classes(2), reader=reader)


TABLE = table("a", "b")


def texts(*words: str) -> DataSpec:
    return DataSpec(InputSpec((5,), "int64", vocab=len(words) + 2), Classes(2), reader=Documents(5, Words(words)))


def kept(model: Model, folder: Path) -> Pretrained:
    """The encoder of a model, as its run writes it and another one reads it."""
    model.artifacts()["encoder"](folder)
    return Pretrained(str(folder), freeze=True)


def classifier(spec: DataSpec = TABLE, **settings: Any) -> Classifier:
    return Classifier(spec, **{"encoder": partial(MLP, hidden=[3]), **settings})


def test_other_preparation_is_told_with_its_setting(tmp_path: Path) -> None:
    scaled = kept(classifier(scale=True), tmp_path / "scaled")
    (note,) = carried_notes(classifier(encoder=scaled))
    assert note == (
        f"the pretrained encoder was trained on inputs {SCALED}, and gets them as they are in the data; "
        "--model.scale=true prepares them as then"
    )
    assert not carried_notes(classifier(encoder=scaled, scale=True))
    (note,) = carried_notes(LinearProbe(TABLE, encoder=scaled))
    assert note.endswith("and gets them as they are in the data"), "a probe has no such setting"
    plain = kept(classifier(), tmp_path / "plain")
    (note,) = carried_notes(classifier(encoder=plain, scale=True))
    assert note.endswith("--model.scale=false prepares them as then")
    assert not carried_notes(classifier(encoder=plain))


def test_forecasts_are_of_changes(tmp_path: Path) -> None:
    gru = partial(Recurrent, cell="gru", width=2)
    spec = DataSpec(InputSpec((9, 1)), Values((2, 1)))
    changes = kept(Forecaster(spec, encoder=gru, lags=(2, 1), log=True), tmp_path)
    assert not carried_notes(Forecaster(spec, encoder=changes, lags=(2, 1), log=True))
    spec = DataSpec(InputSpec((6, 1)), Values((2, 1)))
    (note,) = carried_notes(Forecaster(spec, encoder=changes))
    assert "inputs as standardised differences (2, 1) of logarithms, and gets them as standardised steps" in note


def test_other_columns_are_told(tmp_path: Path) -> None:
    before = kept(classifier(), tmp_path)
    (note,) = carried_notes(classifier(table("b", "a"), encoder=before))
    assert note == "the pretrained encoder was trained on the columns a, b, and gets the columns b, a in their places"
    assert not carried_notes(classifier(DataSpec(InputSpec((2,)), Classes(2)), encoder=before)), "not known"


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    before = kept(classifier(texts("good", "film"), encoder=partial(Embedding, width=2)), tmp_path)
    assert not carried_notes(classifier(texts("good", "film"), encoder=before))
    with pytest.raises(
        ConfigError, match="trained with another vocabulary, in which the same token ids stand for other"
    ):
        carried_notes(classifier(texts("film", "good"), encoder=before))
    assert fingerprint(Words(("a",))) != fingerprint(Characters("a"))


def test_files_without_it_load_silently(tmp_path: Path) -> None:
    encoder = MLP(InputSpec((2,)), hidden=[3])
    save_encoder(encoder, tmp_path)
    assert "trained_on" not in json.loads((tmp_path / "encoder.json").read_text())
    assert load_encoder(tmp_path).trained_on is None
    assert not carried_notes(classifier(encoder=Pretrained(str(tmp_path)), scale=True))


@pytest.mark.parametrize("entry", [5, [], {}, {"columns": [1]}, {"columns": "ab"}, {"columns": [], "prepared": {}}])
def test_bad_entries_are_refused(entry: Any, tmp_path: Path) -> None:
    save_encoder(MLP(InputSpec((2,)), hidden=[3]), tmp_path, TrainedOn("x\x1b[31m" + "y" * 500))
    (tmp_path / "manifest.json").unlink()
    path = tmp_path / "encoder.json"
    assert "…" in carried_notes(classifier(encoder=Pretrained(str(tmp_path))))[0], "long texts of others are cut"
    path.write_text(json.dumps({**json.loads(path.read_text()), "trained_on": entry}))
    with pytest.raises(CheckpointError, match="trained_on is"):
        load_encoder(tmp_path)
