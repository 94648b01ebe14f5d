"""DP-NTK on the 5,000 digits: less and less noise, without and with the digits' classes."""

import math
import tempfile

import torch
from matplotlib.figure import Figure

from benchmarks.command import fit
from lightning_gantk.callbacks.samples import image_grid
from lightning_gantk.pictures import style

EPSILONS, SHOWN = (math.inf, 10.0, 1.0, 0.2), 30
_CLASSES = {"model.generator.init_args.classes": 10, "data.init_args.labels": "true"}


@style.styled
def draw() -> Figure:
    """The same generator, seed and steps against the embedding of each."""
    drawn = style.figure(1.5, width=6.6)
    print("| epsilon | sigma | length of the noise | FID, unlabelled | FID, labelled |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for column, epsilon in zip(drawn.subplots(2, len(EPSILONS)).T, EPSILONS, strict=True):
        fids, discriminator = [], None
        for ax, classes in zip(column, ({}, _CLASSES), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                quiet = {"enable_progress_bar": "false", "logger": "false", "default_root_dir": folder}
                command = fit(
                    ("systems/dp_ntk/digits.yaml",),
                    {
                        **{f"trainer.{name}": value for name, value in quiet.items()},
                        "model.discriminator.init_args.epsilon": ".inf" if math.isinf(epsilon) else epsilon,
                        **classes,
                    },
                )
            fids.append(float(command.trainer.callback_metrics["val/fid"]))
            discriminator = discriminator or command.model.discriminator
            stream = torch.Generator().manual_seed(0)
            latent = command.model.generator.latent(SHOWN, generator=stream)  # of classes in turn
            ax.imshow(image_grid(command.model.sample(latent), columns=10).movedim(0, -1).numpy())
            ax.set(xticks=[], yticks=[])
        told = "$\\infty$" if math.isinf(epsilon) else f"{epsilon:g}"
        column[0].set_title(f"$\\epsilon$ = {told}")
        noise = 2 * discriminator.sigma / int(discriminator.seen) * math.sqrt(discriminator.embedding.numel())
        print(f"| {epsilon:g} | {discriminator.sigma:.4f} | {noise:.3f} | {fids[0]:.1f} | {fids[1]:.1f} |", flush=True)
    for ax, name in zip(drawn.axes[:: len(EPSILONS)], ("unlabelled", "labelled"), strict=True):
        ax.set_ylabel(name)
    return drawn
