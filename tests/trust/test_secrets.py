"""Secrets are recorded nowhere: neither as settings nor in what an exception says. They can be named instead."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import yaml

import lab
from lab.cli.main import main
from lab.configuration import load
from lab.errors import ConfigError, EnvironmentFailedError
from lab.job import build
from lab.tracking.redact import BLANK, blanked, redact, secrets_of
from tests.faults.harness import BRIEF

PEM = "-----BEGIN RSA PRIVATE KEY-----MIIEvQIBADANBgkq" + "-----END RSA PRIVATE KEY-----"
SECRETS = {
    "address": ("https://me:urlpassword99@example.org/x", "urlpassword99"),
    "database": ("postgres://db:dsnpassword55@h/x", "dsnpassword55"),
    "hook": ("https://hooktoken1234567890@example.org/repo.git", "hooktoken1234567890"),
    "header": ("Authorization: Bearer bearersecret0123456789", "bearersecret0123456789"),
    "basic": ("basic dXNlcjpwYXNzd29yZDEyMw==", "dXNlcjpwYXNzd29yZDEyMw"),
    "gitlab": ("x glpat-AAAAAAAAAAAAAAAAAAAA y", "glpat-AAAA"),
    "github": ("github_pat_11AAAAAAAAAAAAAAAAAAAAAA", "11AAAA"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl", "c2lnbmF0"),
    "slack": ("xoxb-123456789012-abcdefghijklmnop", "xoxb-1234"),
    "google": ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSy"),
    "stripe": ("sk_live_abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    "npm": ("npm_abcdefghijklmnopqrstuvwxyz0123456789", "npm_abcd"),
    "query": ("https://example.org/data?access_token=querytoken123456&x=1", "querytoken123456"),
    "assigned": ("connect(user='me', password='assigned12345')", "assigned12345"),
    "told": ("the api_key: toldkey12345 is wrong", "toldkey12345"),
    "pem": (f"key {PEM} end", "MIIEvQ"),
    "cut pem": (PEM[:44], "MIIEvQ"),
}


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_known_by_form(kind: str) -> None:
    text, secret = SECRETS[kind]
    assert secret not in redact(text)
    assert BLANK in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "api_key",
        "apiKey",
        "accessToken",
        "AWS_SECRET_ACCESS_KEY",
        "client-secret",
        "db.pwd",
        "Authorization",
    ],
)
def test_secrets_are_known_by_name(name: str) -> None:
    assert redact({name: "x1"}) == {name: BLANK}
    assert redact({name: ["x1", {"deep": "x2"}, True]}) == {name: [BLANK, {"deep": BLANK}, True]}


@pytest.mark.parametrize("name", ["password", "pwd", "passcode", "pin", "card_pin", "api_key", "otp", "client-secret"])
def test_secrets_may_be_numbers(name: str) -> None:
    settings = {"env": {"kwargs": {name: 12345678, "deep": {name: [12.5]}}}}
    assert redact(settings) == {"env": {"kwargs": {name: BLANK, "deep": {name: [BLANK]}}}}
    assert "12345678" in secrets_of(settings), "which an error does not say either"
    assert redact(f"--env.kwargs.{name}=12345678") == f"--env.kwargs.{name}={BLANK}"


@pytest.mark.parametrize("name", ["clientSecret", "env.kwargs.dbPassword", "myApiKey"])
def test_names_of_several_words_are_known_in_texts(name: str) -> None:
    assert redact(f"{name}=abcd1234 of {name}: 'x1y2z3'") == f"{name}={BLANK} of {name}: '{BLANK}'"


@pytest.mark.parametrize("text", ["maxTokens=4096", "compass=north", "monkey=banana"])
def test_other_names_stay_in_texts(text: str) -> None:
    assert redact(text) == text


def test_other_numbers_stay() -> None:
    numbers = {
        "token": 512,
        "auth": 2,
        "max_token": 9,
        "password_length": 8,
        "pin_memory": 1,
        "spin": 2,
        "secret": True,
    }
    assert redact(numbers) == numbers
    assert redact({"pin_memory": "yes"}) == {"pin_memory": "yes"}


@pytest.mark.parametrize(
    "text",
    [
        "the tokens of a text, one token representation after the other",
        "basic understanding of the token embedding",
        "a password prompt",
        "https://example.org/path?x=1&page=2",
        "lab.encoders.Transformer",
        "my.secrets:Vault-v0",
        "ratio: 0.5, key: value, max_tokens=100",
        "runs/cnn-mnist/20260101-000000-s0-1ef8/encoder",
        "/data/0123456789abcdef0123456789abcdef01234567.bin",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text
    assert redact({"tokenizer": text, "n_tokens": "many"}) == {"tokenizer": text, "n_tokens": "many"}


def test_long_texts_take_no_time() -> None:
    for text in ("a" * 200_000, "a-" * 100_000, "://" * 60_000, "eyJ" * 60_000, "token " * 30_000):
        redact(text)


class Failing(gym.Env[Any, Any]):
    """Says its settings when it fails, as clients of a service do."""

    observation_space = gym.spaces.Box(-1, 1, (3,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, url: str = "", password: str = "", plain: str = "", fail: bool = True) -> None:
        self.said, self.fail, self.steps = f"login at {url} with {password} and {plain}", fail, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        return np.zeros(3, np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        if self.fail and self.steps > 150:
            raise RuntimeError(f"{self.said}, Authorization: Bearer bearersecret0123456789")
        return np.zeros(3, np.float32), 1.0, self.steps % 20 == 19, False, {}


gym.register("Failing-v0", f"{__name__}:Failing", disable_env_checker=True)

AGENT: dict[str, Any] = {
    "env.id": f"{__name__}:Failing-v0",
    "agent.n_steps": 64,
    "agent.batch_size": 64,
    "total_timesteps": 256,
    "env.num_envs": 1,
    "checkpoint.steps": 64,
}


def started(kwargs: dict[str, Any], **more: Any) -> Path:
    """Start a run whose environment fails, and return its folder."""
    with pytest.raises(EnvironmentFailedError):
        lab.run("ppo-cartpole", BRIEF | AGENT | {"env.kwargs": kwargs} | more)
    (folder,) = Path("runs/ppo-cartpole").iterdir()
    return folder.absolute()


def holds(folder: Path, secret: str) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]


def test_no_secret_is_in_any_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "tokentokentoken42")
    monkeypatch.setenv("PLAIN", "looks-like-nothing")
    kwargs = {
        "url": "https://me:urlpassword99@example.org",
        "password": "plainpassword77",
        "plain": "tokentokentoken42",
    }
    folder = started(kwargs | {"plain": "${env:PLAIN} tokentokentoken42"})
    for secret in ("urlpassword99", "plainpassword77", "tokentokentoken42", "bearersecret", "looks-like-nothing"):
        assert not holds(folder, secret), secret
    assert json.loads((folder / "summary.json").read_text())["error"].startswith("EnvironmentFailedError")
    recorded = yaml.safe_load((folder / "config.yaml").read_text())["env"]["kwargs"]
    assert recorded["plain"] == f"${{env:PLAIN}} {BLANK}"

    capsys.readouterr()
    assert main(["resume", str(folder)]) == 2
    said = capsys.readouterr().err
    assert re.search(
        r"recorded without its secrets; give them again: --env\.kwargs\.url=\.\.\. --env\.kwargs\.password=\.\.\.", said
    )
    given = {"url": kwargs["url"], "password": "plainpassword77", "plain": "${env:PLAIN} tokentokentoken42"}
    again = [f"--env.kwargs.{name}={value}" for name, value in given.items()]
    assert main(["resume", str(folder), *again]) == 0
    assert not holds(folder, "plainpassword77")


def test_variables_are_named_and_resolved_late(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"env.kwargs": {"password": "${env:DB_PASSWORD}", "url": "x/${env:HOST}/y"}}
    config = load("ppo-cartpole", settings)
    with pytest.raises(ConfigError, match=r"names \$\{env:DB_PASSWORD\}, but no variable DB_PASSWORD is set"):
        build(config)
    monkeypatch.setenv("DB_PASSWORD", "0123")
    monkeypatch.setenv("HOST", "here")
    config = load("ppo-cartpole", settings)
    assert config.build().env.kwargs == {"password": "0123", "url": "x/here/y"}  # type: ignore[attr-defined]
    assert redact(config.as_dict())["env"]["kwargs"] == settings["env.kwargs"], "kept as written, and not blanked"
    assert list(blanked(redact(config.as_dict()))) == []


def test_path_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOS", str(Path("photos").absolute()))
    config = load("cnn-mnist", {"data.path": "${env:PHOTOS}/cats"})
    assert config.as_dict()["data"]["init_args"]["path"] == "${env:PHOTOS}/cats"
    data: Any = config.build()
    assert data.data.path == str(Path("photos/cats").absolute())


@pytest.mark.parametrize(("key", "value"), [("env.kwargs", {"x": "${env:HOME}"}), ("description", "${env:HOME}")])
def test_stranger_names_no_variable(key: str, value: Any) -> None:
    config = load("ppo-cartpole", {key: value}).as_dict()
    Path("runs/theirs/run").mkdir(parents=True)
    Path("runs/theirs/run/config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=rf"its {key}.* names a variable of your environment"):
        load("runs/theirs/run/config.yaml")


def test_working_directory_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PWD` is the shell's name of it: a run that could not name a path below it could not be evaluated again."""
    monkeypatch.setenv("PWD", "/home/me/project")
    monkeypatch.setenv("SERVICE_PWD", "correct horse")
    assert redact("/home/me/project/runs: correct horse") == "/home/me/project/runs: [redacted]"
