"""Images made better: enlarged, or freed of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.system.lazy import lazily

if TYPE_CHECKING:
    from supervised.restoration.denoiser import Denoiser
    from supervised.restoration.super_resolver import SuperResolver

__all__ = ["Denoiser", "SuperResolver"]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Denoiser": "supervised.restoration.denoiser",
        "SuperResolver": "supervised.restoration.super_resolver",
    },
)
