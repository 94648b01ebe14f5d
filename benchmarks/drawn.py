"""Pictures in the place of GeomLoss's, where those cannot be fetched: ``python -m benchmarks.drawn``.

Two letters and two densities of our own, under the names that configs/paper/data looks for. They are not the paper's:
what is measured on them compares with nothing but runs on the same pictures.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_SIDE = 256  # pixels


def letter(which: str) -> Image.Image:
    """A letter, black on white."""
    drawn = Image.new("L", (_SIDE, _SIDE), "white")
    place = (_SIDE // 2, _SIDE // 2)
    ImageDraw.Draw(drawn).text(place, which, fill="black", anchor="mm", font=ImageFont.load_default(0.9 * _SIDE))
    return drawn


def crescent() -> Image.Image:
    """A ring that is thick on one side."""
    x, y = _plane()
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    return _dark(np.exp(-(((radius - 0.6) / 0.12) ** 2)) * (1 + np.cos(angle)))


def spots() -> Image.Image:
    """Three spots of different sizes."""
    x, y = _plane()
    places = ((-0.5, -0.4, 0.2), (0.5, -0.3, 0.12), (0.05, 0.5, 0.28))
    return _dark(np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * s**2)) for a, b, s in places]).sum(0))


PICTURES = {
    "A.png": lambda: letter("A"),
    "B.png": lambda: letter("B"),
    "density_a.png": crescent,
    "density_b.png": spots,
}


def write(folder: Path) -> list[Path]:
    """Draws those that are not there yet; gives what it has written."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [folder / name for name in PICTURES if not (folder / name).exists()]
    for path in missing:
        PICTURES[path.name]().save(path)
    return missing


def _plane() -> tuple[np.ndarray, np.ndarray]:
    across = (np.arange(_SIDE) + 0.5) / _SIDE * 2 - 1
    x, y = np.meshgrid(across, across[::-1])
    return x, y


def _dark(density: np.ndarray) -> Image.Image:
    return Image.fromarray((255 * (1 - density / density.max())).round().astype(np.uint8))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawn", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("data/geomloss"), help="where they go, and are looked for")
    written = write(parser.parse_args(arguments).folder)
    print("\n".join(f"wrote {path}" for path in written) or "all are there already")


if __name__ == "__main__":
    main()
