"""CelebA's files in their true format, with plain grey faces in them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets


def write_celeba(root: Path, monkeypatch: pytest.MonkeyPatch, parts: tuple[int, int, int] = (20, 6, 4)) -> None:
    """Writes what torchvision unpacks below ``root``: so many faces for training, validation and testing.

    Face number k, from 0, has the brightness 8 k. The checksums that torchvision knows become those of the texts.
    """
    base = root / "celeba"
    images = base / "img_align_celeba"
    images.mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in range(1, sum(parts) + 1)]
    for number, name in enumerate(names):
        Image.fromarray(np.full((218, 178, 3), 8 * number % 256, np.uint8)).save(images / name, quality=95)
    split = [part for part, count in enumerate(parts) for _ in range(count)]
    attributes = " ".join(f"Attribute_{number}" for number in range(40))
    places = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y"
    count = str(len(names))
    texts = {
        "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(names, split, strict=True)],
        "identity_CelebA.txt": [f"{name} {number}" for number, name in enumerate(names)],
        "list_attr_celeba.txt": [count, f"{attributes} ", *(f"{name} " + " -1" * 40 for name in names)],
        "list_bbox_celeba.txt": [
            count,
            "image_id x_1 y_1 width height",
            *(f"{name}  95  71 226 313" for name in names),
        ],
        "list_landmarks_align_celeba.txt": [
            count,
            places,
            *(f"{name} 69  109  106  113   77  142   73  152  108  154" for name in names),
        ],
    }
    sums = {}
    for name, lines in texts.items():
        content = "\n".join(lines) + "\n"
        (base / name).write_text(content)
        sums[name] = hashlib.md5(content.encode()).hexdigest()
    known = [(key, sums.get(name, checksum), name) for key, checksum, name in datasets.CelebA.file_list]
    monkeypatch.setattr(datasets.CelebA, "file_list", known)
