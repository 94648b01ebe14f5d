"""What a checkpoint holds, for pictures of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_gantk import checkpoint_files, runs, trust
from lightning_gantk.architectures import Architecture
from lightning_gantk.discriminators import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.training.folders import shown

_MOST = 2000  # samples of either kind


@dataclass(frozen=True)
class Run:
    """A run at a checkpoint, on the CPU.

    Attributes:
        real: Training samples ``(M, ...)``.
        fake: Samples of the generator, the averaged one where the run has such, ``(N, ...)``: all particles, or as many
            as a batch has reals.
        discriminator: As it is in the checkpoint.
        step: Generator steps that were taken.
    """

    real: Tensor
    fake: Tensor
    discriminator: Discriminator
    step: int

    def fitted(self) -> Discriminator:
        """The discriminator, fitted to these samples as a generator step fits it to its own."""
        self.discriminator.fit(self.real, self.fake)
        return self.discriminator

    def description(self) -> tuple[Architecture, AdversarialLoss, float]:
        """Architecture, loss and training time of the discriminator.

        Raises:
            ConfigError: If it has no architecture, or no time.
        """
        kernel = getattr(self.discriminator, "kernel", None)
        (pattern,) = getattr(self.discriminator, "_pattern", (None,))
        architecture = getattr(kernel, "architecture", pattern)
        if not isinstance(architecture, Architecture):
            raise ConfigError(f"The run's discriminator has no architecture, which this picture needs: {kernel!r}.")
        if getattr(kernel, "kind", "ntk") != "ntk":
            raise ConfigError("This picture is of networks trained whole, and the run's kernel is of kind 'nngp'.")
        if others := _left_out(self.discriminator):
            raise ConfigError(
                f"This picture is of the plain flow of a loss, and the run's discriminator has {', '.join(others)}: "
                "draw another one, or give none of its checkpoint."
            )
        if self.discriminator.time is None:
            raise ConfigError("The run's discriminator has an optimizer of its own and no training time: give 'time'.")
        return architecture, self.discriminator.loss, self.discriminator.time


def _left_out(discriminator: Discriminator) -> list[str]:
    """Settings besides architecture, loss and time that change what is trained."""
    training = getattr(discriminator, "_training", None)
    found = {
        "an initial function": getattr(discriminator, "initial", None) is not None,
        "inertia": getattr(discriminator, "inertia", 0.0),
        "landmarks (features)": getattr(discriminator, "landmarks", None) is not None,
        "solution='ridge'": getattr(training, "ridge", None) is not None,
        "decay": getattr(training, "decay", 0.0),
        "a gradient penalty": getattr(training, "gradient_penalty", 0.0),
    }
    return [name for name, there in found.items() if there]


def opened(checkpoint: str | Path, *, trusted: bool = False) -> tuple[Any, Any, int]:
    """Sets a run of the command line up again from a checkpoint in its folder, on the CPU.

    Args:
        checkpoint: Its file, or the run's folder.
        trusted: Whether code outside this package, which the run's configuration may name, is called.

    Returns:
        The ``GAN`` as it was, its data module before any data are read, and the generator steps that were taken.

    Raises:
        ConfigError: If there is no such checkpoint, or no configuration beside it, or it names other code.
    """
    from lightning_gantk.cli_partial import MadeCommand

    checkpoint = runs.checkpoint_at(checkpoint)
    config = checkpoint.absolute().parent.parent / "config.yaml"
    if not config.is_file():
        raise ConfigError(
            f"{checkpoint} does not lie in a run's folder, whose checkpoints/ it comes from: there is no "
            f"{shown(config)}, which says what was trained."
        )
    if not trusted:
        trust.refuse_foreign_file(config, cure="--trust true")
    silent = ["--trainer.accelerator=cpu", "--trainer.logger=false", "--trainer.enable_progress_bar=false"]
    command = MadeCommand(["validate", f"--config={config}", f"--ckpt_path={checkpoint}", *silent])
    gan, data = command.model, command.datamodule
    saved = checkpoint_files.read(checkpoint)
    gan.load_state_dict(saved["state_dict"])
    return gan, data, saved["global_step"]


def load(checkpoint: str | Path, *, trusted: bool = False) -> Run:
    """Sets a run of the command line up again from a checkpoint in its folder.

    Args:
        checkpoint: Its file, or the run's folder.
        trusted: Whether code outside this package, which the run's configuration may name, is called.

    Raises:
        ConfigError: If there is no such checkpoint, or no configuration beside it, or it names other code.
    """
    gan, data, step = opened(checkpoint, trusted=trusted)
    if not hasattr(gan, "discriminator"):
        raise ConfigError(f"This picture is of a GAN's discriminator, and the run is {gan.described}.")
    if gan.generator.classes is not None:
        raise ConfigError("This picture shows one score for all samples, and the run's have classes.")
    data.prepare_data()
    data.setup("fit")
    real = torch.stack([data.train_dataset[i] for i in range(min(len(data.train_dataset), data.batch_size, _MOST))])
    latent = gan.generator.population()
    if latent is None:
        latent = gan.generator.fixed_latent(len(real), 0)
    return Run(real, gan.sample(latent[:_MOST]), gan.discriminator, step)
