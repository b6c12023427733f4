"""ONNX files compute what torch does, for batches and lengths other than those that were traced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from generative.autoregressive.language_model import LanguageModel
from lab.data.own.texts.documents import Documents
from lab.data.own.texts.questions import Questions
from lab.data.spec import Boxes, Classes, DataSpec, InputSpec, Masks, Tokens, Values
from lab.data.tokenizers.characters import Characters
from lab.data.tokenizers.words import Words
from lab.encoders import MLP, Conv, Embedding, LogMel, Recurrent, ResNet, TemporalConv, Transformer, ViT
from lab.errors import ConfigError, LabError
from lab.nn.sequences.attentive_gru import AttentiveGRU
from lab.nn.sequences.decoders import CausalTransformer
from lab.saving import onnx
from lab.saving.recurrence import PlainRecurrence
from lab.training.exportable import Exportable
from supervised.classifier import Classifier
from supervised.detection.detector import Detector
from supervised.forecasting.dlinear import DLinear
from supervised.language import MaskedLanguageModel, MemoryNetwork, SkipGram
from supervised.regressor import Regressor
from supervised.restoration import Denoiser, SuperResolver
from supervised.segmentation import Segmenter
from supervised.translation import Translator

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

IMAGES = InputSpec((1, 16, 16))
STEPS = DataSpec(InputSpec((12, 2)), Values(()))
CLASSES = DataSpec(IMAGES, Classes(3, ("a", "b", "c")))
SOUNDS = DataSpec(InputSpec((4_000,), sample_rate=8_000), Classes(3))
TEXTS = DataSpec(InputSpec((12,), "int64", vocab=7), Tokens(7, 12, -1))
WORDS = Words(("a", "b", "c", "d", "e"))
PAIRS = DataSpec(
    {"source": InputSpec((12,), "int64", vocab=7), "written": InputSpec((9,), "int64", vocab=7)},
    Tokens(7, 9, 0, Characters.of("abcdefg")),
)
STORIES = DataSpec(InputSpec((9, 4), "int64", vocab=7), Classes(3), reader=Questions(8, 4, WORDS))
CASES: dict[str, Callable[[], Exportable]] = {
    "gru": lambda: Regressor(STEPS, encoder=partial(Recurrent, cell="gru", width=8, layers=2)),
    "lstm": lambda: Regressor(STEPS, encoder=partial(Recurrent, cell="lstm", width=8)),
    "bidirectional": lambda: Regressor(STEPS, encoder=partial(Recurrent, width=8, bidirectional=True)),
    "rnn": lambda: Regressor(STEPS, encoder=partial(Recurrent, cell="rnn", width=8)),
    "mlp": lambda: Classifier(CLASSES, encoder=MLP),
    "convolutions": lambda: Classifier(CLASSES, encoder=Conv),
    "residual": lambda: Classifier(CLASSES, encoder=partial(ResNet, channels=[8, 8], blocks=1)),
    "patches": lambda: Classifier(CLASSES, encoder=partial(ViT, width=16, layers=1)),
    "over time": lambda: Regressor(STEPS, encoder=partial(TemporalConv, channels=[8, 8])),
    "attention": lambda: Regressor(STEPS, encoder=partial(Transformer, width=16, layers=1)),
    "sounds": lambda: Classifier(SOUNDS, encoder=partial(LogMel, encoder=partial(TemporalConv, channels=[8, 8]))),
    "masks": lambda: Segmenter(DataSpec(IMAGES, Masks(3)), widths=(8, 16)),
    "boxes": lambda: Detector(DataSpec(IMAGES, Boxes(3)), encoder=partial(ResNet, channels=[8], blocks=1), width=8),
    "denoised": lambda: Denoiser(CLASSES, widths=(8, 16)),
    "enlarged": lambda: SuperResolver(CLASSES, filters=8, blocks=1),
    "forecast": lambda: DLinear(DataSpec(InputSpec((12, 2)), Values((3, 2)))),
    "text": lambda: LanguageModel(
        TEXTS, encoder=partial(Transformer, width=16, layers=1, causal=True, positions="rotary")
    ),
    "stories": lambda: MemoryNetwork(STORIES, encoder=partial(Embedding, width=16), heads=2, layers=1),
    "hidden words": lambda: MaskedLanguageModel(
        DataSpec(InputSpec((12,), "int64", vocab=7), reader=Documents(12, WORDS)),
        encoder=partial(Transformer, width=16, layers=1),
    ),
    "words": lambda: SkipGram(
        DataSpec(InputSpec((1,), "int64", vocab=7), Tokens(7, 4, -1, WORDS)), encoder=partial(Embedding, width=8)
    ),
    "translated by a GRU": lambda: Translator(
        PAIRS,
        encoder=partial(Recurrent, cell="gru", width=8, bidirectional=True),
        decoder=partial(AttentiveGRU, width=8),
        tie_weights=False,
    ),
    "translated by attention": lambda: Translator(
        PAIRS, encoder=partial(Transformer, width=16, layers=1), decoder=partial(CausalTransformer, layers=1)
    ),
}
QUICK = ("gru",)


@pytest.mark.parametrize("name", [one if one in QUICK else pytest.param(one, marks=pytest.mark.slow) for one in CASES])
def test_file_computes_the_same(name: str) -> None:
    import onnxruntime

    torch.manual_seed(0)
    model = CASES[name]().eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # some layers begin at 0
    model.export(Path("model.onnx"))
    session = onnxruntime.InferenceSession("model.onnx")
    given = {name: _example(form, getattr(model, "encoder", None)) for name, form in model.arguments.items()}
    found = session.run(None, {name: x.numpy() for name, x in given.items()})
    assert [one.name for one in session.get_outputs()] == list(model.results)
    with torch.no_grad():
        wanted = model(*given.values())
    for ours, theirs in zip(wanted if isinstance(wanted, tuple) else (wanted,), found, strict=True):
        assert ours.std() > 1e-3, "not all alike"
        assert np.abs(ours.numpy() - theirs).max() < 1e-4 * max(1.0, float(ours.abs().max()))
    with pytest.raises(LabError, match=r"cannot be exported to ONNX: its file (differs|gives)"):
        onnx._require_same(Path("model.onnx").read_bytes(), _Twice(model), given)


def _example(form: InputSpec, encoder: nn.Module | None) -> Tensor:
    """Return three examples, of a length that was not traced where the encoder takes shorter sequences."""
    shorter = (form.time or 0) > 5 and getattr(encoder, "takes_masks", False)
    shape = (3, form.shape[0] - 5, *form.shape[1:]) if shorter else (3, *form.shape)
    return torch.randint(form.vocab, shape) if form.vocab else torch.rand(shape)


class _Twice(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        found = self.network(*inputs)
        return tuple(2 * one for one in (found if isinstance(found, tuple) else (found,)))


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM, nn.GRU])
def test_reordered_gates_compute_the_same(cell: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    rnn = cell(3, 5, 2)  # type: ignore[arg-type]
    x = torch.randn(7, 4, 3)
    with torch.no_grad():
        assert torch.allclose(PlainRecurrence(rnn)(x)[0], rnn(x)[0], atol=1e-6)


def test_given_states_are_gone_on_from() -> None:
    torch.manual_seed(0)
    rnn = nn.GRU(3, 5, 2, batch_first=True)
    x, state = torch.randn(4, 7, 3), torch.randn(2, 4, 5)
    with torch.no_grad():
        for ours, theirs in zip(PlainRecurrence(rnn)(x, state), rnn(x, state), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-6)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "NEEDED", ("onnx", "a_package_that_is_not_there"))
    with pytest.raises(ConfigError, match=r"the extra onnx \(a_package_that_is_not_there\): pip install"):
        CASES["mlp"]().export(Path("model.onnx"))
    assert not Path("model.onnx").exists()
