"""Models of music are distributions over chords, look at no later step, and learn; their pieces are MIDI and sound."""

from __future__ import annotations

import io
import itertools
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mido
import pytest
import torch
from torch import Tensor

from generative.music.baselines import music_baselines
from generative.music.chords import CHORDS, Chord, Chords
from generative.music.model import MusicModel
from generative.music.rolls import Nearest, rolls
from lab.data import Batch, DataSpec, InputSpec, Music
from lab.data.files.score import KEYS, LOWEST, RATE, Note, Score, notes
from lab.encoders import Recurrent, Transformer
from lab.errors import ConfigError
from tests.conftest import REAL_DATA

CPU = torch.device("cpu")
SPEC = DataSpec(InputSpec((12, KEYS)))
LSTM = partial(Recurrent, width=16)
CAUSAL = partial(Transformer, width=16, layers=1, heads=2, causal=True)


def model(**settings: Any) -> MusicModel:
    torch.manual_seed(0)
    defaults: dict[str, Any] = {"encoder": LSTM, "sample_length": 6}
    return MusicModel(SPEC, **defaults | settings).eval()


def pieces(count: int = 3, steps: int = 12) -> Tensor:
    return (torch.rand(count, steps, KEYS, generator=torch.Generator().manual_seed(1)) < 0.05).float()


def chords_of(chord: Chord, keys: int) -> Chords:
    """A distribution of so many keys, given three features, with random weights."""
    torch.manual_seed(0)
    chords = CHORDS[chord](3, keys, 4)
    for parameter in chords.parameters():
        torch.nn.init.normal_(parameter)
    return chords


def music(**settings: Any) -> Music:
    """Few pieces of counterpoint."""
    data = Music(name="counterpoint", **settings)
    data.prepare()
    data.splits = data.splits[0][:24], data.splits[1][:4], data.splits[2][:4]
    return data


@pytest.mark.parametrize("chord", CHORDS)
def test_chords_sum_to_one(chord: Chord) -> None:
    chords = chords_of(chord, 5)
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=5)))
    features = torch.randn(2, 1, 3).expand(2, len(every), 3)
    total = (-chords.nll(features, every.expand(2, -1, -1))).exp().sum(1)
    torch.testing.assert_close(total, torch.ones(2))


@pytest.mark.parametrize("chord", CHORDS)
def test_samples_follow_probabilities(chord: Chord) -> None:
    chords = chords_of(chord, 3)
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)))
    feature = torch.randn(3)
    drawn = chords.sample(feature.expand(20_000, 3))
    share = (drawn[:, None] == every).all(2).float().mean(0)
    torch.testing.assert_close(share, (-chords.nll(feature.expand(8, 3), every)).exp(), atol=0.015, rtol=0)


def test_untrained_keys_in_turn_are_independent() -> None:
    """What the keys below say begins at nothing, so that training starts from the simpler model."""
    chords = CHORDS["in_turn"](3, KEYS, 8)
    features, keys = torch.randn(4, 3), pieces(4, 1)[:, 0]
    logits = chords.biases(features)  # type: ignore[operator]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, keys, reduction="none").sum(1)
    torch.testing.assert_close(chords.nll(features, keys), expected)


def test_keys_in_turn_cannot_be_exported() -> None:
    with pytest.raises(ConfigError, match="chord: in_turn cannot be an ONNX file"):
        model(chord="in_turn").export(Path("music.onnx"))


@pytest.mark.parametrize("encoder", [LSTM, CAUSAL], ids=["lstm", "transformer"])
def test_later_steps_change_nothing(encoder: Any) -> None:
    trained, before = model(encoder=encoder), pieces()
    after = before.clone()
    after[:, 8:] = 1 - after[:, 8:]
    torch.testing.assert_close(trained(before)[:, :8], trained(after)[:, :8])
    assert not torch.allclose(trained(before)[:, 9:], trained(after)[:, 9:])


def test_encoder_must_be_causal() -> None:
    with pytest.raises(ConfigError, match="depend on no later step, but those of Transformer do"):
        model(encoder=partial(CAUSAL, causal=False))


def test_padding_changes_no_figure() -> None:
    trained, whole = model(), pieces()
    mask = torch.arange(12) < torch.tensor([12, 12, 7])[:, None]
    garbage = torch.where(mask[..., None], whole, 1 - whole)
    figures = [trained.losses(Batch(x, None, mask))["loss"] for x in (whole, garbage)]
    alone = torch.cat([trained(whole[:2]).flatten(), trained(whole[2:, :7]).flatten()]).mean()
    torch.testing.assert_close(figures, [alone, alone])


def test_first_step_is_left_out_of_nll() -> None:
    trained, whole = model(), pieces()
    metrics = trained.metrics()
    trained.measure(Batch(whole), metrics)
    torch.testing.assert_close(metrics["nll"].compute(), trained(whole)[:, 1:].mean())


def test_inputs_must_be_pianos() -> None:
    with pytest.raises(ConfigError, match=r"pieces of music of shape \(T, 88\), received inputs of \(12, 3\)"):
        MusicModel(DataSpec(InputSpec((12, 3))), encoder=LSTM)
    with pytest.raises(ConfigError, match="sample_length must be at most 12"):
        model(sample_length=13)


@pytest.mark.parametrize("chord", CHORDS)
def test_model_learns_to_repeat(chord: Chord) -> None:
    """A piece that alternates between two chords is known after its first step."""
    piece = torch.zeros(1, 12, KEYS)
    piece[:, ::2, [30, 34, 37]] = 1
    piece[:, 1::2, [32, 35]] = 1
    trained = model(chord=chord).train()
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.03)
    for _ in range(250):
        optimizer.zero_grad()
        trained.losses(Batch(piece))["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert trained(piece).mean() < 0.1
    drawn = trained.eval().compose(1)
    assert (drawn == piece[:, :6]).float().mean() > 0.99


def test_same_seed_same_pieces() -> None:
    first, again, other = (model().sample(2, seed=seed) for seed in (0, 0, 1))
    assert all(torch.equal(a.keys, b.keys) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a.keys, b.keys) for a, b in zip(first, other, strict=True))
    with pytest.raises(ConfigError, match="takes no prompt"):
        model().sample(1, prompt="C")


def test_sounds_are_those_of_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Tensor] = []
    monkeypatch.setattr("generative.music.model.rolls", lambda keys, passages: drawn.append(keys))
    trained, batch = model(), Batch(pieces())
    with trained.at_rest(seed=3):
        trained.pictures(batch)
        heard = trained.sounds(batch)
    assert len(heard) == 3
    for keys, sound in zip(drawn[0], heard.values(), strict=False):
        assert isinstance(sound, Score)
        assert torch.equal(sound.keys, keys.bool())
        assert sound.others == {".mid": sound.midi()}


def test_baselines_equal_counting() -> None:
    data = music()
    nats: dict[str, list[float]] = {"key frequencies": [], "key transitions": []}
    train, test = data.splits[0], data.splits[2]
    pairs = [(piece[t - 1], piece[t]) for piece in train for t in range(1, len(piece))]
    before, after = (torch.stack(part).double() for part in zip(*pairs, strict=True))
    often = (after.sum(0) + 1) / (len(after) + 2)
    on = [((before == was) * after).sum(0) for was in (0, 1)]
    seen = [(before == was).sum(0) for was in (0, 1)]
    for piece in test:
        for t in range(1, len(piece)):
            now, then = piece[t].double(), piece[t - 1].long()
            chance = torch.stack([(on[was] + 1) / (seen[was] + 2) for was in (0, 1)]).gather(0, then[None])[0]
            for name, p in (("key frequencies", often), ("key transitions", chance)):
                nats[name].append(-(now * p.log() + (1 - now) * (1 - p).log()).sum().item())
    found = music_baselines(data)
    for name, each in nats.items():
        assert found[name]["test/nll"] == pytest.approx(sum(each) / len(each), rel=1e-4)


def test_copied_passage_is_found_in_any_key() -> None:
    data = music()
    source = data.splits[0][5][3:15].float()
    copies = torch.stack([source, source.roll(4, 1)])
    found = Nearest(data, CPU).passages(copies)
    assert [passage.overlap for passage in found] == pytest.approx([1, 1])
    assert torch.equal(found[1].keys, copies[1])
    assert rolls(copies, found).width > rolls(copies).width


def test_held_keys_are_one_note() -> None:
    keys = torch.zeros(4, KEYS)
    keys[[0, 1, 3], 40] = keys[2:, 41] = 1
    assert list(notes(keys)) == [Note(40, 0, 2), Note(40, 3, 4), Note(41, 2, 4)]


def test_midi_file_has_the_notes() -> None:
    score = model().sample(1)[0]
    score = replace(score, keys=score.keys | (torch.arange(KEYS) == 40))
    held: dict[int, int] = {}
    found, now = [], 0
    for message in mido.MidiFile(file=io.BytesIO(score.midi())).tracks[0]:
        now += message.time
        if message.type == "note_on":
            held[message.note] = now
        elif message.type == "note_off":
            found.append(Note(message.note - LOWEST, held.pop(message.note) // 480, now // 480))
    assert sorted(found) == sorted(notes(score.keys))
    assert not held


def test_sound_has_the_pitch() -> None:
    keys = torch.zeros(4, KEYS)
    keys[:, 48] = 1  # A4
    score = Score.of(keys, tempo=60)
    assert len(score.samples) == pytest.approx(4 * RATE, rel=0.01)
    loudest = torch.fft.rfft(score.samples[:RATE]).abs().argmax()
    assert int(loudest) == 440
    assert score.samples.abs().max() <= 1


def test_transposing_shifts_every_note_alike() -> None:
    data, shifted = music(batch_size=8), music(batch_size=8, transpose=3)
    seen = set()
    for plain, moved in zip(data.train(CPU, 0), shifted.train(CPU, 0), strict=True):
        for before, after in zip(plain.inputs, moved.inputs, strict=True):
            low, high = (int(keys.amax(0).nonzero()[0]) for keys in (before, after))
            assert torch.equal(before.roll(high - low, 1), after)
            seen.add(high - low)
    assert seen == set(range(-3, 4))
    for plain, moved in zip(data.test(CPU), shifted.test(CPU), strict=True):
        torch.testing.assert_close(plain.inputs, moved.inputs, atol=0, rtol=0)
    with pytest.raises(ConfigError, match="transpose must be at most"):
        music(transpose=60)


def test_counterpoint_is_consonant() -> None:
    for piece in music().splits[0]:
        voices = [step.nonzero().flatten().tolist() for step in piece]
        assert {high - low for low, high in voices} <= {3, 4, 7, 8, 9, 12, 15, 16}
        assert voices[-1][1] - voices[-1][0] == 12


def test_chorales_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    if REAL_DATA is None or not (REAL_DATA / "jsb-chorales").is_dir():
        pytest.skip("needs the chorales: run `lab data fetch jsb-chorales`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    data = Music(fallback="none")
    data.prepare()
    assert [len(split) for split in data.splits] == [229, 76, 77]
    first = data.splits[0][0]
    assert (first[0].nonzero().flatten() + LOWEST).tolist() == [60, 72, 79, 88]
    nats = music_baselines(data)
    assert nats["key transitions"]["test/nll"] < nats["key frequencies"]["test/nll"] < math.log(2) * KEYS
