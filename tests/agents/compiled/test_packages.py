"""Compiled programs compute what the page does, within rounding, and come from the user's own cache alone."""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from agents.acceleration.captured import MOST_RENEWED, Captured
from agents.compiled.compilers import obstacle
from agents.compiled.made import Maker, require_compiler
from agents.compiled.package import Package
from agents.compiled.packages import Packages, folder, mine, missing, present
from lab.errors import EnvironmentFailedError

CPU = torch.device("cpu")
compiler = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))


class Learner:
    """A network with dropout, and a function that draws noise, computes a gradient, and follows it."""

    def __init__(self, programs: Packages) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 2))
        self.weights = list(self.net.parameters())
        self.adam = torch.optim.Adam(self.weights, lr=0.1, fused=True)
        for weight in self.weights:
            weight.grad = torch.zeros_like(weight)
        self.adam.step()
        self.learn = Captured(self._learn, self.net, CPU, "auto", self._state, programs, "learning")

    def _learn(self, x: Tensor, scale: Any) -> tuple[Tensor, ...]:
        noise = torch.rand_like(x)
        loss = (self.net(x + noise) * scale).square().mean()
        for weight, gradient in zip(self.weights, torch.autograd.grad(loss, self.weights), strict=True):
            assert weight.grad is not None
            weight.grad.copy_(gradient)
        self.adam.step()
        return loss.detach(), noise

    def state(self) -> list[Tensor]:
        """Everything that a step changes."""
        return [*(weight.detach() for weight in self.weights), *self._state()]

    def _state(self) -> list[Tensor]:
        parts = [x for weight in self.weights for x in self.adam.state[weight].values()]
        return [*parts, *(weight.grad for weight in self.weights if weight.grad is not None)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's cache, with the program of a `Learner`."""
    from torch._inductor import codecache

    headers = tmp_path_factory.mktemp("torchs") / "headers"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(codecache, "_HEADER_DIR", str(headers))
        # What surrounds the program's loops may be slow.
        patch.setattr(torch._inductor.config.aot_inductor, "compile_wrapper_opt_level", "O0")
        torch.set_num_threads(1)
        require_compiler()
        with Maker(lambda line: None) as maker:
            Learner(Packages((), maker)).learn(torch.ones(3, 4), 2.0)
        assert [(one.what, one.problem) for one in maker.made] == [("learning", "")]
        assert not headers.exists(), "nothing comes from a folder that others may have made"
        yield folder()


@pytest.fixture
def own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parents[1]))
    return cache


@compiler
def test_programs_equal_their_page(own: Path) -> None:
    ours, page = Learner(present()), Learner(Packages())
    for number in range(6):
        x, found = torch.randn(3, 4), []
        with torch.no_grad():  # the same step from the same place: Adam makes a rounding of small gradients larger
            for one, other in zip(ours.state(), page.state(), strict=True):
                one.copy_(other)
        for learner in (ours, page):
            torch.manual_seed(number)
            found += [*(part.clone() for part in learner.learn(x, 2.0 + number)), torch.rand(1)]
        assert isinstance(ours.learn.repeated, Package)
        torch.testing.assert_close(found[:3], found[3:], rtol=1e-5, atol=1e-6)
        assert torch.equal(found[2], found[5]), "the same random numbers were drawn"
        torch.testing.assert_close(ours.state(), page.state(), rtol=1e-4, atol=1e-6)


@compiler
@pytest.mark.parametrize("compiled", [True, False])
def test_outputs_are_written_to_given_places(own: Path, compiled: bool) -> None:
    one, other = (Learner(present() if compiled else Packages()) for _ in range(2))
    places = torch.empty(()), torch.empty(3, 4)
    for number in range(8):  # from the first call to repetitions
        x = torch.randn(3, 4)
        torch.manual_seed(number)
        found = one.learn(x, 2.0)
        torch.manual_seed(number)
        other.learn.write(places, x, 2.0)
        assert all(map(torch.equal, places, found))
    assert isinstance(other.learn.repeated, Package) is compiled
    assert all(map(torch.equal, one.state(), other.state()))


@compiler
def test_programs_give_the_same_bits_from_a_later_step(own: Path) -> None:
    through, later = Learner(present()), Learner(present())
    xs = torch.randn(4, 3, 4)
    for x in xs[:2]:
        through.learn(x, 2.0)
    later.net.load_state_dict(through.net.state_dict())
    later.adam.load_state_dict(copy.deepcopy(through.adam.state_dict()))
    numbers = torch.get_rng_state()
    for learner in (through, later):
        torch.set_rng_state(numbers)
        for x in xs[2:]:
            learner.learn(x, 2.0)
    assert all(map(torch.equal, through.weights, later.weights))


@compiler
@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b""), lambda file: os.truncate(file, 1000)])
def test_a_damaged_program_is_not_used(
    own: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(own, folder())
    folder().chmod(0o700)
    (file,) = folder().iterdir()
    damage(file)
    programs = present()
    learner = Learner(programs)
    learner.learn(torch.ones(3, 4), 2.0)
    assert programs.state_dict() == {"used": [], "known": []}
    assert "cannot be loaded" in capsys.readouterr().err


@compiler
def test_runs_keep_to_the_programs_they_began_with(own: Path) -> None:
    (name,) = present().names
    programs = present()
    programs.load_state_dict({"used": [], "known": []})
    learner = Learner(programs)
    learner.learn(torch.ones(3, 4), 2.0)
    assert learner.learn.repeated is None
    assert programs.state_dict() == {"used": [], "known": []}
    assert missing({"used": [name], "known": [name]}) is None
    assert "1 of the 2 compiled programs" in str(missing({"used": [name, "another"], "known": []}))


@compiler
def test_a_program_in_use_is_not_judged_again(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = present().names
    monkeypatch.setattr("agents.acceleration.captured.close", lambda some, others: False)
    begun, resumed = present(), present()
    resumed.load_state_dict({"used": [name], "known": [name]})
    for programs, used in ((begun, False), (resumed, True)):
        learner = Learner(programs)
        learner.learn(torch.ones(3, 4), 2.0)
        assert isinstance(learner.learn.repeated, Package) is used


@compiler
def test_programs_of_other_formats_are_left_alone(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = present().names
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(own, folder())
    folder().chmod(0o700)
    earlier = [f"0-{name.partition('-')[2]}", name.partition("-")[2]]
    for one in earlier:
        shutil.copy(folder() / f"{name}.pt2", folder() / f"{one}.pt2")
    assert present().names == {name}
    assert "1 of the 1 compiled programs" in str(missing({"used": earlier[:1], "known": earlier}))


@compiler
@pytest.mark.parametrize(
    "spoil",
    [lambda file: file.chmod(0o666), lambda file: file.parent.chmod(0o777), lambda file: _linked(file)],
    ids=["file", "folder", "link"],
)
def test_files_that_others_may_write_are_left_alone(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], None]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    shutil.copytree(own, folder())
    folder().chmod(0o700)
    assert present().names
    (file,) = folder().iterdir()
    spoil(file)
    assert not present().names


def _linked(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


@compiler
def test_a_program_of_another_function_is_not_used(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Other(Learner):
        def _learn(self, x: Tensor, scale: Any) -> tuple[Tensor, ...]:
            loss, noise = super()._learn(x, scale)
            return loss + 1, noise

    (name,) = present().names
    learner = Other(present())
    learner.learn(torch.ones(3, 4), 2.0)
    assert learner.learn.repeated is None
    swapped = Packages({name})
    swapped.find = lambda function, what, listing, *rest: Package(  # type: ignore[method-assign]
        own / f"{name}.pt2", listing, *rest
    )
    learner, page = Other(swapped), Other(Packages())
    torch.manual_seed(1)
    loss = learner.learn(torch.ones(3, 4), 2.0)[0]
    torch.manual_seed(1)
    assert torch.equal(loss, page.learn(torch.ones(3, 4), 2.0)[0])
    assert all(map(torch.equal, learner.weights, page.weights)), "what the program did is undone"
    assert "does not compute what it was made from" in capsys.readouterr().err


@pytest.mark.parametrize("programs", [Packages(), Packages({"one"})], ids=["none", "some"])
def test_how_often_things_changed_does_not_decide_on_programs(programs: Packages) -> None:
    net = nn.Linear(4, 2)
    once = Captured(lambda x: (net(x),), net, CPU, packages=programs)
    for number in range(MOST_RENEWED + 2):
        once.renew(number)
    assert once.wished is bool(programs), "a resumed run does not know how often"


def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFailedError, match=r"needs a C\+\+ compiler|need torch"):
        require_compiler()


def test_paths_with_spaces_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if obstacle() is not None:
        pytest.skip("nothing can be compiled here anyway")
    monkeypatch.setattr(torch, "__file__", "/my folder/torch/__init__.py")
    assert "compiling needs PyTorch in a path without spaces, received /my folder/torch" in str(obstacle())


def test_only_own_files_are_mine(tmp_path: Path) -> None:
    file = tmp_path / "file"
    assert not mine(file)
    file.touch(0o600)
    assert mine(file)
    if os.getuid() == 0:
        os.chown(file, 12345, -1)
        assert not mine(file)
