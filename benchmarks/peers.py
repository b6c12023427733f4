"""The VAE of vae-mnist as it is trained elsewhere. Each peer is a process of its own, without the lab:

python -m benchmarks.peers examples|pythae DATA EPOCHS THREADS [each]

DATA is an .npz file with `train` and `test` images as bytes. The last line is JSON: the NLL in nats of the binarised
test images after the last epoch, and the seconds that this evaluation took. With `each` there is a line for each epoch.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

HIDDEN, LATENTS, BATCH, RATE = 512, 50, 128, 1e-3
SAMPLES = 100  # importance samples per test image
AS_PEERS: dict[str, object] = {
    "trainer.max_steps": "null",
    "trainer.optimizer.lr": RATE,
    "trainer.schedule.kind": "constant",
    "trainer.schedule.warmup": 0,
    "trainer.ema": "null",
    "model.initial": "default",
    "model.fid_samples": "null",
    "model.nll_samples": SAMPLES,
    "data.val_size": 0,
    "data.fallback": "none",
}
"""Settings with which vae-mnist is trained and judged as its peers are."""


class Net(nn.Module):
    """The network of vae-mnist: two layers of 512 SiLU units on each side of 50 latents."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()
        )
        self.posterior = nn.Linear(HIDDEN, 2 * LATENTS)
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 784)
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self.encoder(x)).chunk(2, dim=1)
        return mean, log_variance


@torch.no_grad()
def nll(net: Net, test: np.ndarray[Any, Any]) -> float:
    """Importance sampling (Burda et al. 2016, equation 8) on all test images, each binarised once."""
    found = []
    for x in torch.bernoulli(torch.from_numpy(test).flatten(1) / 255).split(50):  # type: ignore[no-untyped-call]
        mean, log_variance = net.encode(x)
        noise = torch.randn(SAMPLES, *mean.shape)
        z = mean + (0.5 * log_variance).exp() * noise
        logits = net.decoder(z)
        weights = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)
        weights += 0.5 * (noise.square() + log_variance - z.square()).sum(-1)
        found.append(weights.logsumexp(0) - np.log(SAMPLES))
    return -torch.cat(found).mean().item()


class Items(Dataset[Any]):
    """Single images, turned into tensors one by one as by torchvision's ToTensor."""

    def __init__(self, images: np.ndarray[Any, Any]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        picture = np.array(Image.fromarray(self.images[i]))
        return torch.from_numpy(picture).unsqueeze(0).float().div(255)


def examples(train: np.ndarray[Any, Any], epochs: int) -> Iterator[Net]:
    """The loop of the PyTorch examples: a loader of items, a sum of losses, one optimizer. Yields after each epoch."""
    net, batches = Net(), DataLoader(Items(train), batch_size=BATCH, shuffle=True)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    for _ in range(epochs):
        for images in batches:
            x = torch.bernoulli(images.view(-1, 784))
            optimizer.zero_grad()
            mean, log_variance = net.encode(x)
            std = torch.exp(0.5 * log_variance)
            probabilities = torch.sigmoid(net.decoder(mean + torch.randn_like(std) * std))
            cross_entropy = F.binary_cross_entropy(probabilities, x, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            ((cross_entropy + kl) / len(x)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        yield net


def pythae(train: np.ndarray[Any, Any], epochs: int) -> Iterator[Net]:
    """pythae's VAE and pipeline with the same network. Yields once, at the end."""
    from pythae.data.datasets import BaseDataset, DatasetOutput
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Binarised(BaseDataset):  # type: ignore[misc]
        """Each image is binarised anew whenever it is used."""

        def __getitem__(self, index: int) -> Any:
            return DatasetOutput(data=torch.bernoulli(self.data[index]), labels=self.labels[index])

    net = Net()

    class Encoder(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.ModuleList([net.encoder, net.posterior])

        def forward(self, x: Tensor) -> Any:
            mean, log_variance = net.encode(x)
            return ModelOutput(embedding=mean, log_covariance=log_variance)

    class Decoder(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = net.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=torch.sigmoid(self.net(z)).view(-1, 1, 28, 28))

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENTS, reconstruction_loss="bce")
    model = VAE(config, encoder=Encoder(), decoder=Decoder())
    images = torch.from_numpy(train).unsqueeze(1) / 255
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=RATE, no_cuda=True
        )
        pipeline = TrainingPipeline(model=model, training_config=settings)
        pipeline(train_data=Binarised(images, torch.zeros(len(images))))
    yield net


if __name__ == "__main__":
    name, data, epochs, threads, *each = sys.argv[1:]
    torch.set_num_threads(int(threads))
    images = np.load(data)
    for epoch, trained in enumerate({"examples": examples, "pythae": pythae}[name](images["train"], int(epochs)), 1):
        if each or name == "pythae" or epoch == int(epochs):
            started = time.perf_counter()
            figure = nll(trained, images["test"])
            print(json.dumps({"epoch": epoch, "nll": figure, "evaluation": time.perf_counter() - started}), flush=True)
