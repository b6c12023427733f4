from __future__ import annotations

import io
import wave
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lab.data import Batch, DataSpec, InputSpec, Sounds
from lab.data.catalog import lookup
from lab.data.inputs.given import Given
from lab.data.inputs.reading import reader_of
from lab.data.sets.audio import load_tones
from lab.data.sets.audio_changes import AugmentSound, change_speed, silence
from lab.data.sound import Sound, read_wav
from lab.errors import ConfigError, DataError
from tests.conftest import REAL_DATA

CPU = torch.device("cpu")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def wav(levels: list[int], *, channels: int = 1, width: int = 2) -> io.BytesIO:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(8_000)
        out.writeframes(b"".join(level.to_bytes(width, "little", signed=width > 1) for level in levels))
    return io.BytesIO(file.getvalue())


def split_of(data: Sounds, split: str) -> list[Batch]:
    found = data.train(CPU, 0) if split == "train" else getattr(data, split)(CPU)
    return list(found)


def labels_of(batches: list[Batch]) -> Tensor:
    return torch.cat([labels for _, labels in batches])


def test_wav_is_read_as_written(tmp_path: Path) -> None:
    samples, rate = read_wav(wav([0, 1, -32_768, 32_767]))
    assert (samples.tolist(), samples.dtype, rate) == ([0, 1, -32_768, 32_767], torch.int16, 8_000)
    assert read_wav(wav([2, 4, -10, 10], channels=2))[0].tolist() == [3, 0]
    path = tmp_path / "a.wav"
    path.write_bytes(Sound(samples / 32_767, rate).wav())
    assert read_wav(path)[0].tolist() == [0, 1, -32_767, 32_767]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*missing\.wav"):
        read_wav(tmp_path / "missing.wav")
    with pytest.raises(DataError, match=r"a\.wav cannot be read as a wav file: it does not begin as one \(RIFF\)"):
        read_wav(io.BytesIO(b"no wav file at all"), "a.wav")
    with pytest.raises(DataError, match=r"a\.wav cannot be read as a wav file: it is empty"):
        read_wav(io.BytesIO(b""), "a.wav")
    with pytest.raises(DataError, match=r"a\.wav cannot be read as a wav file: it is damaged, or ends too early"):
        read_wav(io.BytesIO(wav([1, 2]).getvalue()[:30]), "a.wav")
    compressed = bytearray(wav([1, 2]).getvalue())
    compressed[20] = 7
    with pytest.raises(DataError, match=r"a\.wav cannot be read as a wav file: Unknown wave file format: MULAW$"):
        read_wav(io.BytesIO(compressed), "a.wav")
    with pytest.raises(DataError, match=r"a\.wav has no samples"):
        read_wav(wav([]), "a.wav")


def test_input_is_cut_to_the_longest() -> None:
    content = wav([16_384] * 400).getvalue()

    def read(longest: int, rate: int = 8_000) -> Given:
        return reader_of(DataSpec(InputSpec((longest,), sample_rate=rate))).read(content, "a.wav")

    whole, cut = read(500), read(100)
    assert isinstance(whole.inputs, Tensor)
    assert isinstance(cut.inputs, Tensor)
    assert whole.inputs.tolist() == [[0.5] * 400]
    assert (len(cut.inputs[0]), cut.notes) == (100, ["a.wav was cut to its first 0.0125 of 0.05 seconds"])
    fast = read(900, 16_000)
    assert isinstance(fast.inputs, Tensor)
    assert (fast.inputs.shape, fast.notes) == ((1, 800), ["a.wav was resampled from 8,000 to 16,000 Hz"])


def test_tones_are_always_the_same() -> None:
    first, again = load_tones.__wrapped__(), load_tones()
    assert first.sha256 == again.sha256
    assert len(first.clips) == 1_200
    assert len({len(clip.samples) for clip in first.clips}) > 100
    assert all(1_000 < int(clip.samples.abs().max()) < 32_767 for clip in first.clips)


def test_sounds_have_masks_and_unit_samples() -> None:
    data = Sounds(name="tones")
    data.prepare()
    assert data.spec.input.sample_rate == 8_000  # type: ignore[union-attr]
    for batch in split_of(data, "test"):
        x, mask = batch.inputs, batch.mask
        assert isinstance(x, Tensor)
        assert isinstance(mask, Tensor)
        assert x.dtype == torch.float32
        assert x.shape[1] <= data.longest
        assert 0.1 < float(x.abs().max()) <= 1
        assert not x[~mask].any()
    assert labels_of(split_of(data, "test")).bincount().tolist() == [30] * 10
    assert labels_of(split_of(data, "validation")).bincount().tolist() == [30] * 10
    assert len(data.train(CPU, 0)) == 600 // 64


def test_fold_leaves_one_speaker_out() -> None:
    folds = []
    for fold in range(6):
        data = Sounds(name="tones", fold=fold)
        data.prepare()
        assert {clip.speaker for clip in data._test} == {f"voice {fold + 1}"}
        assert not {clip.speaker for clip in [*data._train, *data._validation]} & {f"voice {fold + 1}"}
        assert len(data._test) + len(data._train) + len(data._validation) == 1_200
        assert f"voice {fold + 1}" in data.notes[0]
        folds += data._test
    assert len(folds) == 1_200
    with pytest.raises(ConfigError, match=r"data\.fold must be the number of a speaker from 0 to 5 \(voice 1, .*6\)"):
        Sounds(name="tones", fold=6).prepare()


def test_spoken_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """50 recordings of each of ten digits by each of six speakers, the first 5 of which are tested."""
    if REAL_DATA is None or not (REAL_DATA / "fsdd").is_dir():
        pytest.skip("needs the spoken digits: run `lab data fetch fsdd`, or set LAB_DATA_DIR")
    monkeypatch.setenv("LAB_DATA_DIR", str(REAL_DATA))
    data = Sounds()
    data.prepare()
    assert (data.info.name, data.info.fallback) == ("fsdd", None)
    assert lookup("fsdd").archive.content == data.info.sha256  # type: ignore[union-attr]
    assert data.spec.input.shape == (18_262,)  # type: ignore[union-attr]
    sizes = [len(labels_of(split_of(data, split))) for split in ("train", "validation", "test")]
    assert sizes == [2_400 // 64 * 64, 300, 300]


def ramp(*lengths: int) -> tuple[Tensor, Tensor]:
    """Sounds that rise by one with every sample, and their mask."""
    places = torch.arange(max(lengths))
    mask = places < torch.tensor(lengths)[:, None]
    return places.float() * mask, mask


def test_speed_changes_length_and_pitch() -> None:
    x, mask = ramp(100, 60, 1)
    changed, real = change_speed(x, mask, generator(), most=0.5, longest=1_000)
    for row, kept, length in zip(changed, real, (100, 60, 1), strict=True):
        rise = row[kept].diff()
        assert torch.allclose(rise, rise[:1].expand(len(rise)), atol=1e-3), "a line stays a line"
        factor = float(rise[0]) if length > 1 else 1.0
        assert 0.5 <= factor <= 1.5
        assert int(kept.sum()) == int((length - 1) / factor + 1e-4) + 1
        assert not row[~kept].any()
    assert change_speed(x, mask, generator(), most=0.5, longest=70)[0].shape[1] <= 70


def test_silence_is_one_stretch() -> None:
    x, mask = ramp(400, 300)
    quiet = silence(x + 1, mask, generator(), most=0.5) == 0
    for row, length in zip(quiet & mask, (400, 300), strict=True):
        assert 0 < int(row.sum()) <= length / 2 + 1
        assert int(row.int().diff().abs().sum()) <= 2


def test_augmentation_follows_its_generator() -> None:
    x, mask = ramp(100, 60)
    augment = AugmentSound(speed=0.2, noise=0.3, silence=0.2)
    one, again, other = (augment(Batch(x, None, mask), generator(seed), longest=100) for seed in (0, 0, 1))
    assert torch.equal(one.inputs, again.inputs)  # type: ignore[arg-type]
    assert not torch.equal(one.inputs[:, :50], other.inputs[:, :50])  # type: ignore[index]
    assert not one.inputs[~one.mask].any()  # type: ignore[index, operator]
    same = AugmentSound()(Batch(x, None, mask), generator(), longest=100)
    assert torch.equal(same.inputs, x)  # type: ignore[arg-type]
