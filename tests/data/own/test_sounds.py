"""Sounds that a user has: wav files in a folder for each class."""

from __future__ import annotations

import io
import struct
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import wavfile

from lab.data import Sounds
from lab.data.sound import read_wav, resampled
from lab.data.spec import Classes
from lab.errors import ConfigError, DataError
from lab.system import memory


def tone(pitch: float, rate: int = 8_000, seconds: float = 0.1) -> NDArray[np.float64]:
    """A sine from -0.5 to 0.5."""
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)


def save(path: Path, samples: NDArray[np.float64], rate: int = 8_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(path, rate, (samples * 32_767).astype(np.int16))
    return path


def folder(place: Path, *, each: int = 10, classes: Sequence[str] = ("high", "low"), rate: int = 8_000) -> Path:
    for label, name in enumerate(classes):
        for i in range(each):
            save(place / name / f"{i}.wav", tone(200 + 1_000 * label + i, rate, 0.05 + 0.005 * i), rate)
    return place


def prepared(place: Path, **settings: Any) -> Sounds:
    data = Sounds(path=str(place), batch_size=2, **settings)
    data.prepare()
    return data


def pitch(samples: torch.Tensor, rate: int) -> float:
    """The loudest frequency in Hz."""
    spectrum = torch.fft.rfft(samples.double() * torch.hann_window(len(samples))).abs()
    return float(spectrum.argmax()) * rate / len(samples)


def written(samples: NDArray[Any], *, width: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(width)
        out.setframerate(8_000)
        levels = (samples * (2 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
        out.writeframes(b"".join(int(level).to_bytes(width, "little", signed=width > 1) for level in levels.ravel()))
    return file.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_is_read(width: int) -> None:
    expected = tone(500) * 32_767
    found, rate = read_wav(io.BytesIO(written(tone(500), width=width)), "a")
    assert (found.dtype, rate) == (torch.int16, 8_000)
    assert abs(found.numpy() - expected).max() <= (2 * 256 if width == 1 else 1.5)


def test_fractions_and_extended_headers_are_read() -> None:
    file = io.BytesIO()
    wavfile.write(file, 8_000, np.array([[0.5, -0.5], [1.5, 0.5]], np.float32))
    assert read_wav(io.BytesIO(file.getvalue()), "a")[0].tolist() == [0, 32_767], "the mean of both channels, clipped"
    # As other programs write 24 bits: WAVE_FORMAT_EXTENSIBLE.
    kind = struct.pack("<HHIIHHHHI", 0xFFFE, 1, 8_000, 24_000, 3, 24, 22, 24, 4)
    kind += struct.pack("<H", 1) + b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
    content = (1_000 * 256).to_bytes(3, "little") + (-7 * 256).to_bytes(3, "little", signed=True)
    body = b"WAVEfmt " + struct.pack("<I", len(kind)) + kind + b"data" + struct.pack("<I", len(content)) + content
    found = io.BytesIO(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert read_wav(found, "a")[0].tolist() == [1_000, -7]


@pytest.mark.parametrize("rate", [44_100, 16_000, 6_000])
def test_resampling_keeps_pitch_and_loudness(rate: int) -> None:
    samples = torch.from_numpy((tone(1_000, rate, 0.5) * 32_767).astype(np.int16))
    found = resampled(samples, rate, 8_000)
    assert abs(len(found) - 4_000) <= 1
    assert abs(pitch(found, 8_000) - 1_000) <= 2
    assert abs(float(found.double().std() / samples.double().std()) - 1) < 0.02


def test_spec_and_splits_are_found(tmp_path: Path) -> None:
    data = prepared(folder(tmp_path / "calls", each=20))
    assert data.spec.target == Classes(2, ("high", "low"))
    assert data.spec.input.sample_rate == 8_000  # type: ignore[union-attr]
    assert data.info.path == str(tmp_path / "calls")
    splits = (data._train, data._validation, data._test)
    assert sum(map(len, splits)) == 40
    assert all({clip.label for clip in split} == {0, 1} for split in splits)


def test_most_common_rate_is_taken(tmp_path: Path) -> None:
    folder(tmp_path, each=6)
    save(tmp_path / "low" / "9.wav", tone(1_300, 44_100), 44_100)
    data = prepared(tmp_path)
    assert "1 of 13 sounds were resampled to 8,000 Hz (44,100), the most common rate" in " ".join(data.notes)
    assert prepared(tmp_path, sample_rate=16_000).spec.input.sample_rate == 16_000  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match=r"data\.sample_rate is for sounds of your own"):
        Sounds(sample_rate=16_000)


def test_own_splits_are_kept(tmp_path: Path) -> None:
    folder(tmp_path / "train", each=6)
    folder(tmp_path / "test", each=3)
    data = prepared(tmp_path)
    assert [len(split) for split in (data._train, data._validation, data._test)] == [10, 2, 6]


def test_sounds_have_no_folds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.fold leaves out one speaker of fsdd, but nothing says who speaks"):
        Sounds(path=str(tmp_path), fold=1)


@pytest.mark.parametrize("rate", [0, 1_000_003])
def test_rates_that_cannot_be_are_refused(rate: int) -> None:
    file = io.BytesIO()
    wavfile.write(file, 8_000, np.ones(4, np.int16))
    content = bytearray(file.getvalue())
    content[24:32] = struct.pack("<II", rate, 2 * rate)
    with pytest.raises(DataError, match=rf"a says that it has {rate:,} samples per second"):
        read_wav(io.BytesIO(content), "a")


def test_bad_folders_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder(tmp_path / "calls", each=3)
    path = save(place / "low" / "empty.wav", np.zeros(0))
    with pytest.raises(DataError, match=r"low/empty\.wav has no samples"):
        prepared(place)
    path.write_bytes(b"ID3 music")
    with pytest.raises(DataError, match=r"low/empty\.wav cannot be read as a wav file: it does not begin as one"):
        prepared(place)
    path.unlink()
    save(place / "rare" / "1.wav", tone(100))
    with pytest.raises(DataError, match=r"the class rare has one sound; each class needs two different ones"):
        prepared(place)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1_000)
    with pytest.raises(DataError, match=r"7 sounds need .* of memory, but this machine has 1\.0 kB free"):
        prepared(place)
