"""The key is made once, and what is signed with it cannot be changed or put in another place."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.keys.key import existing_key, fingerprint, key, key_file
from lab.keys.signature import (
    FIELD,
    config_is_signed,
    is_signed,
    print_of_config,
    signed,
    signed_config,
    unguessable,
)

CONFIG = b"name: x\nseed: 1\n"


@pytest.fixture
def own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key file that does not exist yet."""
    path = tmp_path / "keys" / "key"
    monkeypatch.setenv("LAB_KEY_FILE", str(path))
    return path


def test_key_is_made_once(own_key: Path) -> None:
    assert existing_key() is None
    first = key()
    assert first is not None
    assert len(first) == 64
    assert key() == first == own_key.read_bytes().strip()
    assert stat.S_IMODE(own_key.stat().st_mode) == 0o600
    assert [path.name for path in own_key.parent.iterdir()] == ["key"]


def test_key_lies_in_config_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LAB_KEY_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert key_file().name == "key"
    assert "lab" in key_file().parts


def test_reading_makes_no_key(own_key: Path) -> None:
    assert not config_is_signed(signed_config(CONFIG)[:-3])
    own_key.unlink()
    assert not config_is_signed(CONFIG + b"# signed: " + b"0" * 64 + b"\n")
    assert not own_key.exists()


def test_unwritable_key_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    monkeypatch.setenv("LAB_KEY_FILE", os.path.abspath("file/key"))
    assert signed_config(CONFIG) == CONFIG
    assert signed("manifest", {"a": 1}) == {"a": 1}
    assert capsys.readouterr().err.count("is not signed as yours") == 1


def test_key_of_the_working_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's may lie there."""
    Path("key").write_text("0" * 64)
    for path in ("key", "./key", "../work/key"):
        monkeypatch.setenv("LAB_KEY_FILE", path)
        with pytest.raises(ConfigError, match=f"LAB_KEY_FILE: expected an absolute path, received '{path}'"):
            config_is_signed(CONFIG + b"# signed: " + b"0" * 64 + b"\n")
        with pytest.raises(ConfigError, match="expected an absolute path"):
            key()


@pytest.mark.parametrize(("mode", "said"), [(0o600, 0), (0o640, 0), (0o644, 1), (0o660, 1), (0o602, 1)])
def test_open_key_is_said_once(mode: int, said: int, own_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = signed_config(CONFIG)
    assert capsys.readouterr().err == ""
    own_key.chmod(mode)
    for _ in range(2):
        assert config_is_signed(content)
        assert signed_config(CONFIG) == content
    assert capsys.readouterr().err.count("others can use your key") == said


def test_empty_key_is_refused(own_key: Path) -> None:
    own_key.parent.mkdir()
    own_key.touch()
    with pytest.raises(ConfigError, match="holds no key: expected at least 32 characters, received 0"):
        signed_config(CONFIG)


@pytest.mark.parametrize(
    "changed",
    [
        lambda content: content.replace(b"seed: 1", b"seed: 2"),
        lambda content: b"#\n" + content,
        lambda content: content + b"evil: 1\n",
        lambda content: content + content,
        lambda content: content.replace(b"\n#", b"\nevil: 1\n#"),
        lambda content: content.partition(b"# signed")[0],
        lambda content: content.rstrip(),
    ],
)
def test_changed_config_is_not_signed(changed: object) -> None:
    content = signed_config(CONFIG)
    assert config_is_signed(content)
    assert signed_config(content) == content
    assert not config_is_signed(changed(content))  # type: ignore[operator]


def test_signature_is_bound_to_its_kind() -> None:
    manifest = signed("manifest", {"a": [1, 0.1, None, "é"]})
    assert is_signed("manifest", json.loads(json.dumps(manifest)))
    assert not is_signed("artifact", manifest)
    assert not is_signed("manifest", {**manifest, "a": 2})
    for code in (5, "\ud800", "é"):
        assert not is_signed("manifest", {**manifest, FIELD: code})
    text = b'{"a":1}'
    code = signed_config(text + b"\n").rpartition(b" ")[2].strip().decode()
    assert not is_signed("manifest", {"a": 1, FIELD: code})


def test_another_key_does_not_fit(own_key: Path) -> None:
    content = signed_config(CONFIG)
    own_key.write_text("x" * 40)
    assert not config_is_signed(content)


def test_signature_of_a_config_is_the_same_everywhere() -> None:
    """Of two runs with the same settings, also: the summary of each binds it to that run by its print."""
    content = signed_config(CONFIG)
    assert signed_config(CONFIG) == content
    assert print_of_config(content) == print_of_config(CONFIG)
    assert print_of_config(content) != print_of_config(content.replace(b"seed: 1", b"seed: 2"))


def test_json_is_signed_as_it_is_read_again() -> None:
    """A key that is a number becomes a text in a file."""
    manifest = signed("manifest", {"by_step": {10: 1.5, 9: (1, 2)}})
    assert is_signed("manifest", json.loads(json.dumps(manifest)))


def test_fingerprint_tells_keys_apart(own_key: Path) -> None:
    assert fingerprint() == ""
    secret = key()
    first = fingerprint()
    assert first == fingerprint() != ""
    assert secret is not None
    assert first not in secret.decode()
    own_key.write_text("x" * 40)
    assert fingerprint() != first


def test_names_that_only_the_user_can_tell(own_key: Path) -> None:
    first = unguessable("x")
    assert first == unguessable("x") != unguessable("y")
    own_key.write_text("x" * 40)
    assert unguessable("x") != first
