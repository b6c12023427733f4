"""How the tests of this folder run an environment."""

from __future__ import annotations

from tests.faults.harness import BRIEF

MODULE = "tests.faults.environments"


def run(name: str, *more: str) -> list[str]:
    brief = [f"--{key}={value}" for key, value in BRIEF.items()]
    small = ["--env.num_envs=2", "--agent.batch_size=64"]
    return ["run", "ppo-cartpole", f"--env.id={MODULE}:{name}-v0", *small, *brief, *more]
