"""`lab reconstruct`: images beside what a model makes of them."""

from __future__ import annotations

import argparse

from lab.cli import options as shared

SUMMARY = "draw images again from what a model keeps of them"
TAKES_OVERRIDES = True
EPILOG = "Without INPUT the run's data are read: if they lie elsewhere now, --data.path=PATH says where."

COLUMNS = 16


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="*",
        help="an image, a folder of them, or - for standard input (default: the first test images of the run's data)",
    )
    parser.add_argument(
        "-n", "--count", metavar="N", type=shared.count, default=32, help="test images without INPUT (default: 32)"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE.png",
        help="the picture (default: a new one, reconstructions-RUN.png, in the working directory)",
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from generative.shown import named_for, own_images, target, test_images, write
    from lab.cli.using import trained, using

    shared.require_named(options.inputs)  # before PyTorch is loaded
    wanted = target(options.output, ".png")
    record, model = trained(options, "reconstruct", rest)
    from generative.autoencoders.figures import peak_signal
    from lab.cli.output import print_line, require_others
    from lab.console.wording import count, near
    from lab.training.captions import paired

    path = wanted or named_for("reconstructions", record, ".png")
    if options.inputs:
        names, images = own_images(options.inputs, model)
        require_others([path], names, "reconstructions")
    else:
        names, images = list[str](), test_images(record, rest, options, options.count)
    images = images.to(model.device)
    with using(record, options):
        made = model.reconstruct(images)
    errors = (made - images).square().flatten(1).mean(1)
    write(path, paired(images, made, ("image", "reconstruction"), COLUMNS))
    for name, error in zip(names, errors.tolist(), strict=False):
        print_line(f"{name}: PSNR {peak_signal(error):.2f} dB")
    over_all = "" if len(names) == 1 else f", PSNR {peak_signal(errors.mean().item()):.2f} dB over all"
    print_line(f"{near(path)}: {count(len(images), 'image')}{over_all}")
    return 0
