"""``gantk pictures KIND``: draws pictures.

KIND is ``score``, ``flow``, ``interpolation``, ``sweep``, ``truncation`` or ``neighbours`` (of a checkpoint),
``adequation``, ``comparison``, ``influence`` or ``film``.
"""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import torch
from jsonargparse import auto_cli
from torch import Tensor

from datamodules.targets import GaussianRing, Target
from lightning_gantk.architectures import MLP, Architecture
from lightning_gantk.callbacks.monitor import training_batches
from lightning_gantk.callbacks.nearest_real import nearest
from lightning_gantk.checks import whole
from lightning_gantk.cli_messages import Keys, explain
from lightning_gantk.discriminators import Discriminator, NTKDiscriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.flows import DiscriminatorFlow
from lightning_gantk.losses import IPM, AdversarialLoss
from lightning_gantk.pictures import adequation as _adequation
from lightning_gantk.pictures import film as _film
from lightning_gantk.pictures import latents
from lightning_gantk.pictures.along_flow import along_flow, even, measured, samples_at
from lightning_gantk.pictures.fields import samples_on_score
from lightning_gantk.pictures.influence import influence as _influence
from lightning_gantk.pictures.style import checked, save
from lightning_gantk.quiet import quieten
from lightning_gantk.saved_run import load, opened


def score(
    checkpoint: str, output: str = "score.pdf", limits: list[float] | None = None, dpi: int = 300, trust: bool = False
) -> Path:
    """Samples and target of a run, with the score behind them and the gradients as arrows.

    Args:
        checkpoint: A checkpoint of a run on points in 1-D or 2-D.
        output: A .pdf, .png or .svg file.
        limits: Left, right, bottom and top of the picture.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, dpi=dpi)
    run = load(checkpoint, trusted=trust)
    drawn = samples_on_score(run.real, run.fake, run.fitted(), limits=_limits(limits), title=f"step {run.step}")
    return save(drawn, output, dpi=dpi)


def adequation(
    output: str = "adequation.pdf",
    checkpoint: str | None = None,
    architecture: Architecture | None = None,
    loss: AdversarialLoss | None = None,
    time: float | None = None,
    widths: list[int] = [64, 128, 256, 512],  # noqa: B006
    steps: int = 10,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """Scores of finite and infinite widths on 1-D data: those of a run, or the modes of the paper's Figure 1.

    Args:
        output: A .pdf, .png or .svg file.
        checkpoint: Of a run on 1-D points; its discriminator's settings hold where none are given here.
        architecture: By default an MLP of 3 hidden layers with ReLU.
        loss: IPM by default.
        time: Training time; 1 by default.
        widths: Of the finite discriminators.
        steps: Gradient steps of the finite discriminators.
        seed: Of their weights.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, steps=steps, dpi=dpi)

    def modes() -> list[Tensor]:
        return [torch.tensor(modes)[:, None] for modes in (_adequation.REAL_1D, _adequation.FAKE_1D)]

    problem = _problem(checkpoint, trust, modes, architecture=architecture, loss=loss, time=time)
    return save(_adequation.adequation(**problem, widths=widths, steps=steps, seed=seed), output, dpi=dpi)


def comparison(
    output: str = "comparison.pdf",
    checkpoint: str | None = None,
    architecture: Architecture | None = None,
    loss: AdversarialLoss | None = None,
    time: float | None = None,
    width: int = 512,
    steps: int = 10,
    seed: int = 0,
    target: Target | None = None,
    samples: int = 30,
    limits: list[float] | None = None,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """Score fields of a finite and of the infinitely wide discriminator in 2-D, with one colour scale.

    Args:
        output: A .pdf, .png or .svg file.
        checkpoint: Of a run on 2-D points; its discriminator's settings hold where none are given here.
        architecture: By default an MLP of 3 hidden layers with ReLU.
        loss: IPM by default.
        time: Training time; 1 by default.
        width: Of the finite discriminator.
        steps: Gradient steps of the finite discriminator.
        seed: Of its weights, and of the samples where there is no checkpoint.
        target: Real samples where there is no checkpoint; 8 Gaussians by default. Fakes are normal.
        samples: How many of either kind where there is no checkpoint.
        limits: Left, right, bottom and top of the picture.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, width=width, steps=steps, samples=samples, dpi=dpi)

    def drawn() -> list[Tensor]:
        generator, source = torch.Generator().manual_seed(seed), target or GaussianRing()
        source.prepare()
        return [source.sample(samples, generator), torch.randn(samples, source.dim, generator=generator)]

    problem = _problem(checkpoint, trust, drawn, architecture=architecture, loss=loss, time=time)
    settings = {"width": width, "steps": steps, "seed": seed, "limits": _limits(limits)}
    return save(_adequation.comparison(**problem, **settings), output, dpi=dpi)


def influence(
    output: str = "influence.pdf",
    discriminator: Discriminator | None = None,
    checkpoint: str | None = None,
    real: tuple[float, float] = (1.0, 0.0),
    side: int = 13,
    in_shape: list[int] = [2],  # noqa: B006
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """The gradient that one fake receives from one real point, at a grid of places.

    Args:
        output: A .pdf, .png or .svg file.
        discriminator: Of any kind; without it and a checkpoint, four panels: RBF, ReLU, ReLU without biases, sigmoid.
        checkpoint: Takes the discriminator of a run.
        real: The real point.
        side: Places in a row and in a column.
        in_shape: Shape of a sample; of images a plane through 0 is shown.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, dpi=dpi)
    whole("side", side, 2)
    if checkpoint is not None:
        discriminator = load(checkpoint, trusted=trust).discriminator
    if discriminator is not None:
        panels = {type(discriminator).__name__: discriminator}
    else:
        from lightning_gantk.kernels import RBF

        kernels = {"RBF": RBF(0.5), "ReLU": MLP(), "ReLU, no bias": MLP(b_std=None)}
        kernels["sigmoid"] = MLP(activation="sigmoid_like", b_std=0.2)
        panels = {name: NTKDiscriminator(kernel, IPM(), dtype="float64") for name, kernel in kernels.items()}
    return save(_influence(panels, real=real, side=side, in_shape=in_shape), output, dpi=dpi)


def interpolation(
    checkpoint: str,
    output: str = "interpolation.pdf",
    rows: int = 6,
    steps: int = 9,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """Samples on the way from one latent to another, a row for each pair.

    Args:
        checkpoint: A checkpoint of a run on images.
        output: A .pdf, .png or .svg file.
        rows: Pairs.
        steps: Samples from one end to the other.
        seed: Of the latents.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, rows=rows, steps=steps, dpi=dpi)
    gan, _, step = opened(checkpoint, trusted=trust)
    images = latents.interpolation(gan, rows=rows, steps=steps, seed=seed)
    return save(latents.grid(images, columns=steps, title=f"between latents, step {step:,}"), output, dpi=dpi)


def sweep(
    checkpoint: str,
    output: str = "sweep.pdf",
    coordinates: int = 6,
    steps: int = 9,
    reach: float = 3.0,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """A latent whose coordinates are swept one by one, a row for each of those that change the sample most.

    Args:
        checkpoint: A checkpoint of a run on images.
        output: A .pdf, .png or .svg file.
        coordinates: How many.
        steps: Samples from one end to the other.
        reach: The ends: -reach and reach.
        seed: Of the latent.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, coordinates=coordinates, steps=steps, dpi=dpi)
    gan, _, step = opened(checkpoint, trusted=trust)
    images = latents.sweep(gan, coordinates=coordinates, steps=steps, reach=reach, seed=seed)
    title = f"coordinates from {-reach:g} to {reach:g}, step {step:,}"
    return save(latents.grid(images, columns=steps, title=title), output, dpi=dpi)


def truncation(
    checkpoint: str,
    output: str = "truncation.pdf",
    levels: list[float] = [0.0, 0.25, 0.5, 0.75, 1.0],  # noqa: B006
    count: int = 8,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """The same latents nearer to their mean and further from it, a row for each level.

    Args:
        checkpoint: A checkpoint of a run on images.
        output: A .pdf, .png or .svg file.
        levels: What latents are multiplied by.
        count: Latents.
        seed: Of the latents.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, count=count, dpi=dpi)
    gan, _, step = opened(checkpoint, trusted=trust)
    images = latents.truncation(gan, levels=levels, count=count, seed=seed)
    words = [f"{level:g}" for level in levels]
    return save(latents.grid(images, columns=count, title=f"truncation, step {step:,}", rows=words), output, dpi=dpi)


def neighbours(
    checkpoint: str,
    output: str = "neighbours.pdf",
    count: int = 8,
    num_train: int | None = 10_000,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """Samples, and below each the nearest training sample: whether they are copies.

    Args:
        checkpoint: A checkpoint of a run on images.
        output: A .pdf, .png or .svg file.
        count: Samples.
        num_train: Compare with at most so many training samples; with all where null is given.
        seed: Of the latents.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, count=count, dpi=dpi)
    gan, data, step = opened(checkpoint, trusted=trust)
    data.prepare_data()
    data.setup("fit")
    latent = gan.generator.fixed_latent(count, seed)
    distances, others = nearest(fake := gan.sample(latent), training_batches(data, num_train))
    title = f"mean distance {float(distances.mean()):.3g}, step {step:,}"
    images = torch.cat([fake, others])
    return save(latents.grid(images, columns=count, title=title, rows=("sample", "nearest")), output, dpi=dpi)


def flow(
    checkpoint: str,
    output: str = "flow.pdf",
    panels: int = 6,
    places: int = 15,
    metric: str | None = None,
    seed: int = 0,
    dpi: int = 300,
    trust: bool = False,
) -> Path:
    """Samples along the flow of a Discriminator Flow, and a measure of the run over the steps; it is printed too.

    Args:
        checkpoint: A checkpoint of a run with ``system: DiscriminatorFlow``, on points in 2-D or images.
        output: A .pdf, .png or .svg file.
        panels: Numbers of steps whose samples are shown.
        places: Numbers of steps that are measured.
        metric: Which of the run's measures; the first where none is named.
        seed: Of the noise.
        dpi: Pixels per inch.
        trust: Call code outside this package that the run's configuration names.
    """
    checked(output, panels=panels, places=places, dpi=dpi)
    module, data, _ = opened(checkpoint, trusted=trust)
    if not isinstance(module, DiscriminatorFlow):
        raise ConfigError(f"Only a run with 'system: DiscriminatorFlow' has a flow; this one is of {module.described}.")
    data.prepare_data()
    data.setup("fit")
    held_out = list(data.val_dataloader())
    real, sampler = torch.cat(held_out), module.sampler
    shown, looked = even(sampler.steps, panels), even(sampler.steps, places)
    latent = sampler.fixed_latent(len(real), seed)
    samples = samples_at(sampler.eval(), latent, [*shown, *looked])
    values, name = None, ""
    if module.quality is not None:
        module.quality.build(sampler.out_shape)
        module.quality.attach(data)
        found = measured({step: samples[step] for step in looked}, held_out, module.quality)
        name = metric or next(iter(found[0]))
        if name not in found[0]:
            raise ConfigError(f"'metric' must be one of {', '.join(found[0])}, got {name!r}.")
        values = {step: those[name] for step, those in found.items()}
        print(f"{name:<12} {', '.join(f'{value:.3g} after {step}' for step, value in values.items())}")
    drawn = along_flow({step: samples[step] for step in shown}, real, values, name)
    return save(drawn, output, dpi=dpi)


def film(run: str, output: str = "film.gif", frames_per_second: float = 10.0, width: int | None = None) -> Path:
    """A film of a run, of the pictures that its callbacks left.

    Args:
        run: The run's folder, or a checkpoint in it.
        output: A .gif file, or an .mp4 file where there is ffmpeg.
        frames_per_second: Pace.
        width: In pixels, if the film is to be smaller than the pictures.
    """
    return _film.film(_film.frames_of(run), output, frames_per_second=frames_per_second, width=width)


_FUNCTIONS = (score, flow, adequation, comparison, influence, interpolation, sweep, truncation, neighbours, film)
_KINDS = {one.__name__: one for one in _FUNCTIONS}


def main(args: list[str] | None = None) -> None:
    """Draws one picture.

    Raises:
        SystemExit: With one line on standard error and code 2 if something that was asked for cannot be done.
    """
    quieten()
    words = list(sys.argv[1:] if args is None else args)
    try:
        if not words or (words[0] not in _KINDS and not words[0].startswith("-")):
            given = f", got {words[0]!r}" if words else ""
            raise ConfigError(f"the first word is the kind of picture: {', '.join(_KINDS)}{given}.")
        kinds = list(_KINDS.values())
        written = auto_cli(kinds, args=words, as_positional=False, prog="gantk pictures", exit_on_error=False)
        print(f"picture      {written}")
    except argparse.ArgumentError as error:
        _leave(explain(str(error), Keys(_options(words[0])), words[0]), error)
    except (ConfigError, OSError) as error:
        _leave(str(error), error)


def _options(kind: str) -> list[str]:
    return list(inspect.signature(_KINDS[kind]).parameters) if kind in _KINDS else list(_KINDS)


def _leave(message: str, cause: Exception) -> NoReturn:
    print("pictures:", " ".join(message.split()), file=sys.stderr)
    raise SystemExit(2) from cause


def _problem(checkpoint: str | None, trust: bool, samples: Callable[[], list[Tensor]], **given: Any) -> dict[str, Any]:
    """Samples and discriminator settings, of a run where there is a checkpoint; what was given comes first."""
    if checkpoint is None:
        real, fake = samples()
        settings: dict[str, Any] = {"architecture": MLP(), "loss": IPM(), "time": 1.0}
    else:
        run = load(checkpoint, trusted=trust)
        real, fake = run.real, run.fake
        # A run on a kernel that is no architecture has no description: then everything must be given.
        names = ("architecture", "loss", "time")
        settings = dict(zip(names, run.description(), strict=True)) if None in given.values() else {}
    return {"real": real, "fake": fake, **settings, **{name: v for name, v in given.items() if v is not None}}


def _limits(limits: list[float] | None) -> tuple[float, float, float, float] | None:
    if limits is not None and (len(limits) != 4 or limits[0] >= limits[1] or limits[2] >= limits[3]):
        raise ConfigError(f"'limits' must be left, right, bottom and top of the picture, got {limits}.")
    return None if limits is None else (limits[0], limits[1], limits[2], limits[3])
