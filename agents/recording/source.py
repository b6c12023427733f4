"""Where episodes come from: an environment, and the policy that acts in it."""

from __future__ import annotations

from pathlib import Path

from agents.environments.closing import close
from agents.environments.settings import EnvSettings
from agents.networks.distributions import require_actions
from agents.recording.recorder import Source
from agents.trained import TrainedAgent
from lab.config.files import read
from lab.config.shipped import shipped
from lab.configuration import load
from lab.console.wording import some, word
from lab.errors import ConfigError, nearest
from lab.evaluation import load_run
from lab.needs import MissingArtifactError
from lab.runs.select import find_run, is_own_run
from lab.runs.summary import local_runs, read_summary

RANDOM = "random"


def source_of(env: str, policy: str, runs: Path, *, fast_dev_run: bool = False, trust: bool | None = None) -> Source:
    """Return the environment that `env` names, a Gymnasium id or an experiment, and what `policy` names, `random` or
    a run. An experiment means its newest completed run, and no fast-dev run unless `fast_dev_run`. Raises ConfigError
    where there is none, or where the two do not fit."""
    settings = _settings(env, trust)
    try:
        made = settings.make()
    except ConfigError as error:
        hint = "" if "did you mean" in str(error) else nearest(env, _experiments())
        raise ConfigError(f"{error}{hint}") from error
    close(made)
    require_actions(made.action_space)
    settings = settings.with_own_generators()
    if policy == RANDOM:
        return Source(settings, None, {"kind": RANDOM})
    record = read_summary(_run_of(policy, runs, fast_dev_run))
    if record.can and "act" not in record.can:
        raise ConfigError(f"{record.run_id} is a {record.name}, which cannot act; name a run of an agent")
    agent = load_run(record, device="cpu", trust=trust)
    if not isinstance(agent, TrainedAgent):
        raise ConfigError(f"{record.run_id} is a {record.name}, which cannot act; name a run of an agent")
    for what, wanted, given in (
        ("sees", agent.agent.observation_space, made.observation_space),
        ("acts by", agent.agent.action_space, made.action_space),
    ):
        if wanted != given:
            told = " ".join(f"{what} {wanted}, and {env} has {given}".split())  # NumPy breaks long bounds into lines
            raise ConfigError(
                f"the agent of {record.run_id} {told}; `lab collect {record.name}` has the environment that it was "
                "trained in"
            )
    return Source(settings, agent.agent, {"kind": "run", "run_id": record.run_id, "experiment": record.name})


def _run_of(policy: str, runs: Path, fast_dev_run: bool) -> Path:
    """Return the folder of a run. Raises MissingArtifactError for an experiment that has no fitting run, ConfigError
    for any other name that is none of a run."""
    named = [run for run in local_runs(runs) if run.name == policy and (not run.can or "act" in run.can)]
    if Path(policy).is_dir() or not (named or policy in _experiments()):
        return find_run(policy, runs)
    done = [run for run in named if run.status == "completed" and (fast_dev_run or not run.fast_dev_run)]
    if not done:
        message = f"there is no run of {policy} in {runs} that is complete and no fast-dev run, whose agent could act"
        known = policy if policy in _experiments() else None
        raise MissingArtifactError(f"{message}; `lab run {word(policy)}` trains one", known)
    return next(filter(is_own_run, reversed(done)), done[-1]).dir


def _settings(env: str, trust: bool | None) -> EnvSettings:
    if env not in shipped() and not env.endswith((".yaml", ".yml")):
        return EnvSettings(env)
    settings = getattr(load(env, trust=trust).build(), "env", None)
    if not isinstance(settings, EnvSettings):
        raise ConfigError(
            f"{env} trains no agent, so it has no environment; name a Gymnasium id, or one of {some(_experiments())}"
        )
    return settings


def _experiments() -> list[str]:
    """The experiments that have an environment."""
    return [name for name, path in shipped().items() if "env" in read(path)]
