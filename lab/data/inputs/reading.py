"""Reads what a user names, files, folders or standard input, by the spec of the data that a model was trained on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.console.notices import notice
from lab.data.inputs.given import Given, Reader, TextReader
from lab.data.inputs.images import Images
from lab.data.inputs.sounds import Sounds
from lab.data.spec import DataSpec, InputSpec
from lab.errors import ConfigError, DataError, LabError

STANDARD_INPUT = "-"


def reader_of(spec: DataSpec, *, any_size: bool = False) -> Reader:
    """Return what reads files as such inputs, images in their own size where the model takes any. Raises ConfigError
    where nothing does."""
    if spec.reader is not None:
        return spec.reader
    form = spec.input
    if isinstance(form, InputSpec) and form.sample_rate:
        return Sounds(form, form.sample_rate)
    if isinstance(form, InputSpec) and len(form.shape) == 3:
        return Images(form, any_size)
    raise ConfigError("this model takes inputs that no file has; from Python: lab.load(RUN).predict(inputs)")


def read_inputs(words: Sequence[str], reader: Reader) -> list[tuple[str, Given]]:
    """Return what each file holds, with its name; `-` is standard input, and a folder all files of the kind in it.
    A sentence that names no file is a text, where the reader takes texts.

    Raises LabError with a sentence for each file that cannot be read.
    """
    found, errors = list[tuple[str, Given]](), list[str]()
    names = [name for word in words for name in _files(word, reader)]
    for name in names:
        try:
            if isinstance(reader, TextReader) and _is_sentence(name, reader):
                found.append((name, reader.read_text(name)))
                continue
            content, told = _content(name)
            found.append((told, reader.read(content, told)))
        except LabError as error:
            errors.append(str(error))
    if len(errors) > 1:
        raise DataError(f"{len(errors)} of {len(names)} inputs cannot be read: {'; '.join(errors)}")
    if errors:
        raise DataError(errors[0])
    return found


def _is_sentence(word: str, reader: Reader) -> bool:
    """Return whether a word of the command line is several words in quotes, or one where the reader reads single words,
    and names no file or folder."""
    named = os.path.exists(word) or word.lower().endswith(tuple(reader.suffixes)) or word == STANDARD_INPUT
    fewest = 1 if getattr(reader, "reads_single_words", False) else 2
    return len(word.split()) >= fewest and not named


def _files(word: str, reader: Reader) -> Iterator[str]:
    """Yield the files that a word names: of a folder, those of the kind, in the order of their names, but no hidden
    ones."""
    folder = Path(word)
    if word == STANDARD_INPUT or not os.path.isdir(word):  # Path.is_dir fails for a sentence that is long
        yield word
        return
    try:
        inside = sorted(one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    except OSError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}") from error
    files = [one for one in inside if one.suffix.lower() in reader.suffixes]
    if not files:
        kinds = ", ".join(reader.suffixes)
        raise ConfigError(f"the folder {word} has no file that ends in {kinds}; the folders in it are not searched")
    yield from map(str, files)


def _content(name: str) -> tuple[bytes, str]:
    """Return the content of a file, and what it is called."""
    if name == STANDARD_INPUT:
        if sys.stdin.isatty():
            notice("reading standard input; Ctrl-D ends it")
        return sys.stdin.buffer.read(), "standard input"
    try:
        return Path(name).read_bytes(), name
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from error
