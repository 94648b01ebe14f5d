"""Which files are pictures."""

from pathlib import Path

ENDINGS = {".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def is_picture(path: Path, root: Path) -> bool:
    """Whether a file below a folder is a picture, by its ending; none that is hidden, or lies in a hidden folder."""
    return (
        path.suffix.lower() in ENDINGS
        and not any(part.startswith(".") for part in path.relative_to(root).parts)
        and path.is_file()
    )
