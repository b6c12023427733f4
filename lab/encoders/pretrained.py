"""A trained encoder, wherever a config names one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from lab.data.spec import Spec, shapes
from lab.encoders.base import Encoder
from lab.encoders.nesting import place
from lab.errors import ConfigError

_stand_in: ContextVar[Path | None] = ContextVar("_stand_in", default=None)


@contextmanager
def stand_in(folder: Path) -> Iterator[None]:
    """Build Pretrained encoders from `folder` instead of their own path: a finished run is evaluated from what it
    holds itself, also when the run that its encoder came from is gone."""
    token = _stand_in.set(folder)
    try:
        yield
    finally:
        _stand_in.reset(token)


class Pretrained(Encoder):
    """Stands for the encoder of an earlier run: building it gives that encoder, of its own class, with its weights.

    Args:
        path: a run's `encoder` folder; the encoder must be of one of the lab's own classes.
        freeze: keep the weights and the statistics of batch norms as they are.
    """

    def __new__(cls, spec: Spec, *, path: str, freeze: bool = False) -> Any:
        # Not an instance of this class, so Python does not call __init__ on it: what is built, trained and exported
        # is the very Conv or MLP that was loaded, with no wrapper in between.
        from lab.encoders.files import load_encoder

        folder = _stand_in.get() or Path(path)
        if not folder.is_dir():
            raise ConfigError(f"there is no encoder folder {folder}")
        # In a run's own folder, this one is inside whichever encoder the run trained.
        encoder = _inner(load_encoder(folder), place()) if _stand_in.get() else load_encoder(folder)
        if shapes(encoder.spec) != shapes(spec):
            raise ConfigError(f"the encoder in {path} takes inputs of {shapes(encoder.spec)}, received {shapes(spec)}")
        encoder.pretrained, encoder.frozen = True, freeze
        return encoder.train().requires_grad_(not freeze)

    def __init__(self, spec: Spec, *, path: str, freeze: bool = False) -> None:
        raise NotImplementedError("never reached; it is here for its signature, which is the schema of the config")


def _inner(encoder: Encoder, place: str) -> Encoder:
    found = dict(encoder.named_modules()).get(place)
    if not isinstance(found, Encoder):
        raise ConfigError(f"the run's own {type(encoder).__name__} has no encoder inside it at {place!r}")
    return found
