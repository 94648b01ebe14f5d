"""The contract of a feature extractor: images in, features out, nothing of it trained or saved."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class FeatureExtractor(nn.Module, ABC):
    """A fixed network that turns images into the features that FID and KID compare.

    A subclass names its :attr:`num_features`, says in :meth:`check` which images it takes, and makes the network in
    :meth:`load`. The network is kept out of the module tree on purpose: checkpoints do not hold its weights, no
    optimizer sees them, it stays in evaluation mode and in float32 whatever happens to the modules around it, and it
    moves to the device of the images that it is given.

    Examples:
        >>> import torch
        >>> from lightning_gantk.metrics import FeatureExtractor
        >>> class Colours(FeatureExtractor):
        ...     num_features = 3
        ...     def check(self, in_shape): pass
        ...     def load(self): return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> Colours()(torch.zeros(5, 3, 8, 8)).shape
        torch.Size([5, 3])
    """

    def __init__(self) -> None:
        super().__init__()
        self._network: list[nn.Module] = []  # a list hides it from nn.Module; empty until it is first needed

    @property
    @abstractmethod
    def num_features(self) -> int:
        """How many features an image has."""

    @abstractmethod
    def check(self, in_shape: tuple[int, ...]) -> None:
        """Raises ConfigError where images of shape (C, H, W) are not what the network takes."""

    @abstractmethod
    def load(self) -> nn.Module:
        """Makes the network: float32 images (N, C, H, W) in [-1, 1] to features (N, num_features).

        Raises:
            ConfigError: If its weights cannot be had.
        """

    def build(self, in_shape: tuple[int, ...]) -> None:
        """Checks that images of that shape fit and loads the network; a second call does nothing.

        Called before training, so that what is wrong is said then and not at the first validation.
        """
        self.check(in_shape)
        if not self._network:
            # float32 in a 64-bit run too: FID is a convention, and its weights have no more digits
            self._network.append(self.load().float().eval().requires_grad_(False))

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features of images.

        Args:
            images: Float (N, C, H, W) in [-1, 1], of any size.

        Returns:
            float32 (N, num_features), without a graph.
        """
        self.build(tuple(images.shape[1:]))
        network = self._network[0].to(images.device)
        with torch.autocast(images.device.type, enabled=False):
            return network(images.float())
