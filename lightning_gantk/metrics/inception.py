"""The Inception network of the published FID and KID figures."""

from pathlib import Path

import torch
from torch import Tensor, nn

from lightning_gantk.downloads import fetch
from lightning_gantk.errors import ConfigError
from lightning_gantk.metrics.features import FeatureExtractor

_LARGEST = 200 * 2**20  # bytes of a download; the weights have 95 MB
_IMAGES_AT_ONCE = 64  # an image takes 20 MB inside the network


class InceptionFeatures(FeatureExtractor):
    """The 2048 features of the InceptionV3 that FID was defined with, as torch-fidelity converted it.

    Images become bytes and are enlarged to 299 x 299 as TensorFlow 1 did, so figures compare with published ones. Grey
    images are repeated to three channels. The weights (95 MB) are downloaded at first use to torch's cache
    (``$TORCH_HOME/hub/checkpoints``) and checked.

    References:
        Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
        NeurIPS 2017.

    Args:
        weights_path: The weights, where they are on disk: torch-fidelity's
            ``weights-inception-2015-12-05-6726825d.pth``.

    Raises:
        ConfigError: If images are neither grey nor coloured, or the weights cannot be downloaded or read (when used
            or built, not when made).

    Examples:
        >>> from lightning_gantk.metrics import InceptionFeatures, SampleQuality
        >>> quality = SampleQuality(InceptionFeatures())  # weights are looked for when it is used
        >>> InceptionFeatures().num_features
        2048
    """

    def __init__(self, weights_path: str | None = None) -> None:
        super().__init__()
        self.weights_path = weights_path

    @property
    def num_features(self) -> int:
        return 2048

    def check(self, in_shape: tuple[int, ...]) -> None:
        if len(in_shape) != 3 or in_shape[0] not in (1, 3):
            raise ConfigError(
                f"InceptionFeatures takes images (C, H, W) of 1 or 3 channels, not samples of shape {tuple(in_shape)}."
            )

    def load(self) -> nn.Module:
        path = Path(self.weights_path) if self.weights_path is not None else _download()
        try:
            # torch-fidelity unpickles without this guard; a file that passes here runs no code there.
            torch.load(path, map_location="cpu", weights_only=True)
            return _Inception(path)
        except Exception as error:  # a damaged file fails in as many ways as there are
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"the Inception weights {str(path)!r} cannot be read ({type(error).__name__}: {reason}): weights_path"
                " must name torch-fidelity's weights-inception-2015-12-05-6726825d.pth."
            ) from error


class _Inception(nn.Module):
    def __init__(self, path: Path) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        self.network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        )

    def forward(self, images: Tensor) -> Tensor:
        # Rounding, not truncation: a real image returns to the very bytes that it came from.
        pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return torch.cat([self.network(part.expand(-1, 3, -1, -1))[0] for part in pixels.split(_IMAGES_AT_ONCE)])


def weights_file() -> Path:
    """Where the weights are in torch's cache, or would be."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return Path(torch.hub.get_dir(), "checkpoints", URL_INCEPTION_V3.rsplit("/", 1)[1])


def _download() -> Path:
    """Where the weights are, after a download if they were not there."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    path = weights_file()
    if path.is_file():
        return path
    try:
        fetch(URL_INCEPTION_V3, path, largest=_LARGEST, checksum=f"sha256:{path.stem.rsplit('-', 1)[1]}")
    except OSError as error:
        raise ConfigError(
            f"the Inception weights are not in {str(path.parent)!r} and the download failed ({error}): run once with a"
            f" network; or fetch {URL_INCEPTION_V3} elsewhere and name the file in InceptionFeatures' weights_path; or"
            " use a measure that needs no download, of lightning_gantk.metrics: LeNetFeatures for digits,"
            " EnergyDistance or Sinkhorn for any images."
        ) from error
    return path
