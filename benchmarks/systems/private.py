"""DP-NTK on the 5,000 digits: less and less noise, without the digits' classes or with an embedding for each."""

import math
import tempfile
from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.command import fit
from lightning_gantk.callbacks.samples import image_grid
from lightning_gantk.pictures import style

EPSILONS, SHOWN, COLUMNS = (math.inf, 10.0, 1.0, 0.2), 30, 10
_CLASSES = {"model.generator.init_args.classes": 10, "data.init_args.labels": "true"}


def unlabelled() -> Figure:
    return _drawn({})


def labelled() -> Figure:
    return _drawn(_CLASSES)


@style.styled
def _drawn(settings: Mapping[str, Any]) -> Figure:
    """The same generator, seed and steps at each epsilon."""
    drawn = style.figure(0.9, width=6.6)
    print("| epsilon | sigma | length of the noise | FID |\n| --- | ---: | ---: | ---: |")
    for ax, epsilon in zip(drawn.subplots(1, len(EPSILONS), squeeze=False)[0], EPSILONS, strict=True):
        _trained(ax, epsilon, settings)
    return drawn


def _trained(ax: Axes, epsilon: float, settings: Mapping[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"enable_progress_bar": "false", "logger": "false", "default_root_dir": folder}
        given = {f"trainer.{name}": value for name, value in quiet.items()}
        given["model.discriminator.init_args.epsilon"] = ".inf" if math.isinf(epsilon) else f"{epsilon}"
        command = fit(("systems/dp_ntk/digits.yaml",), {**given, **settings})
    gan, fid = command.model, float(command.trainer.callback_metrics["val/fid"])
    critic = gan.discriminator
    noise = 2 * critic.sigma / int(critic.seen) * math.sqrt(critic.embedding.numel())
    print(f"| {epsilon:g} | {critic.sigma:.4f} | {noise:.3f} | {fid:.1f} |", flush=True)
    latent = gan.generator.latent(SHOWN, generator=torch.Generator().manual_seed(0))  # of classes in turn
    ax.imshow(image_grid(gan.sample(latent), columns=COLUMNS).movedim(0, -1).numpy())
    told = "$\\infty$" if math.isinf(epsilon) else f"{epsilon:g}"
    ax.set(title=f"$\\epsilon$ = {told}, FID {fid:.0f}", xticks=[], yticks=[])
