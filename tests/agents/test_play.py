"""`lab play`: what is seen is what was played, at the pace of the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from PIL import Image

import lab
from agents.environments.settings import EnvSettings
from agents.evaluation import play as playing
from agents.evaluation.aside import film
from agents.evaluation.episodes import play_episodes
from agents.evaluation.films import GIF_FRAMES, Gif, Mp4, has_mp4
from agents.evaluation.frames import LEAST, MOST, OVER, Frames, title
from agents.evaluation.play import play
from agents.networks.extractor import RecurrentState
from lab.capabilities import Episode, Showing
from lab.cli.main import main
from lab.errors import ConfigError
from lab.runs.summary import Summary


class Countdown(gym.Env[Any, Any]):
    """Lasts `seed % 7 + 3` steps; rewards the action that names the parity of all observations since the reset."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}
    observation_space = spaces.Box(0, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.left, self.parity = (seed or 0) % 7 + 3, 0
        return self._see(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        reward = float(action == self.parity)
        self.left -= 1
        return self._see(), reward, self.left == 0, False, {}

    def render(self) -> Any:
        return np.full((40, 60, 3), 20 * self.left, np.uint8)

    def _see(self) -> Any:
        bit = int(self.np_random.integers(2))
        self.parity ^= bit
        return np.array([bit], np.float32)


class Blind(Countdown):
    metadata = {"render_modes": ["ansi"]}


gym.register("LabTestCountdown-v0", entry_point=f"{__name__}:Countdown")
gym.register("LabTestBlind-v0", entry_point=f"{__name__}:Blind")
COUNTDOWN = EnvSettings("LabTestCountdown-v0")


class Remembers:
    """Knows the parity of what it has seen, which is in its memory alone."""

    def act(
        self, observations: Any, memory: RecurrentState | None = None
    ) -> tuple[np.ndarray[Any, Any], RecurrentState | None]:
        before = torch.zeros(len(observations), dtype=torch.long) if memory is None else memory[0]
        parity = before ^ torch.from_numpy(observations[:, 0]).long()
        return parity.numpy(), (parity,)


def test_memory_stays_with_its_episode() -> None:
    seeds = list(range(20))
    episodes = play_episodes(Remembers(), COUNTDOWN, seeds)
    assert episodes.lengths.tolist() == [seed % 7 + 3 for seed in seeds]
    assert episodes.returns.tolist() == episodes.lengths.tolist(), "whoever remembers is always right"


class Counted(Countdown):
    """Knows how many of its kind are open."""

    open_now = 0
    most = 0

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        Counted.open_now += 1
        Counted.most = max(Counted.most, Counted.open_now)

    def close(self) -> None:
        super().close()
        Counted.open_now -= 1


gym.register("LabTestCounted-v0", entry_point=f"{__name__}:Counted")


@pytest.mark.parametrize("side_by_side", [1, 3, 50])
def test_open_environments_are_bounded(side_by_side: int) -> None:
    seeds, settings = list(range(7)), EnvSettings("LabTestCounted-v0")
    Counted.most = 0
    played = play_episodes(Remembers(), settings, seeds, side_by_side=side_by_side)
    assert (Counted.most, Counted.open_now) == (min(side_by_side, 7), 0)
    assert played.lengths.tolist() == [seed % 7 + 3 for seed in seeds]


def shown(path: Path) -> tuple[list[Image.Image], list[int]]:
    """Frames of a GIF, and how long each lasts in milliseconds."""
    frames, durations = [], []
    with Image.open(path) as picture:
        for i in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(i)
            frames.append(picture.convert("RGB"))
            durations.append(picture.info["duration"])
    return frames, durations


def watch(path: Path, seeds: list[int]) -> list[Episode]:
    told: list[Episode] = []
    assert play(Remembers(), COUNTDOWN, Showing(seeds, path, output=path, told=told.append)) == path
    return told


def test_gif_duration() -> None:
    assert watch(Path("one.gif"), [5]) == [Episode(5, 8.0, 8)]
    frames, durations = shown(Path("one.gif"))
    assert len(frames) == 9, "the reset and each step"
    assert sum(durations) == pytest.approx(8 * 1000 / 30 + 1000, abs=10)
    assert set(durations[:-1]) <= {30, 40}, "hundredths of a second that sum up to the right time"
    picture = [image.getpixel((100, image.height - 5)) for image in frames]
    assert [grey[0] // 20 for grey in picture] == [8, 7, 6, 5, 4, 3, 2, 1, 0]  # type: ignore[index]
    assert [image.getpixel((image.width - 2, 2)) == OVER for image in frames] == [False] * 8 + [True]


def test_several_episodes_are_told_apart() -> None:
    assert [one.seed for one in watch(Path("two.gif"), [0, 1])] == [0, 1]
    frames, durations = shown(Path("two.gif"))
    assert len(frames) == (1 + 4) + (1 + 5), "a title before each"
    assert durations[0] == durations[5] == pytest.approx(800, abs=10)


@pytest.mark.parametrize("fps", [4, 24, 30, 50, 60, 144])
def test_gif_keeps_time_at_any_rate(fps: int) -> None:
    with Gif(Path("x.gif"), fps) as made:
        for i in range(3 * fps):
            made.add(Image.new("RGB", (8, 8), (i % 256, i // 256, 0)), 1 / fps)
    frames, durations = shown(Path("x.gif"))
    assert sum(durations) == pytest.approx(3000, abs=20)
    assert min(durations[:-1]) >= 20, "faster ones are slowed down by browsers"
    assert len(frames) >= min(3 * fps, 60)


def test_a_long_gif_is_cut_aloud(capsys: pytest.CaptureFixture[str]) -> None:
    with Gif(Path("x.gif"), 30) as made:
        for i in range(GIF_FRAMES + 5):
            made.add(Image.new("RGB", (2, 2), (i % 256, i // 256, 0)), 0.04)
    assert "an .mp4 holds all" in capsys.readouterr().err
    assert sum(shown(Path("x.gif"))[1]) == pytest.approx(40 * GIF_FRAMES)


@pytest.mark.skipif(not has_mp4(), reason="needs the extra video")
def test_mp4_duration() -> None:
    from imageio_ffmpeg import count_frames_and_secs, read_frames

    watch(Path("films/one.mp4"), [5])
    frames, seconds = count_frames_and_secs("films/one.mp4")
    assert frames == 8 + 30, "the reset and seven steps, and the last one for a second"
    assert seconds == pytest.approx(38 / 30, abs=0.02)
    reader = read_frames("films/one.mp4")
    assert next(reader)["fps"] == 30
    reader.close()
    assert [path.name for path in Path("films").iterdir()] == ["one.mp4"]


@pytest.mark.parametrize("kind", [Gif, Mp4] if has_mp4() else [Gif])
def test_unfinished_films_are_removed(kind: type[Gif | Mp4]) -> None:
    path = Path("films") / f"x.{kind.__name__.lower()}"

    def interrupted() -> None:
        with kind(path, 30) as made:
            made.add(Image.new("RGB", (32, 32)), 0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(path.parent.iterdir())


SHAPES = [(1, 1, 3), (7, 9, 3), (84, 84), (210, 160, 3), (400, 40, 3), (401, 601, 3), (60, 2000, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_text_fits_any_size(shape: tuple[int, ...]) -> None:
    image = Frames().frame(np.zeros(shape, np.uint8), "step 123456   return -1234567.89")
    assert LEAST <= image.width <= MOST
    assert image.width % 2 == image.height % 2 == 0
    lit = np.asarray(image.convert("L")) > 128
    rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
    assert 150 < columns.max() < image.width - 2, "all of the text is inside"
    assert rows.max() - rows.min() >= 9, "and large enough to be read"
    assert title(image, "episode 10 of 12, seed 4294967295").size == image.size


@pytest.mark.parametrize("shape", [(400, 600, 3), (601, 333, 3), (500, 500)])
def test_what_stays_is_not_drawn_again(shape: tuple[int, ...]) -> None:
    random, film = np.random.default_rng(0), Frames(320)
    picture = random.integers(0, 256, shape, np.uint8)
    for step in range(12):
        top, left = random.integers(0, 300, 2)
        picture[top : top + 40, left : left + 70] = random.integers(0, 256)
        if step == 5:  # nothing has changed
            film.frame(picture, "another text")
        if step == 8:  # some environments change their picture's size
            film.frame(picture[:400, :330], "")
        found, whole = (np.asarray(one.frame(picture, str(step)), int) for one in (film, Frames(320)))
        assert np.abs(found - whole).max() <= 1


def test_pictures_are_complete() -> None:
    image = np.asarray(Frames().frame(np.full((213, 320, 3), 255, np.uint8), ""))
    assert image.shape == (30 + 212, 320, 3)
    assert (image[30:] == 255).all()


def test_journal_films_keep_pace() -> None:
    frames = film(Remembers(), COUNTDOWN, 4)
    assert len(frames) == 7
    assert {one.info["duration"] for one in frames} == {30}
    cartpole = film(Remembers2(), EnvSettings("CartPole-v1"), 0, limit=5)
    assert {one.info["duration"] for one in cartpole} == {40}, "every second frame of 50 a second"
    assert {one.size for one in cartpole} == {(320, 242)}


class Remembers2(Remembers):
    def act(
        self, observations: Any, memory: RecurrentState | None = None
    ) -> tuple[np.ndarray[Any, Any], RecurrentState | None]:
        return (observations[:, 2] > 0).astype(int), None


def test_unshowable_environments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(env: str, pattern: str, **asked: Any) -> None:
        with pytest.raises(ConfigError, match=pattern):
            play(Remembers(), EnvSettings(env), Showing([0], Path("x"), **asked))

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    refused("LabTestBlind-v0", r"cannot be filmed: it draws no rgb_array, its render modes are \['ansi'\]")
    refused("LabTestCountdown-v0", "has no window", window=True)
    refused("CartPole-v1", "no screen for a window", window=True)
    refused("CartPole-v1", r"ends in .mp4 or .gif, received x\.avi", output=Path("x.avi"))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)  # as if it were not installed
    refused("CartPole-v1", r"'deep-learning-lab\[video\]'", output=Path("x.mp4"))
    assert not list(Path().iterdir())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        return lab.run("ppo-cartpole", runs_dir=tmp_path_factory.mktemp("runs"), fast_dev_run=True)


def test_the_command(run: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    words = ["play", run.run_id, "--runs-dir", str(run.dir.parent.parent)]
    assert main([*words, "--seed", "3", "--episodes", "2"]) == 0
    first, second, where = capsys.readouterr().out.splitlines()
    suffix = "mp4" if has_mp4() else "gif"
    film = run.dir / "media" / f"play-3.{suffix}"
    assert film.samefile(where.removeprefix("film: "))
    assert first.startswith("seed 3: return ")
    assert second.startswith("seed 4: return ")
    assert main([*words, "--seed", "4", "-o", "again.gif", "--checkpoint", "best"]) == 0
    assert Path("again.gif").stat().st_size > 1000
    for more, sentence in (
        (["--episodes", "0"], "expected a number from 1 to 1,000,000, received '0'"),
        (["--window", "-o", "x.gif"], "choose one of them"),
        (["--seed", "-1"], "expected a number from 0 to"),
        (["--format=sb3"], "unknown"),
    ):
        capsys.readouterr()
        assert main([*words, *more]) == 2, more
        assert sentence in capsys.readouterr().err


def test_gif_without_extra_is_announced(
    run: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert main(["play", str(run.dir), "--seed", "11"]) == 0
    assert (run.dir / "media" / "play-11.gif").is_file()
    assert "writing a GIF; for an .mp4: pip install 'deep-learning-lab[video]'" in capsys.readouterr().err


def test_window_title_has_figures(
    run: Summary, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pygame draws the window into memory: all is as on a screen, but for the screen."""
    import pygame

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(playing, "HOLD", 0)
    titles: list[str] = []
    monkeypatch.setattr(pygame.display, "set_caption", titles.append)
    assert main(["play", str(run.dir), "--window", "--episodes", "2"]) == 0
    assert titles[0].split() == ["episode", "1", "of", "2", "step", "0", "return", "0"]
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2, "no film"
    steps = sum(int(line.split()[-2]) for line in out.splitlines())
    assert len(titles) == steps + 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
def test_dead_screen_is_refused(run: Summary) -> None:
    script = f"import sys; from lab.cli.main import main; sys.exit(main(['play', {str(run.dir)!r}]))"
    hidden = ("SDL_VIDEODRIVER", "WAYLAND_DISPLAY")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment | {"DISPLAY": ":4999"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no window can be opened" in done.stderr or "cannot be drawn here" in done.stderr


def test_only_agents_play(capsys: pytest.CaptureFixture[str]) -> None:
    run = lab.run("vae-mnist", {"data.name": "digits"}, runs_dir="runs", fast_dev_run=True)
    assert main(["play", "vae-mnist", "--runs-dir", "runs"]) == 2
    assert capsys.readouterr().err.endswith(
        f"{run.run_id} is a vae-mnist, which cannot act; it can sample, reconstruct, traverse\n"
    )
