"""From picture files to bytes of one size, decoded once."""

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

_MOST_PIXELS = 64_000_000  # 0.25 GB in memory while it is decoded


@dataclass(frozen=True)
class Decoder:
    """Decodes a file, cuts the central square out and resizes it, with smoothing (bicubic).

    A transparent background becomes white, and a photograph is turned upright as its EXIF data say.

    Attributes:
        image_size: Pixels on a side of the result.
        channels: 1 (grey) or 3.
        crop: Pixels on a side of the square; the largest that fits where none is given.
    """

    image_size: int
    channels: int
    crop: int | None = None

    def __call__(self, path: Path) -> np.ndarray:
        """Gives uint8 (image_size, image_size, channels).

        Raises:
            Exception: Whatever Pillow raises for a damaged file; ValueError for a picture smaller than the square,
                or of more than 64 million pixels.
        """
        with Image.open(path) as file:
            check_pixels(file)
            if self.crop is None:  # a large JPEG is decoded at a half, quarter or eighth, still twice too large
                file.draft(None, (2 * self.image_size, 2 * self.image_size))
            picture = flattened(ImageOps.exif_transpose(file), file.format)
            picture = picture.convert("L" if self.channels == 1 else "RGB")
        side = min(picture.size) if self.crop is None else self.crop
        left, top = ((length - side) // 2 for length in picture.size)
        if min(left, top) < 0:
            raise ValueError(f"{picture.width} x {picture.height} pixels are too few for a square of {side}")
        square = picture.crop((left, top, left + side, top + side))
        resized = square.resize((self.image_size, self.image_size), Image.Resampling.BICUBIC)
        return np.asarray(resized).reshape(self.image_size, self.image_size, self.channels)


def check_pixels(picture: Image.Image) -> None:
    """Refuses a picture that would fill the memory: a small file may claim any size.

    Raises:
        ValueError: For more than 64 million pixels.
    """
    if picture.width * picture.height > _MOST_PIXELS:
        raise ValueError(f"{picture.width} x {picture.height} pixels are more than {_MOST_PIXELS:,}")


def decode(files: Sequence[Path], decoder: Decoder, into: np.ndarray) -> dict[int, str]:
    """Decodes files on all cores.

    Args:
        files: N of them.
        decoder: What becomes of each.
        into: Receives the images, uint8 (N, H, W, C).

    Returns:
        Why a file could not be decoded, by its number, for those that could not.
    """

    def one(number: int) -> tuple[int, str] | None:
        try:
            into[number] = decoder(files[number])
        except Exception as error:  # Pillow raises whatever a damaged file leads it to
            return number, " ".join(str(error).split()) or type(error).__name__
        return None

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Pillow lets go of the interpreter while it works
        return dict(broken for broken in threads.map(one, range(len(files))) if broken is not None)


class DecodedFile:
    """The decoded images of a list of files as one ``.npy`` file, and the numbers of those that could be decoded.

    Its name is a digest of the files' places, sizes and dates and of the decoder: whatever changes, they are decoded
    anew, and what is in the folder under another name can be deleted.

    Args:
        folder: Where it is, or is to be.
        files: The files.
        decoder: What becomes of each.
    """

    def __init__(self, folder: Path, files: Sequence[Path], decoder: Decoder) -> None:
        self._files, self._decoder = files, decoder
        top = Path(os.path.commonpath([path.parent for path in files])) if files else Path()
        paths = [path.relative_to(top).as_posix() for path in files]  # with their folders, which may be classes
        stats = [(name, (s := path.stat()).st_size, s.st_mtime_ns) for name, path in zip(paths, files, strict=True)]
        digest = hashlib.sha256(repr((decoder, stats)).encode()).hexdigest()[:16]
        self.path = folder / f"{decoder.image_size}x{decoder.image_size}x{decoder.channels}-{digest}.npy"

    @property
    def exists(self) -> bool:
        return self.path.is_file()

    def make(self) -> dict[int, str]:
        """Decodes the files; returns those that are broken, with the reason, by number.

        Raises:
            OSError: If the folder cannot be written to.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(f".{os.getpid()}.part")  # moved into place whole: processes may race
        shape = (len(self._files), self._decoder.image_size, self._decoder.image_size, self._decoder.channels)
        try:
            images = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
            broken = decode(self._files, self._decoder, images)
            images.flush()
            self.path.with_suffix(".json").write_text(json.dumps({"broken": sorted(broken)}))
            scratch.replace(self.path)
        finally:
            scratch.unlink(missing_ok=True)
        return broken

    def broken(self) -> list[int]:
        """Numbers of the files that could not be decoded, whose images are black."""
        return json.loads(self.path.with_suffix(".json").read_text())["broken"]


def flattened(picture: Image.Image, kind: str | None) -> Image.Image:
    """The picture with 8 bits and nothing to see through, on white.

    Args:
        picture: It.
        kind: What Pillow calls the format of its file.

    Raises:
        ValueError: If nobody can say which of its numbers is white.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and kind in ("PNG", "PPM")):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))  # of 16 bits, which convert() would clip
    if picture.mode in ("I", "F"):
        raise ValueError("its pixels are 32-bit numbers, of any range: save it with 8 or 16 bits")
    if "transparency" not in picture.info and picture.mode not in ("RGBA", "LA", "PA"):
        return picture
    picture = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
