"""`lab predict`: what a trained model says of files of your own."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli import options as shared
from lab.cli.output import named_after, outside_runs, print_json, print_line, require_others, say, writing
from lab.cli.using import trained, using
from lab.errors import ConfigError
from lab.system.files import free_name, is_for_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from lab.capabilities import Prediction
    from lab.data.batch import Tensors

SUMMARY = "predict classes, values, boxes or masks for files of your own, or restore images"
TAKES_OVERRIDES = True
EPILOG = (
    "The run keeps the names of classes and columns. An older one, which does not, finds them in its data: if these "
)
EPILOG += "lie elsewhere now, --data.path=PATH says where."

MOST = 1_000  # rows of a table that go through the model at once


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="a file of the kind that the run was trained on (image, wav, csv, text), a folder of them, a sentence in "
        "quotes if it was trained on texts with classes, or - for standard input",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="FILE.csv for a table of the predictions, or a folder for pictures of them (boxes, masks, restored "
        "images); default for pictures: a new folder, predictions-RUN, in the working directory",
    )
    shared.as_json(parser, "print the predictions as one JSON list")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    wanted = outside_runs(options.output) if options.output else None
    table = wanted if wanted and wanted.suffix.lower() == ".csv" else None
    if wanted and not table and is_for_file(wanted):
        raise ConfigError(f"predictions are written as a file that ends in .csv, received {options.output}")
    shared.require_named(options.inputs)  # before PyTorch is loaded
    record, model = trained(options, "predict", rest)
    from lab.capabilities import Prediction
    from lab.cli.views.predictions import in_file, line_of, rows_of
    from lab.data.inputs.reading import read_inputs, reader_of

    given = read_inputs(options.inputs, reader_of(model.spec, any_size=getattr(model, "any_size", False)))
    predicted: list[tuple[dict[str, Any], Prediction]] = []
    for name, one in given:
        for note in one.notes:
            say(note)
        with using(record, options):
            predictions = [in_file(p, one.scale, model.spec.target) for p in _predictions(model, one.inputs, one.mask)]
        predicted += [({"input": name, **label}, found) for label, found in zip(one.labels, predictions, strict=True)]
    if table:
        require_others([table], [name for name, _ in given], "predictions")
    drawn = [(told, found.picture) for told, found in predicted if found.picture]
    if table and drawn and all(found == Prediction(picture=found.picture) for _, found in predicted):
        raise ConfigError(f"{record.name} predicts pictures alone: name a folder for them, received {wanted}")
    if drawn and not table:
        _draw(drawn, wanted or free_name(Path(named_after(f"predictions-{record.run_id}"))).absolute())
    elif wanted and not table:
        raise ConfigError(f"{record.name} predicts no pictures: name a file that ends in .csv, received {wanted.name}")
    rows = [row for told, found in predicted for row in rows_of(found, told, model.spec.target)]
    if table:
        _write(rows, table)
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            print_line(line_of(row, model.spec.target))
    return 0


def _predictions(model: Any, inputs: Tensors, mask: Tensors | None = None) -> Iterator[Prediction]:
    from lab.data.batch import Batch, mapped

    for start in range(0, len(Batch(inputs)), MOST):
        rows = slice(start, start + MOST)
        part = mapped(inputs, itemgetter(rows))
        yield from model.predict(part) if mask is None else model.predict(part, mapped(mask, itemgetter(rows)))


def _draw(drawn: Sequence[tuple[dict[str, Any], Image]], folder: Path) -> None:
    """Write each picture into the folder, named after its input, and its path beside that."""
    from lab.cli.views.samples import png
    from lab.console.wording import near
    from lab.system.files import write_atomic

    paths = [folder / f"{name}.png" for name in _names([told["input"] for told, _ in drawn])]
    require_others(paths, [told["input"] for told, _ in drawn], "predictions")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for path, (told, picture) in zip(paths, drawn, strict=True):
            write_atomic(path, png(picture))
            told["picture"] = near(path)


def _names(inputs: Sequence[str]) -> list[str]:
    """Return a name for each input, after its file: `digit`, and `digit-2` for another of that name. No two are the
    same, also where a file system does not tell capitals from small letters."""
    names, numbers = dict[str, str](), Counter[str]()
    for one in inputs:
        name = stem = Path(one).stem
        while name.casefold() in names:
            numbers[stem] += 1
            name = f"{stem}-{numbers[stem] + 1}"
        names[name.casefold()] = name
    return list(names.values())


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    from lab.cli.csv import as_csv
    from lab.system.files import write_atomic

    with writing(path):
        write_atomic(path, as_csv(rows).encode())
    say(f"wrote {path}")
