"""What the commands about images share: which images they show, and the files that they write."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli.output import named_after, outside_runs, say, writing
from lab.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from lab.runs.summary import Summary

FRAME = 100  # milliseconds


def target(output: str | None, suffix: str) -> Path | None:
    """Return the file that -o names, or None. Raises ConfigError where it ends otherwise, or lies in a run's folder."""
    if output is None:
        return None
    path = outside_runs(output)
    if path.suffix != suffix:
        raise ConfigError(f"expected a file that ends in {suffix}, received {output}")
    return path


def named_for(what: str, record: Summary, suffix: str) -> Path:
    """Return a new file in the working directory that is named after what it shows and after the run."""
    from lab.system.files import free_name

    return free_name(Path(named_after(f"{what}-{record.run_id}{suffix}"))).absolute()


def test_images(record: Summary, overrides: Sequence[str], options: argparse.Namespace, count: int) -> Tensor:
    """Return the first test images of a run's data, `(N, C, H, W)` in [0, 1], on the CPU."""
    import torch

    from lab.data.loader import testing_batches
    from lab.evaluation import data_of

    found: list[Tensor] = []
    for x, _ in testing_batches(data_of(record, overrides, trust=options.trust), torch.device("cpu")):
        found += x[: count - len(found)]
        if len(found) == count:
            break
    return torch.stack(found)


def own_images(words: Sequence[str], model: Any) -> tuple[list[str], Tensor]:
    """Return the names of the files that a user names, and their images, `(N, C, H, W)` in [0, 1], on the CPU."""
    import torch

    from lab.data.inputs.reading import read_inputs, reader_of

    given = read_inputs(words, reader_of(model.spec))
    for _, one in given:
        for note in one.notes:
            say(note)
    return [name for name, _ in given], torch.cat([one.inputs for _, one in given])  # type: ignore[misc]


def write(path: Path, picture: Image, *more: Image) -> None:
    """Write a picture, or the frames of a film, in the format of the file's ending. Raises ConfigError where the disk
    refuses."""
    from lab.system.files import write_atomic

    drawn = BytesIO()
    film = {"save_all": True, "append_images": more, "duration": FRAME, "loop": 0} if more else {}
    picture.save(drawn, path.suffix[1:], **film)
    with writing(path):
        write_atomic(path, drawn.getvalue())
