"""`lab fid`: the published distance, in the features of the Inception network."""

from __future__ import annotations

import argparse

from lab.cli import options as shared

SUMMARY = "compare samples with test images by Inception's features, as papers do"
TAKES_OVERRIDES = True
EPILOG = (
    "FILE holds the weights of torch-fidelity's FeatureExtractorInceptionV3, pt_inception-2015-12-05-6726825d.pth. The "
    "lab does not download it."
)


def add_options(parser: argparse.ArgumentParser) -> None:
    shared.of_run(parser)
    parser.add_argument("--weights", metavar="FILE", required=True, help="the weights of Inception")
    parser.add_argument(
        "-n",
        "--count",
        metavar="N",
        type=shared.count,
        default=10_000,
        help="samples, and at most as many test images; papers have 10,000 or more (default: 10000)",
    )


def run(options: argparse.Namespace, rest: list[str]) -> int:
    from lab.cli.using import trained, using

    record, model = trained(options, "sample", rest)
    from generative.judges.generator import ImageGenerator
    from generative.judges.inception import LEAST, inception_distance
    from generative.shown import test_images
    from lab.cli.output import print_line
    from lab.console.wording import count
    from lab.errors import ConfigError

    if not isinstance(model, ImageGenerator):
        raise ConfigError(f"{record.name} draws no images")
    if options.count < LEAST:
        raise ConfigError(f"-n must be at least {LEAST:,}, received {options.count:,}: Inception has so many features")
    real = test_images(record, rest, options, options.count)
    if len(real) < LEAST:
        raise ConfigError(f"{record.run_id} has {len(real):,} test images, and {LEAST:,} are needed at least")
    with using(record, options), model.at_rest(seed=0):
        found = inception_distance(model.generate, real.to(model.device), options.count, options.weights)
    print_line(f"FID {found:.2f}: {count(options.count, 'sample')} beside {count(len(real), 'test image')}")
    return 0
