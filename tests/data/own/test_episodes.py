"""Recorded episodes as files: written whole or not at all, and read without trusting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from lab.data.own.episodes import DESCRIPTION, TENSORS, read_episodes, write_episodes
from lab.errors import ConfigError, DataError
from lab.system import files

FOLDER = Path("poles")


def arrays(steps: int = 12, each: int = 4) -> dict[str, np.ndarray[Any, Any]]:
    """Episodes of `each` steps, whose frames are as grey as their number."""
    number = np.arange(steps)
    return {
        "observations": np.tile(number.astype(np.uint8)[:, None, None, None], (1, 1, 8, 8)),
        "actions": number % 2,
        "rewards": np.ones(steps, np.float32),
        "starts": number % each == 0,
        "terminations": number % each == each - 1,
        "truncations": np.zeros(steps, bool),
        "states": np.stack([number, -number], 1).astype(np.float32),
    }


def test_what_is_written_is_read() -> None:
    told = write_episodes(FOLDER, arrays(), {"states": ["grey", "dark"]})
    found = read_episodes(FOLDER)
    assert found.sha256 == told["sha256"]
    assert found.names == ("grey", "dark")
    for name, array in arrays().items():
        assert np.array_equal(found.tensors[name].numpy(), array)


def test_what_stands_there_is_kept() -> None:
    FOLDER.mkdir()
    (FOLDER / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="cannot write poles"):
        write_episodes(FOLDER, arrays(), {})
    assert [path.name for path in Path().iterdir()] == ["poles"]
    assert (FOLDER / "mine.txt").read_text() == "mine"


def test_nothing_half_written_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, value: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lab.data.own.episodes.write_json", full)
    with pytest.raises(Exception, match="No space left on device"):
        write_episodes(FOLDER, arrays(), {})
    assert not list(Path().iterdir())
    assert files.write_json is not full


def test_other_bytes_are_refused() -> None:
    write_episodes(FOLDER, arrays(), {"states": ["grey", "dark"]})
    content = bytearray((FOLDER / TENSORS).read_bytes())
    content[-1] ^= 1
    (FOLDER / TENSORS).write_bytes(content)
    with pytest.raises(DataError, match="is damaged: its sha256"):
        read_episodes(FOLDER)
    (FOLDER / TENSORS).write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"is damaged: expected .* bytes"):
        read_episodes(FOLDER)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"observations": np.zeros((12, 3, 3), np.uint8)}, "its observations are"),
        ({"observations": np.full((12, 2), np.nan, np.float32)}, "not finite"),
        ({"starts": np.zeros(12, bool)}, "its first step does not begin an episode"),
        ({"starts": np.zeros(11, bool)}, "its starts are not one for each of 12 steps"),
        ({"states": np.zeros((12, 3), np.float32)}, "its states are not 2 for each step"),
        ({"rewards": np.ones(11, np.float32)}, "its rewards are not one number for each of 12 steps"),
        ({"rewards": np.full(12, np.inf, np.float32)}, "not finite"),
        ({"actions": np.zeros(13, np.int64)}, "its actions are not one for each of 12 steps"),
    ],
)
def test_tensors_of_another_form_are_refused(change: dict[str, Any], sentence: str) -> None:
    write_episodes(FOLDER, arrays() | change, {"states": ["grey", "dark"]})
    with pytest.raises(DataError, match=sentence):
        read_episodes(FOLDER)


@pytest.mark.parametrize("name", ["actions", "rewards", "starts"])
def test_a_missing_tensor_is_named(name: str) -> None:
    write_episodes(FOLDER, {one: array for one, array in arrays().items() if one != name}, {"states": ["grey", "dark"]})
    with pytest.raises(DataError, match=f"no recorded episodes that can be read: it has no {name}"):
        read_episodes(FOLDER)


def test_a_strangers_folder_runs_no_code() -> None:
    """Neither pickles, nor links, nor a description of any form do anything but raise."""
    write_episodes(FOLDER, arrays(), {"states": ["grey", "dark"]})
    told = json.loads((FOLDER / DESCRIPTION).read_text())
    pickled = b"cos\nmkdir\n(S'planted'\ntR."
    for content in (pickled, save({"observations": np.zeros(3)})[:-4], b""):
        (FOLDER / TENSORS).write_bytes(content)
        (FOLDER / DESCRIPTION).write_text(json.dumps(told | {"bytes": len(content), "sha256": _sha256(content)}))
        with pytest.raises(DataError, match="no recorded episodes that can be read"):
            read_episodes(FOLDER)
    (FOLDER / TENSORS).unlink()
    Path("secret").write_bytes(pickled)
    (FOLDER / TENSORS).symlink_to(Path("secret").absolute())
    with pytest.raises(DataError):
        read_episodes(FOLDER)
    for text in ("[]", "{}", '{"bytes": "many"}', "no json"):
        (FOLDER / DESCRIPTION).write_text(text)
        with pytest.raises(DataError):
            read_episodes(FOLDER)
    assert not Path("planted").exists()


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def test_a_folder_of_others_is_named() -> None:
    FOLDER.mkdir()
    with pytest.raises(DataError, match=r"poles holds no recorded episodes: it lacks episodes\.json"):
        read_episodes(FOLDER)
