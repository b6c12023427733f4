"""Language models beside their peers, in alternating pairs.

- Training: the step of gpt-shakespeare beside that of nanoGPT at the same size, batch and threads. `NANOGPT` names a
  checkout of https://github.com/karpathy/nanoGPT; without it that part is left out. Target: 1.2 times as fast on a CPU.
- Generation with what earlier tokens left behind, beside encoding all tokens anew. Targets: 4 times as fast with 4
  layers of width 128, 6 times with 6 layers of width 384, over 256 tokens. The same of an LSTM.
- Batches of similar lengths beside batches of random ones, which are padded to the longest.
- A step of an LSTM language model beside torch's fused LSTM alone.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.left_out import left_out_if_missing
from benchmarks.pairs import alternate
from generative.autoregressive.generation import generate
from lab.configuration import load
from lab.data import Text
from lab.data.lengths import LengthBatches
from lab.data.tokenizers.characters import Characters
from lab.doctor import timed
from lab.encoders import InputSpec, Recurrent, Transformer
from lab.encoders.base import Encoder
from lab.errors import ConfigError

STEPS, UNCOUNTED = 100, 20  # of a training
BATCH, BLOCK = 12, 64  # of gpt-shakespeare, and of nanoGPT on a CPU
VOCAB, TOKENS = 65, 256
CHECKOUT = "NANOGPT"


def measure(pairs: int) -> None:
    with left_out_if_missing("gpt-shakespeare / train.py of nanoGPT"):
        _training(pairs)
    for layers, width, heads in ((4, 128, 4), (6, 384, 6)):
        spec = InputSpec((TOKENS,), "int64", vocab=VOCAB)
        encoder: Encoder = Transformer(spec, width=width, layers=layers, heads=heads, causal=True, positions="rotary")
        _generation(f"Transformer of {layers} layers of width {width}", encoder, pairs)
    _generation("LSTM of width 256", Recurrent(InputSpec((TOKENS,), "int64", vocab=VOCAB), width=256), pairs)
    _lengths(pairs)
    _recurrence(pairs)


def _training(pairs: int) -> None:
    """Seconds of 100 steps: the batch, forward and backward pass, clipping, and the optimizer. Raises ConfigError
    without nanoGPT."""
    place = os.environ.get(CHECKOUT)
    if not place or not (Path(place) / "train.py").is_file():
        raise ConfigError(f"the variable {CHECKOUT} names no checkout of nanoGPT")
    settings = {"device": "cpu", "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder, timed(load("gpt-shakespeare", settings)) as (_, turn):
        theirs = partial(_nanogpt, _linked(Path(place), Path(folder)))
        last = theirs()
        title = f"gpt-shakespeare / train.py of nanoGPT, {STEPS} steps of {BATCH} windows of {BLOCK}"
        result = alternate(title, lambda: STEPS / turn(last).rate, theirs, pairs)
    rates = [STEPS * BATCH * BLOCK / seconds for seconds in (result.ours, result.other)]
    print(f"  characters/s: {rates[0]:,.0f} against {rates[1]:,.0f}", flush=True)


def _linked(checkout: Path, folder: Path) -> Path:
    """Return a folder with links to nanoGPT's files, and with the training text where it looks for it."""
    for name in ("train.py", "model.py", "configurator.py"):
        (folder / name).symlink_to((checkout / name).resolve())
    data = Text(val_size=0, fallback="none")
    data.prepare()
    part = data.text[: int(len(data.text) * 0.9)]
    ids = np.array(Characters.of(data.text).encode(part), dtype=np.uint16)
    place = folder / "data" / "shakespeare_char"
    place.mkdir(parents=True)
    for name in ("train.bin", "val.bin"):
        ids.tofile(place / name)
    (place / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": VOCAB}))
    return folder


def _nanogpt(folder: Path) -> float:
    """Return the seconds of 100 steps as nanoGPT prints them, after 20 that are not counted, with its settings for a
    CPU and without an evaluation."""
    settings = {
        "dataset": "shakespeare_char",
        "device": "cpu",
        "compile": False,
        "dtype": "float32",
        "eval_iters": 1,
        "eval_interval": 10**6,
        "log_interval": 1,
        "block_size": BLOCK,
        "batch_size": BATCH,
        "n_layer": 4,
        "n_head": 4,
        "n_embd": 128,
        "max_iters": UNCOUNTED + STEPS - 1,
        "lr_decay_iters": 2000,
        "learning_rate": 1e-3,
        "min_lr": 1e-4,
        "beta2": 0.99,
        "warmup_iters": 100,
        "gradient_accumulation_steps": 1,
    }
    command = [sys.executable, "train.py", *(f"--{name}={value}" for name, value in settings.items())]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    milliseconds = [float(found) for found in re.findall(r"^iter \d+: .*time ([\d.]+)ms", done.stdout, re.MULTILINE)]
    return sum(milliseconds[UNCOUNTED:]) / 1000


def _generation(name: str, encoder: Encoder, pairs: int) -> None:
    encoder.eval().requires_grad_(False)
    head = nn.Linear(encoder.features_dim, VOCAB).requires_grad_(False)
    start = torch.zeros(1, 1, dtype=torch.int64)

    class Anew:
        """The same encoder without `extend`."""

        spec, features = encoder.spec, encoder.features

    def seconds(given: object) -> float:
        torch.manual_seed(0)
        begun = time.perf_counter()
        generate(given, head, start, TOKENS)  # type: ignore[arg-type]
        return time.perf_counter() - begun

    title = f"generation from memory / anew, {TOKENS} tokens, {name}"
    result = alternate(title, partial(seconds, encoder), partial(seconds, Anew()), pairs)
    print(f"  tokens/s: {TOKENS / result.ours:,.0f} against {TOKENS / result.other:,.0f}", flush=True)


def _lengths(pairs: int) -> None:
    """An epoch of the steps of an encoder over the sentences of sentiment-lstm, forward and backward."""
    built = load("sentiment-lstm", {}).build()
    built.prepare(0, torch.device("cpu"))
    batches = built.batches.batches  # type: ignore[attr-defined]
    assert isinstance(batches, LengthBatches)
    spec = InputSpec((int(batches.lengths.max()),), "int64", vocab=VOCAB)
    encoder = Transformer(spec, width=128, layers=2, heads=4)

    def epoch(order: Callable[[], Tensor]) -> float:
        batches.order = order  # type: ignore[method-assign]
        begun = time.perf_counter()
        for x, mask in ((batch.inputs % VOCAB, batch.mask) for batch in batches.batches_from(0)):  # type: ignore[operator]
            encoder(x, mask).sum().backward()
        return time.perf_counter() - begun

    def mixed() -> Tensor:
        return torch.randperm(batches.count, generator=torch.Generator().manual_seed(0))

    by_length = batches.order
    told = f"batches by length / mixed, an epoch over {batches.count:,} sentences, Transformer of 2 layers of width 128"
    alternate(told, partial(epoch, by_length), partial(epoch, mixed), pairs)


def _recurrence(pairs: int) -> None:
    """A training step of charrnn-shakespeare beside torch's LSTM alone, forward and backward, on vectors."""
    settings = {"device": "cpu", "threads": torch.get_num_threads()}
    config = load("charrnn-shakespeare", settings)
    values = config.as_dict()
    width = values["model"]["init_args"]["encoder"]["init_args"]["width"]
    embedding = values["model"]["init_args"]["encoder"]["init_args"]["embedding"]
    layers = values["model"]["init_args"]["encoder"]["init_args"]["layers"]
    block, batch = (values["data"]["init_args"][name] for name in ("block", "batch_size"))
    rnn, x = nn.LSTM(embedding, width, layers), torch.randn(block, batch, embedding, requires_grad=True)

    def alone() -> float:
        begun = time.perf_counter()
        for _ in range(STEPS):
            rnn.zero_grad()
            rnn(x)[0].sum().backward()
        return time.perf_counter() - begun

    last = alone()
    with timed(config) as (_, turn):
        title = f"charrnn-shakespeare / torch's LSTM alone, {STEPS} steps of {batch} windows of {block}"
        alternate(title, lambda: STEPS / turn(last).rate, alone, pairs)
