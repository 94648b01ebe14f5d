"""Trains the network whose features :class:`PatchFeatures` gives; a command, as its ``--help`` says."""

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from datamodules import PatchesDataModule
from datamodules.images import ImageTensor
from datamodules.patches import cut
from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.patch_network import PATCH_CLASSES, PATCH_WEIGHTS, TILE, PatchNetwork
from lightning_gantk.metrics.shipped import check_output, one_thread, write

_BATCH = 64
_LEARNING_RATE = 1e-3
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.3, 0.4  # at most: of [-1, 1]; relative; relative
_TESTED = 2000  # patches, on which accuracy is measured

Draw = Callable[[int], tuple[Tensor, Tensor]]


def train(draw: Draw, *, epochs: int, per_epoch: int, seed: int) -> PatchNetwork:
    """Trains a network on new patches in each epoch, whose colours are changed a little, then scales its features.

    Args:
        draw: Gives so many patches, float (N, 3, 32, 32) in [-1, 1], and their classes, int64 (N,).
        epochs: How often it is asked.
        per_epoch: For how many.
        seed: Of the initial weights and the changes, which it fixes bit for bit on one machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = PatchNetwork(PATCH_CLASSES)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-per_epoch // _BATCH))
    images = torch.empty(0)
    with one_thread():
        for _ in range(epochs):
            images, classes = draw(per_epoch)
            for some, wanted in zip(images.split(_BATCH), classes.split(_BATCH), strict=True):
                optimizer.zero_grad()
                cross_entropy(network.logits(recoloured(some, generator)), wanted).backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            network.scale.copy_(torch.cat([network(some) for some in images.split(_BATCH)]).square().mean().sqrt())
    return network.eval()


def recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    """Changes brightness, contrast and saturation of every image by a little, at random; what leaves [-1, 1] is cut."""
    draws = torch.rand(3, len(images), 1, 1, 1, generator=generator) * 2 - 1
    brightness, contrast, saturation = draws * torch.tensor([_BRIGHTNESS, _CONTRAST, _SATURATION]).view(3, 1, 1, 1, 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (1 + saturation) * (images - grey)
    level = images.mean((1, 2, 3), keepdim=True)
    return (level + brightness + (1 + contrast) * (images - level)).clamp(-1, 1)


def patches(data: PatchesDataModule, seed: int) -> Draw:
    """New patches of the tiles that training patches come from, each time it is asked; a class is a tile's number."""
    tiles, _ = data.parts()
    stream = np.random.RandomState(np.random.MT19937(seed))

    def draw(count: int) -> tuple[Tensor, Tensor]:
        images, numbers = cut(tiles, count, stream, crop_sizes=data.crop_sizes, image_size=data.image_size)
        return ImageTensor(images)[:], numbers

    return draw


@torch.no_grad()
def accuracy(network: PatchNetwork, images: Tensor, classes: Tensor) -> float:
    """Gives the fraction of patches whose tile the network finds."""
    return (network.logits(images).argmax(dim=1) == classes).double().mean().item()


def main(arguments: Sequence[str] | None = None) -> float:
    """Runs the command; gives the accuracy on new patches of the same parts, which it also prints and writes."""
    parser = argparse.ArgumentParser(
        prog="python -m lightning_gantk.metrics.train_patches",
        description="Train the network whose features PatchFeatures gives, on photographs that come with packages.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=int, default=2, help="how often new patches are cut")
    parser.add_argument("--per-epoch", type=int, default=20_000, help="patches of an epoch")
    parser.add_argument("--seed", type=int, default=0, help="of the weights, the patches and their colours")
    parser.add_argument("--output", default=PATCH_WEIGHTS.name, help="the safetensors file to write, for weights_path")
    options = parser.parse_args(arguments)
    whole("--epochs", options.epochs)
    whole("--per-epoch", options.per_epoch)
    check_output(options.output)

    data = PatchesDataModule(tile=TILE)
    draw = patches(data, options.seed)
    network = train(draw, epochs=options.epochs, per_epoch=options.per_epoch, seed=options.seed)
    measured = accuracy(network, *draw(_TESTED))
    told = {
        "accuracy": f"{measured:.4f}",
        "command": " ".join([parser.prog, *(sys.argv[1:] if arguments is None else arguments)]),
        "epochs": options.epochs,
        "per_epoch": options.per_epoch,
        "photographs": " ".join(data.photographs),
        "seed": options.seed,
    }
    write(network, options.output, told)
    print(f"accuracy on {_TESTED} new patches: {measured:.2%}; weights written to {options.output}")
    return measured


if __name__ == "__main__":
    try:
        main()
    except ConfigError as error:
        sys.exit(f"error: {error}")
