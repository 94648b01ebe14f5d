"""Images of digits that GA-NTK moves by themselves, and the real ones next to them."""

import math
import tempfile

import torch
from matplotlib.figure import Figure

from benchmarks.command import fit
from lightning_gantk.pictures import style
from lightning_gantk.pictures.image_grid import image_grid

_COPIED = 0.2  # of the distance from a real to the next one: nearer is a copy


@style.styled
def draw() -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"enable_progress_bar": "false", "logger": "false", "default_root_dir": folder}
        command = fit(("systems/ga_ntk/digits.yaml",), {f"trainer.{name}": value for name, value in quiet.items()})
    images, data = command.model.generator.samples.detach(), command.datamodule.train_dataset
    real = torch.stack([data[i] for i in range(len(data))])
    distances = torch.cdist(images.flatten(1), real.flatten(1))
    nearest, which = distances.min(1)
    among = torch.cdist(real.flatten(1), real.flatten(1)).fill_diagonal_(math.inf).min(1).values.mean()
    print(f"{len(real)} reals, {len(images)} free images, {command.trainer.global_step} steps")
    print(f"mean distance to the nearest real {nearest.mean():.2f}, of a real to the next {among:.2f}")
    print(f"{int((nearest < _COPIED * among).sum())} images are nearer to a real than {_COPIED:g} of the latter")
    print(f"{len(which.unique())} of {len(real)} reals are the nearest to some image")
    drawn = style.figure(2.9, width=5.4)
    panels = {"free images": images, "the nearest real of each": real[which]}
    for ax, (title, shown) in zip(drawn.subplots(1, 2), panels.items(), strict=True):
        ax.imshow(image_grid(shown).movedim(0, -1).numpy())
        ax.set(title=title, xticks=[], yticks=[])
    return drawn
