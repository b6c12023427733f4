"""`lab predict`: what a trained model says of files of your own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.cli import options as shared
from lab.cli.output import print_json, print_line, say, writing
from lab.cli.using import trained, using
from lab.errors import ConfigError

if TYPE_CHECKING:
    from lab.capabilities import Prediction
    from lab.data.batch import Tensors

SUMMARY = "predict classes or values for files of your own"
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
        help="a file of the kind that the run was trained on (image, wav, csv, text), a folder of them, or - for "
        "standard input",
    )
    parser.add_argument("-o", "--output", metavar="FILE.csv", help="write the predictions as a table")
    shared.as_json(parser, "print the predictions as one JSON list")


def run(options: argparse.Namespace, rest: list[str]) -> int:
    if options.output and Path(options.output).suffix != ".csv":
        raise ConfigError(f"predictions are written as a file that ends in .csv, received {options.output}")
    shared.require_named(options.inputs)  # before PyTorch is loaded
    record, model = trained(options, "predict", rest)
    from lab.cli.views.predictions import line_of, rows_of
    from lab.data.inputs.reading import read_inputs, reader_of

    given = read_inputs(options.inputs, reader_of(model.spec))
    rows: list[dict[str, Any]] = []
    for name, one in given:
        for note in one.notes:
            say(note)
        with using(record, options):
            predictions = list(_predictions(model, one.inputs))
        for label, prediction in zip(one.labels, predictions, strict=True):
            rows += rows_of(prediction, {"input": name, **label}, model.spec.target)
    if options.output:
        _write(rows, Path(options.output))
    if options.json:
        print_json(rows)
    else:
        for row in rows:
            print_line(line_of(row, model.spec.target))
    return 0


def _predictions(model: Any, inputs: Tensors) -> Iterator[Prediction]:
    from lab.data.batch import Batch, mapped

    for start in range(0, len(Batch(inputs)), MOST):
        rows = slice(start, start + MOST)
        yield from model.predict(mapped(inputs, itemgetter(rows)))


def _write(rows: list[dict[str, Any]], path: Path) -> None:
    from lab.cli.csv import as_csv
    from lab.system.files import write_atomic

    with writing(path):
        write_atomic(path, as_csv(rows).encode())
    say(f"wrote {path}")
