"""A small classifier of digits, and its features: FID and KID for MNIST-like images, without a download."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.features import FeatureExtractor
from lightning_gantk.metrics.shipped import loaded

WEIGHTS = Path(__file__).with_name("lenet_digits.safetensors")
"""The weights that the package ships; ``python -m lightning_gantk.metrics.train_lenet`` makes them."""


class LeNet(nn.Module):
    """A wider LeNet-5 with max-pooling: grey images to 84 features, and those to 10 classes.

    Rectifiers after the convolutions; GELU after the dense layers, where a rectifier leaves some features dead.

    References:
        LeCun et al., "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE, 1998.
    """

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(800, 120), nn.GELU(), nn.Linear(120, 84), nn.GELU())
        self.register_buffer("scale", torch.ones(()))
        self.classes = nn.Linear(84, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Gives the features (N, 84) of images (N, 1, H, W) in [-1, 1], divided by ``scale``."""
        # MNIST's mean and deviation at this size, roughly: it learns better from standardised pixels
        return self.dense(self.convolutions((_to_32(images) + 0.8) / 0.6)) / self.scale

    def logits(self, images: Tensor) -> Tensor:
        """Gives the unnormalised log probabilities (N, 10) of the digits."""
        return self.classes(self(images) * self.scale)


class LeNetFeatures(FeatureExtractor):
    """The 84 features of a LeNet that was trained on digits; its weights (under 1 MB) come with the package.

    For MNIST and what looks like it. Over the digits that it was trained on the features have a mean square of 1, the
    scale for which KID's kernel is made. Figures made with it compare with each other, never with published FIDs, which
    are Inception's. Images of 28 x 28 get MNIST's margin of two pixels, other sizes are resized to 32 x 32.

    Args:
        weights_path: Other weights, made by ``python -m lightning_gantk.metrics.train_lenet --output PATH``.

    Raises:
        ConfigError: If images are not grey, or the weights cannot be read (when used or built, not when made).

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import LeNetFeatures
        >>> LeNetFeatures()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 84])
    """

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        self.weights_path = weights_path

    @property
    def num_features(self) -> int:
        return 84

    def check(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3 or in_shape[0] != 1:
            raise ConfigError(
                f"LeNetFeatures takes grey images (1, H, W), not samples of shape {tuple(in_shape)}: use"
                " lightning_gantk.metrics.InceptionFeatures or PatchFeatures for images of three channels, or an"
                " extractor of your own."
            )

    def load(self) -> LeNet:
        path = WEIGHTS if self.weights_path is None else Path(self.weights_path)
        return loaded(LeNet(), path, module="lightning_gantk.metrics.train_lenet")


def _to_32(images: Tensor) -> Tensor:
    size = tuple(images.shape[2:])
    if size == (32, 32):
        return images
    if size == (28, 28):
        return pad(images, (2, 2, 2, 2), value=-1.0)
    return interpolate(images, size=(32, 32), mode="bilinear", align_corners=False, antialias=True)
