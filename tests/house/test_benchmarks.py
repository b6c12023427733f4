"""A benchmark whose data or peer is not at hand is left out, one that fails is named, and the others go on."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agents.commands import compile as compile_command
from benchmarks import floor, language, left_out
from benchmarks.checkpoints import SHORTENED
from benchmarks.compiled import UNCOMPILED, require_compiled
from benchmarks.left_out import left_out_if_missing, require
from benchmarks.processes import lines, until
from lab.configuration import load
from lab.errors import ConfigError, DataError, DivergedError


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(left_out, "NAMED", names)
    return names


def test_a_missing_peer_is_named(named: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with left_out_if_missing("lab / nobody"):
        require("json", "no_such_peer")
        pytest.fail("it began without its peer")
    assert named == ["lab / nobody: no_such_peer not installed: pip install '.[bench]'"]
    assert capsys.readouterr().out.startswith("left out: lab / nobody")


def test_missing_data_are_named(named: list[str]) -> None:
    with left_out_if_missing("images"):
        raise DataError("mnist cannot be downloaded")
    assert named == ["images: mnist cannot be downloaded"]


def test_a_process_that_fails_is_named_with_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    monkeypatch.setattr(left_out, "FAILED", failed)
    with left_out_if_missing("one"):
        subprocess.run([sys.executable, "-c", "raise SystemExit('no luck')"], check=True, capture_output=True)
    assert len(failed) == 1
    assert failed[0].startswith("one: ")
    assert "no luck" in failed[0]


def test_a_failure_of_the_lab_is_named(named: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[str] = []
    monkeypatch.setattr(left_out, "FAILED", failed)
    with left_out_if_missing("one"):
        raise DivergedError("the loss is NaN")
    assert (failed, named) == (["one: the loss is NaN"], [])


def test_language_and_floor_name_what_is_missing(
    named: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(language.CHECKOUT, raising=False)
    with pytest.raises(ConfigError, match=language.CHECKOUT):
        language._training(1)
    (tmp_path / "generative").mkdir()
    (tmp_path / "generative" / "no-such-experiment.yaml").touch()
    monkeypatch.setattr(floor, "configs_folder", lambda: tmp_path)
    monkeypatch.setattr(floor, "SIDE", 16)
    floor.measure(1)
    assert [name.partition(":")[0] for name in named] == ["floor of no-such-experiment"]


SPOKEN = "import sys; print('begun', flush=True); "


def test_a_process_that_fails_while_it_is_listened_to_is_a_failure() -> None:
    found: list[str] = []
    with pytest.raises(subprocess.CalledProcessError) as caught:
        found.extend(lines([sys.executable, "-c", f"{SPOKEN} sys.exit('no luck')"]))
    assert found == ["begun\n"]
    assert caught.value.returncode == 1
    assert "no luck" in caught.value.stderr


def test_a_process_that_is_ended_on_purpose_is_none() -> None:
    with closing(lines([sys.executable, "-c", f"{SPOKEN} import time; time.sleep(60)"])) as printed:
        assert next(printed) == "begun\n"


def test_a_process_is_awaited_to_its_end_for_a_line() -> None:
    assert until("beg", [sys.executable, "-c", SPOKEN])[1] == "begun\n"
    for code, words, said in ((f"{SPOKEN} sys.exit('no luck')", "beg", "no luck"), (SPOKEN, "end", "no line begins")):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            until(words, [sys.executable, "-c", code])
        assert said in caught.value.stderr


def test_programs_that_are_not_compiled_are_named() -> None:
    require_compiled("compiling: update\nupdate: 1.2 MB, 20 s\n3 programs in ~/.cache/lab/programs\n")
    with pytest.raises(ConfigError, match="update: not compiled: no memory"):
        require_compiled("choice of actions: 1.2 MB, 20 s\nupdate: not compiled: no memory\n")
    with pytest.raises(ConfigError, match="none of"):
        require_compiled("none of this agent's operations can be compiled; it runs as before\n")


def test_lab_compile_says_so_in_these_words() -> None:
    source = Path(compile_command.__file__).read_text()
    assert all(words in source for words in UNCOMPILED)


@pytest.mark.parametrize("name", ["ppo-cartpole", "dqn-cartpole"])
def test_agents_go_without_the_users_programs(name: str) -> None:
    assert load(name, SHORTENED[name]).as_dict()["agent"]["init_args"]["capture"] == "always"


def test_what_is_there_runs_and_faults_are_raised(named: list[str]) -> None:
    require("json")
    with pytest.raises(ZeroDivisionError), left_out_if_missing("json"):
        1 / 0  # noqa: B018
    assert named == []
