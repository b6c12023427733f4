"""What `lab list` knows about an experiment: read off its config, without importing any class that it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.config.files import read, setting
from lab.config.shipped import families, family, shipped
from lab.errors import ConfigError, nearest

LEARNERS = ("model", "agent")
"""Settings whose class is what learns: it says which task an experiment belongs to."""
DATA = ("data.name", "data.path", "env.id")


@dataclass(frozen=True)
class Entry:
    """One experiment.

    Args:
        name: as `lab run` takes it.
        family: the package of its classes; `custom` for a user's own.
        task: the family's room or file that the model or agent comes from, such as `ppo` or `classifier`.
        description: one line.
        data: name of the data set or environment; empty where the config does not say.
        classes: names of all classes in the config.
        reference: the published figure, as in the config; None where there is none.
        target: our own figure, as in the config; None where there is none.
        differs: why a figure of this experiment does not compare with the published one; empty where it does, as far as
            the config says.
    """

    name: str
    family: str
    task: str
    description: str
    data: str
    classes: Sequence[str]
    reference: Mapping[str, Any] | None
    target: Mapping[str, Any] | None
    differs: str = ""

    @property
    def words(self) -> str:
        """All that a word of `lab list WORD` may match."""
        return "\n".join((self.name, self.family, self.task, self.description, self.data, *self.classes)).lower()


def entries(words: Sequence[str] = ()) -> list[Entry]:
    """Return the experiments whose name, family, task, description, data or classes hold all `words`, by family and
    task. Raises ConfigError for words that no experiment has."""
    found = sorted(
        (entry(name, read(path)) for name, path in shipped().items()),
        key=lambda one: (one.family, one.task, one.name),
    )
    matching = [one for one in found if all(word.lower() in one.words for word in words)]
    if words and not matching:
        missing = next((word for word in words if not any(word.lower() in one.words for one in found)), "")
        known = {part for one in found for part in (one.name, one.family, one.task, one.data, *one.classes)}
        what = f"has {missing!r}" if missing else f"has all of {', '.join(words)}"
        raise ConfigError(
            f"no experiment {what}{nearest(missing, known) if missing else ''}; `lab list` shows them all"
        )
    return matching


def entry(name: str, config: Mapping[str, Any]) -> Entry:
    """Return what is known about a config."""
    paths = list(class_paths(config))
    return Entry(
        name,
        family(config),
        task(config),
        str(config.get("description", "")),
        next((str(value) for key in DATA if (value := setting(config, key))), ""),
        list(dict.fromkeys(path.rpartition(".")[2] for path in paths)),
        config.get("reference"),
        config.get("target"),
        _differs(config),
    )


def _differs(config: Mapping[str, Any]) -> str:
    published = config.get("reference")
    if not isinstance(published, Mapping):
        return ""
    for key in DATA:
        if (used := setting(config, key)) and used != published.get("dataset"):
            return f"the published figure is for {published.get('dataset')}, this experiment uses {used}"
    for name, expected in (published.get("requires") or {}).items():
        if (own := setting(config, name)) is not None and own != expected:
            return f"the protocol has {name}: {expected}, this experiment {own}"
    return ""


def task(config: Mapping[str, Any]) -> str:
    """Return the room of its family that the model or agent comes from; a class outside the families by its name."""
    for key in LEARNERS:
        learner = config.get(key)
        if isinstance(learner, Mapping) and "class_path" in learner:
            root, *inside = str(learner["class_path"]).split(".")
            return inside[0] if root in families() and inside else [root, *inside][-1]
    return "other"


def class_paths(values: Any) -> Iterator[str]:
    """Yield the dotted paths of all classes that a config names."""
    if isinstance(values, Mapping):
        if isinstance(values.get("class_path"), str):
            yield values["class_path"]
        for value in values.values():
            yield from class_paths(value)
    elif isinstance(values, list):
        for value in values:
            yield from class_paths(value)
