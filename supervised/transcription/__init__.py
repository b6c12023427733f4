"""What is said in a sound, as a sequence of labels that is shorter than it; classes of whole sounds are in
`classifier`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.transcription.transcriber import Transcriber

__all__ = ["Transcriber"]

__getattr__, __dir__ = lazily(__name__, {"Transcriber": "supervised.transcription.transcriber"})
