"""A picture as a density: dark is dense."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.decoding import check_pixels, flattened
from datamodules.targets.base import Target
from lightning_gantk.checks import number
from lightning_gantk.downloads import fetch
from lightning_gantk.errors import ConfigError

_LARGEST = 50 * 2**20  # bytes of a download


class Picture(Target):
    """Points as dense as a picture is dark, uniform within each pixel; the longer side reaches from -size to size.

    Any file that Pillow reads will do: colours become grey, what is transparent becomes white. The densities of
    GeomLoss's examples (MIT licence), which the paper uses, are in the repository github.com/jeanfeydy/geomloss:
    ``density_a.png`` and ``density_b.png`` in ``geomloss/examples/comparisons/data``, ``A.png`` in
    ``geomloss/examples/optimal_transport/data`` and ``B.png`` in ``examples/optimal_transport/data``. Save them under
    ``path``, or give their raw address as ``url`` (``https://raw.githubusercontent.com/jeanfeydy/geomloss/`` + a commit
    or branch + the path), and once you have looked at the file its SHA-256 sum (``sha256sum``) as ``sha256``.

    Args:
        path: The picture file.
        size: Half the length of the longer side.
        url: Where the file is fetched from if it is not there; https only. None: nothing is ever fetched.
        sha256: Of the file, in hexadecimal digits; one with another sum is refused. None: any file will do.

    Raises:
        ConfigError: If an argument is out of range; from ``prepare`` and ``sample``: if the file is missing and cannot
            be had, is no picture, is all white, or has another checksum.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> from PIL import Image
        >>> from datamodules.targets import Picture
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("L", (8, 4)).save(Path(folder, "black.png"))
        ...     points = Picture(str(Path(folder, "black.png")), size=1.0).sample(100, torch.Generator().manual_seed(0))
        >>> bool(points[:, 1].abs().max() <= 0.5)  # the shorter side
        True
    """

    @property
    def dim(self) -> int:
        return 2

    def __init__(self, path: str, size: float = 5.0, url: str | None = None, sha256: str | None = None):
        number("size", size, positive=True)
        if url is not None and not url.startswith("https://"):
            raise ConfigError(f"'url' of a picture must start with https://, got {url!r}.")
        self.path, self.size, self.url, self.sha256 = str(path), size, url, sha256
        self._cumulated: Tensor | None = None  # share of the mass up to each pixel, row by row, float64
        self._shape = (0, 0)

    def prepare(self) -> None:
        path = Path(self.path)
        if self.url is None or path.exists():
            return
        try:
            fetch(self.url, path, largest=_LARGEST, checksum=None if self.sha256 is None else f"sha256:{self.sha256}")
        except OSError as error:
            raise ConfigError(
                f"There is no picture {self.path!r} and the download of {self.url} failed ({error}): save the file"
                " there by hand, or set 'path' to a picture of your own."
            ) from error

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        cumulated = self._load() if self._cumulated is None else self._cumulated
        height, width = self._shape
        place = torch.rand(n, generator=generator, dtype=torch.float64)
        pixel = torch.searchsorted(cumulated, place, right=True).clamp(max=height * width - 1)
        row, column = pixel // width, pixel % width
        within = torch.rand(n, 2, generator=generator)
        points = torch.stack([column - width / 2, height / 2 - row], 1) + within * torch.tensor([1.0, -1.0])
        return (points * (2 * self.size / max(height, width))).float()

    def _load(self) -> Tensor:
        try:
            content = Path(self.path).read_bytes()
            self._verify(content, self.path)
            with Image.open(self.path) as file:
                check_pixels(file)
                picture = flattened(file, file.format).convert("L")  # here, or its file is closed
        except (OSError, ValueError, Image.DecompressionBombError) as error:  # Pillow's own are among them
            raise ConfigError(f"The picture {self.path!r} cannot be read: {error}.") from error
        dark = 255.0 - np.asarray(picture, dtype=np.float64)
        if dark.sum() == 0:
            raise ConfigError(f"The picture {self.path!r} is white all over: there is nothing to draw points from.")
        cumulated = np.cumsum(dark.ravel())
        self._cumulated, self._shape = torch.from_numpy(cumulated / cumulated[-1]), dark.shape
        return self._cumulated

    def _verify(self, content: bytes, source: str) -> None:
        found = hashlib.sha256(content).hexdigest()
        if self.sha256 is not None and found != self.sha256.lower():
            raise ConfigError(f"{source} has the SHA-256 sum {found}, and sha256={self.sha256} was asked for.")
