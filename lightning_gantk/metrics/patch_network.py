"""A small network that tells places in photographs apart, and its features: FID of patches without a download."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, interpolate

from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.features import FeatureExtractor
from lightning_gantk.metrics.shipped import loaded

PATCH_WEIGHTS = Path(__file__).with_name("patch_network.safetensors")
"""The weights that the package ships; ``python -m lightning_gantk.metrics.train_patches`` makes them."""

TILE = 80
"""Pixels along a side of the tiles that the network tells apart."""

PATCH_CLASSES = 156
"""How many of them training patches come from."""

_FEATURES = 96


class PatchNetwork(nn.Module):
    """Three convolutions with max-pooling and a dense layer: colour images to 96 features, and those to classes.

    Features are those before the last activation, which would leave some of them dead.

    Args:
        classes: How many.
    """

    scale: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 32), (32, 48), (48, 64)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(nn.Flatten(), nn.Linear(64 * 4 * 4, _FEATURES))
        self.register_buffer("scale", torch.ones(()))
        self.classes = nn.Linear(_FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Gives the features (N, 96) of images (N, 3, H, W) in [-1, 1], divided by ``scale``."""
        if images.shape[2:] != (32, 32):
            images = interpolate(images, size=(32, 32), mode="bilinear", align_corners=False, antialias=True)
        return self.dense(self.convolutions(images)) / self.scale

    def logits(self, images: Tensor) -> Tensor:
        """Gives the unnormalised log probabilities (N, classes) of the classes."""
        return self.classes(gelu(self(images) * self.scale))


class PatchFeatures(FeatureExtractor):
    """The 96 features of a small network that was trained to tell places in photographs apart; its weights come along.

    For patches of photographs (``PatchesDataModule``) and what looks like them. The network was trained on the training
    tiles of the six photographs (``tile=80``), to say for a patch of 32 or 64 pixels which of the 156 it is from,
    whatever its brightness, contrast and saturation within limits: it cannot do without texture and edges, and was told
    nothing of any generator. Over those patches its features have a mean square of 1, the scale for which KID's kernel
    is made. Figures made with it compare with each other, never with published FIDs, which are Inception's. Images of
    other sizes are resized to 32 x 32.

    Args:
        weights_path: Other weights, made by ``python -m lightning_gantk.metrics.train_patches --output PATH``.

    Raises:
        ConfigError: If images are not in colour, or the weights cannot be read (when used or built, not when made).

    References:
        Dosovitskiy et al., "Discriminative Unsupervised Feature Learning with Convolutional Neural Networks",
        NeurIPS 2014 (features of a network that tells places in images apart).

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import PatchFeatures
        >>> PatchFeatures()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 96])
    """

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        self.weights_path = weights_path

    @property
    def num_features(self) -> int:
        return _FEATURES

    def check(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3 or in_shape[0] != 3:
            raise ConfigError(
                f"PatchFeatures takes colour images (3, H, W), not samples of shape {tuple(in_shape)}: use"
                " lightning_gantk.metrics.LeNetFeatures for digits, or an extractor of your own."
            )

    def load(self) -> PatchNetwork:
        path = PATCH_WEIGHTS if self.weights_path is None else Path(self.weights_path)
        return loaded(PatchNetwork(PATCH_CLASSES), path, module="lightning_gantk.metrics.train_patches")
