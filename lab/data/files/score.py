"""Music as notes: what sounds at each step, the same as a MIDI file, and as sound."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from lab.data.sound import Sound

# Dimensions: T steps, K keys.

KEYS = 88
"""Keys of a piano."""
LOWEST = 21  # MIDI number of the first key
RATE = 16_000  # samples per second
OVERTONES = (1.0, 0.45, 0.2, 0.08)  # loudness of a tone's frequency, and of two, three and four times it
ATTACK, FADE = 0.02, 0.9  # seconds until a tone is loud; seconds in which its loudness falls to 1/e
TICKS, VELOCITY = 480, 80  # of MIDI: units of a quarter note, and how hard a key is struck
ORGAN = 19  # a church organ among the instruments of General MIDI, counted from 0


class Note(NamedTuple):
    """A key that is held from one step to another, which it does not include."""

    key: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Score(Sound):
    """Music that is known note by note. It is a Sound too, of plain synthetic tones.

    Args:
        keys: `(T, 88)`, true where a key of the piano sounds. A key that sounds at two steps in a row is held.
        tempo: steps per minute.
    """

    keys: Tensor
    tempo: float

    @classmethod
    def of(cls, keys: Tensor, *, tempo: float = 90.0) -> Score:
        """Return the music of these keys, `(T, 88)`."""
        keys = keys.detach().bool().cpu()
        return cls(synthesised(keys, tempo), RATE, keys, tempo)

    @property
    def others(self) -> dict[str, bytes]:
        return {".mid": self.midi()}

    def midi(self) -> bytes:
        """Return it as a MIDI file of one track, with a quarter note for each step."""
        from mido import Message, MetaMessage, MidiFile, MidiTrack, bpm2tempo  # 0.1 s, and only here

        track = MidiTrack([MetaMessage("set_tempo", tempo=bpm2tempo(self.tempo))])
        track.append(Message("program_change", program=ORGAN))
        held = list(notes(self.keys))
        changes = [(note.start, 1, note.key) for note in held] + [(note.end, 0, note.key) for note in held]
        changes.sort()  # at one moment keys are let go before others are struck
        before = 0
        for at, struck, key in changes:
            kind = "note_on" if struck else "note_off"
            track.append(Message(kind, note=key + LOWEST, velocity=VELOCITY * struck, time=(at - before) * TICKS))
            before = at
        file = io.BytesIO()
        MidiFile(ticks_per_beat=TICKS, tracks=[track]).save(file=file)
        return file.getvalue()


def notes(keys: Tensor) -> Iterator[Note]:
    """Yield the notes of `(T, K)` keys, from low to high, and for each key in the order of time."""
    padded = torch.nn.functional.pad(keys.int(), (0, 0, 1, 1))
    changes = padded.diff(dim=0)  # (T + 1, K): 1 where a key begins to sound, -1 where it no longer does
    for key in changes.any(0).nonzero().flatten().tolist():
        starts, ends = ((changes[:, key] == sign).nonzero().flatten().tolist() for sign in (1, -1))
        for start, end in zip(starts, ends, strict=True):
            yield Note(key, start, end)


def synthesised(keys: Tensor, tempo: float) -> Tensor:
    """Return the sound of `(T, K)` keys in equal temperament, `(samples,)` in [-1, 1]: each note has a few overtones,
    begins softly and fades."""
    step = RATE * 60 / tempo
    sound = torch.zeros(round(len(keys) * step) + round(ATTACK * RATE))
    for note in notes(keys):
        start, end = round(note.start * step), round(note.end * step)
        seconds = torch.arange(end - start) / RATE
        pitch = 440.0 * 2.0 ** ((note.key + LOWEST - 69) / 12)
        tone = sum(loud * torch.sin(2 * torch.pi * pitch * n * seconds) for n, loud in enumerate(OVERTONES, 1))
        soft = (seconds / ATTACK).clamp(max=1) * (seconds.flip(0) / ATTACK).clamp(max=1)
        sound[start:end] += tone * soft * torch.exp(-seconds / FADE)
    return sound / sound.abs().max().clamp(min=1)
