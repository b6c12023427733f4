"""Models of music: each step from those before it, as the keys of a piano. What other sequences need is in
`autoregressive`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from generative.music.model import MusicModel

__all__ = ["MusicModel"]

__getattr__, __dir__ = lazily(__name__, {"MusicModel": "generative.music.model"})
