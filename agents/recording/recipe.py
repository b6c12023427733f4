"""What decides every number of a recorded data set: the options of `lab collect`, also as a config has them."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.errors import ConfigError

LEAST, MOST = 8, 512  # pixels of a side
SIZE = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")


@dataclass(frozen=True)
class Recipe:
    """The options of `lab collect`.

    Args:
        env: a Gymnasium id, or an experiment for its environment with its wrappers.
        policy: `random`, or a run whose agent acts.
        n: steps in all; the last episode ends with them.
        seed: of the episodes, and of random actions.
        pixels: height and width of the grey pictures that are kept, as `40x60`; None to keep the observations.

    Raises ConfigError for a number or a size that is none.
    """

    env: str
    policy: str = "random"
    n: int = 20_000
    seed: int = 0
    pixels: str | None = None

    def __post_init__(self) -> None:
        for name, least, most in (("n", 1, 10**9), ("seed", 0, 2**32 - 1)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ConfigError(f"{name} must be a number from {least} to {most:,}, received {value!r}")
        for name in ("env", "policy"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ConfigError(f"{name} must be a name, received {getattr(self, name)!r}")
        if self.pixels is not None and not self._is_size(self.pixels):
            raise ConfigError(
                f"pixels must be a height and a width from {LEAST} to {MOST}, such as 40x60, received {self.pixels!r}"
            )

    @staticmethod
    def _is_size(text: object) -> bool:
        found = SIZE.fullmatch(text) if isinstance(text, str) else None
        return found is not None and all(LEAST <= int(side) <= MOST for side in found.groups())

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the pictures; None where the observations are kept."""
        found = SIZE.fullmatch(self.pixels) if self.pixels else None
        return (int(found[1]), int(found[2])) if found else None

    @property
    def name(self) -> str:
        """Name of the data set where none is given."""
        parts = (self.env, self.policy, self.n, *([self.pixels] if self.pixels else []), f"s{self.seed}")
        return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(map(str, parts))).lstrip("-.")

    def as_dict(self) -> dict[str, Any]:
        """Return the options by name."""
        return asdict(self)

    def words(self) -> list[str]:
        """Return the command that makes the data set, without where it goes, after `lab`."""
        pixels = ["--pixels", self.pixels] if self.pixels else []
        return ["collect", self.env, "--policy", self.policy, "-n", str(self.n), *pixels, "--seed", str(self.seed)]

    def make(
        self, folder: Path, runs: Path, *, fast_dev_run: bool = False, trust: bool | None = None
    ) -> dict[str, Any]:
        """Record the episodes as `folder`, and return the description of the data set.

        Args:
            folder: of the data set, which must not exist.
            runs: folder of all runs, where the policy is looked for.
            fast_dev_run: whether the policy of an experiment may be that of a fast-dev run.
            trust: whether somebody else's run or config is taken for the user's own.

        Raises ConfigError for an environment, a policy or a folder that will not do, DataError where the steps do not
        fit into memory, EnvironmentFailedError.
        """
        from agents.recording.recorder import record
        from agents.recording.source import source_of
        from lab.data.own.episodes import require_free, write_episodes

        require_free(folder)
        source = source_of(self.env, self.policy, runs, fast_dev_run=fast_dev_run, trust=trust)
        arrays, description = record(source, steps=self.n, seed=self.seed, size=self.size)
        made = {"command": "collect", "options": self.as_dict()}
        return write_episodes(folder, arrays, made | description)
