"""Your own pictures, by class.

A folder of pictures, whose subfolders are classes; a generator that makes a picture of the class it is asked for. Run
it: `python docs/tutorials/own_pictures.py`; with `--folder PICTURES` it takes yours.
"""

import argparse
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from PIL import Image, ImageDraw
from torchvision.utils import save_image

from datamodules import ImageFolderDataModule
from lightning_gantk import GAN
from lightning_gantk.architectures import DCGAN
from lightning_gantk.callbacks.samples import enlarged
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.generators import DCGANGenerator
from lightning_gantk.losses import IPM
from lightning_gantk.pictures.image_grid import image_grid

arguments = argparse.ArgumentParser()
arguments.add_argument("--folder", default="shapes")
arguments.add_argument("--steps", type=int, default=500)
arguments.add_argument("--output", default="own_pictures.png")
arguments = arguments.parse_args()


# Without pictures of your own, some are drawn: discs, squares and crosses, each somewhere, of some size and brightness.
# They lie in `shapes/cross/`, `shapes/disc/` and `shapes/square/`.
def draw(folder, count=100):
    random = torch.Generator().manual_seed(0)
    for kind in ("cross", "disc", "square"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            x, y, radius, brightness = (low + (high - low) * torch.rand(4, generator=random)).tolist()
            picture = Image.new("L", (64, 64))
            pen, box, grey = ImageDraw.Draw(picture), (x - radius, y - radius, x + radius, y + radius), int(brightness)
            if kind == "disc":
                pen.ellipse(box, fill=grey)
            elif kind == "square":
                pen.rectangle(box, fill=grey)
            else:
                pen.line((x - radius, y, x + radius, y), fill=grey, width=10)
                pen.line((x, y - radius, x, y + radius), fill=grey, width=10)
            picture.save(folder / kind / f"{number}.png")


low, high = torch.tensor([24.0, 24, 14, 150]), torch.tensor([40.0, 40, 22, 256])
if not Path(arguments.folder).exists():
    draw(Path(arguments.folder))

# The data: any sizes and endings, made into squares of 16 pixels, grey (`channels=1`). With `labels` a batch is a pair
# of pictures and classes, which are numbered in the order of their names.
torch.manual_seed(0)
data = ImageFolderDataModule(
    arguments.folder, image_size=16, channels=1, batch_size=64, val_size=30, labels=True, cache_dir="decoded"
)
classes = data.class_names
print("classes:", ", ".join(classes))

# The generator takes a class beside its noise. The infinitely wide discriminator then has the product kernel
# k(x, x') [l = l'], which compares pictures of one class alone; as each class has a share of the batch's mass, `time`
# is longer by their number.
gan = GAN(
    DCGANGenerator(out_shape=(1, 16, 16), latent_dim=16, channels=16, classes=len(classes)),
    NTKDiscriminator(DCGAN(blocks=2, b_std=0.5), IPM(), time=1.0 * len(classes)),
    optimizer=lambda parameters: torch.optim.Adam(parameters, lr=1e-2, betas=(0.5, 0.999)),
    scheduler=lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, arguments.steps),
    ema_decay=0.98,
)
quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
trainer = Trainer(max_steps=arguments.steps, accelerator="cpu", **quiet)
trainer.fit(gan, data)

# A row for each class. Five hundred steps are half a minute of one core; three hundred pictures are few, and the three
# shapes are rough.
latent = gan.sampler.latent_of(torch.arange(len(classes)).repeat_interleave(8))
save_image(enlarged(image_grid(gan.sample(latent), columns=8)), arguments.output)
#
# ![A row of samples for each class](images/own_pictures.png)
#
# On the command line the same is `gantk init PICTURES`, which looks into the folder and writes a configuration for it,
# and `gantk fit --config PICTURES.yaml`.
