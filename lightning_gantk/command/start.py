"""``gantk init FOLDER``: a short configuration for a folder of pictures, sized to what is in it."""

import json
import os
import statistics
from pathlib import Path

from PIL import Image

from datamodules.endings import is_picture
from lightning_gantk.errors import ConfigError
from lightning_gantk.files import write_text
from lightning_gantk.words import Parser

_LOOKED_AT = 200  # pictures whose size and colour are read
_SIZES = (64, 32)  # pixels on a side, the largest first that pictures are not enlarged to
_LEAST = 20  # pictures

_TEXT = """\
# {count:,} pictures of {root}, {size} pixels on a side, {colour}. Written by gantk init.
#   gantk fit --config {file}
# The finite regime, or another loss:
#   gantk fit --config {file} --config discriminator/finite_lsgan
seed_everything: 0

trainer:
  max_steps: {steps} # generator steps; two thousand show something, ten thousand more
  val_check_interval: {every}
  log_every_n_steps: 10

model:
  generator:
    class_path: lightning_gantk.generators.DCGANGenerator
    init_args:
      out_shape: [{channels}, {size}, {size}] # channels, height, width: as in the data below
      latent_dim: 64
      channels: 32 # more make a larger network
  discriminator:
    class_path: lightning_gantk.discriminators.NTKDiscriminator # or FiniteDiscriminator: this line alone
    init_args:
      architecture:
        class_path: lightning_gantk.architectures.DCGAN
        init_args: {{blocks: {blocks}, b_std: 0.5}}
      loss: lightning_gantk.losses.IPM
      time: 1.0
  optimizer:
    class_path: torch.optim.Adam
    init_args: {{lr: 0.003, betas: [0.5, 0.999]}}
  scheduler:
    class_path: torch.optim.lr_scheduler.CosineAnnealingLR
    init_args: {{T_max: {steps}}}
  ema_decay: 0.99
  quality: # needs no download; FID on Inception's features: see data/folder among the configurations that are shipped
    class_path: lightning_gantk.metrics.EnergyDistance

data:
  class_path: datamodules.ImageFolderDataModule
  init_args:
    root: {quoted}
    image_size: {size}
    channels: {channels} # 1 for grey
    batch_size: {batch_size}
    val_size: {val_size}
    skip_broken: true # files that cannot be read are left out, and named

sample_grid:
  every_n_steps: {every}

best_checkpoint:
  monitor: val/energy_distance
"""


def main(args: list[str]) -> None:
    """Writes the configuration, and says what to do with it.

    Raises:
        ConfigError: If there is no such folder, there are too few pictures in it, or the file is there already.
    """
    parser = Parser("gantk init", description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path, help="Of pictures; those in folders below it count too.")
    parser.add_argument("--output", type=Path, help="The file to write; <name of the folder>.yaml here by default.")
    parser.add_argument("--size", type=int, choices=(32, 64), help="Pixels on a side; chosen by the pictures' sizes.")
    parser.add_argument("--force", action="store_true", help="Write over a file that is there.")
    options = parser.parse_args(args)
    file = options.output or Path(f"{options.folder.absolute().name}.yaml")
    if file.exists() and not options.force:
        raise ConfigError(f"{file} is there already: name another by --output, or write over it with --force.")
    text, count = configuration(options.folder, str(file), size=options.size)
    write_text(file, text)
    print(f"{file} is for the {count:,} picture files of {options.folder}.\ngantk fit --config {file}")


def configuration(folder: Path, file: str, *, size: int | None = None) -> tuple[str, int]:
    """The text for a folder's pictures, and how many there are.

    Args:
        folder: The folder.
        file: Name that the text will have.
        size: Pixels on a side; the pictures decide where none is given.

    Raises:
        ConfigError: If there is no folder, or there are too few pictures in it.
    """
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}.")
    pictures = sorted(path for path in folder.rglob("*") if is_picture(path, folder))
    if len(pictures) < _LEAST:
        raise ConfigError(
            f"there {'is no picture' if not pictures else f'are {len(pictures)} pictures'} in {folder} and below: "
            f"a generator wants {_LEAST} and more, better thousands."
        )
    sides, grey = _look(pictures)
    if size is None:
        size = next((one for one in _SIZES if statistics.median(sides) >= one), _SIZES[-1])
    val_size = max(2, min(len(pictures) // 10, 1000))
    text = _TEXT.format(
        count=len(pictures),
        root=folder,
        file=file,
        size=size,
        colour="grey" if grey else "in colour",
        channels=1 if grey else 3,
        blocks=3 if size == 32 else 4,
        steps=2000,
        every=250,
        quoted=json.dumps(os.fspath(folder)),
        batch_size=min(64, max(2, (len(pictures) - val_size) // 2)),
        val_size=val_size,
    )
    return text, len(pictures)


def _look(pictures: list[Path]) -> tuple[list[int], bool]:
    """The shorter sides of some of the pictures, and whether all of these are grey."""
    sides, grey, broken = [], True, 0
    for path in pictures[:: max(1, len(pictures) // _LOOKED_AT)]:
        try:
            with Image.open(path) as picture:
                sides.append(min(picture.size))
                grey &= picture.mode in ("1", "L", "LA", "I", "I;16")
        except (OSError, ValueError, Image.DecompressionBombError):
            broken += 1
    if not sides:
        raise ConfigError(f"none of {broken} files that are named like pictures can be read, such as {pictures[0]}.")
    return sides, grey
