"""Keeps what a particle run needs to become a generator."""

import copy
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from datamodules import samples as batches
from lightning_gantk.callbacks.checked import CheckedCallback
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.particles import Particles
from lightning_gantk.generators.stored_flow import FlowStep, StoredFlow
from lightning_gantk.training import schedules
from lightning_gantk.training.folders import run_folder


class StoreFlow(CheckedCallback):
    """Writes each step of a run of ``Particles`` to the folder ``flow`` of the run, for ``generators.ReplayedFlow``.

    The particles must move by plain gradient descent (``torch.optim.SGD`` without momentum or weight decay) along a
    discriminator fitted to them before, which scores them as they are, all of them in each step, in one process,
    without accumulation or clipping. A step takes the disk space of its particles, and of its real samples
    where they change from step to step. A run that goes on from a checkpoint goes on here too.

    Raises:
        ConfigError: Before training, if the run is another.

    Examples:
        >>> import torch
        >>> from lightning_gantk import Particles
        >>> from lightning_gantk.callbacks import StoreFlow
        >>> callbacks, generator = [StoreFlow()], Particles(64, (2,), per_particle=True)  # with torch.optim.SGD
    """

    def __init__(self) -> None:
        self._flow: StoredFlow | None = None
        self._fake: Tensor | None = None
        self._rate = 0.0
        self._hook: Any = None

    def check(self, trainer: Trainer, gan: Any, data: Any) -> None:
        _refuse_others(trainer, gan)
        made = gan.configure_optimizers()
        _refuse_more_than_descent(made["optimizer"] if isinstance(made, dict) else made)
        if (count := gan.fake_batch_size or getattr(data, "batch_size", None)) is not None:
            _refuse_some(count, gan)

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        generator = pl_module.generator
        self._flow = StoredFlow(run_folder(trainer) / "flow")
        about = {"out_shape": list(generator.out_shape), "start": generator.start, "noise": generator.start_noise}
        self._flow.begin(trainer.global_step, about, copy.deepcopy(pl_module.discriminator.state_dict()))
        self._hook = generator.register_forward_hook(self._on_samples)

    def _on_samples(self, generator: Particles, latent: Any, samples: Tensor) -> None:
        if generator.training and samples.requires_grad:  # of the training step, not of a picture
            self._fake = samples.detach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        _refuse_more_than_descent(optimizer)  # a checkpoint may have put other settings in
        (group,) = optimizer.param_groups
        assert self._fake is not None  # there were samples in this step
        _refuse_some(len(self._fake), pl_module)
        self._rate = group["lr"] / (1 if pl_module.generator.per_particle else len(self._fake))

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._flow is not None and self._fake is not None:
            real, _ = batches.parted(batch)
            self._flow.add(FlowStep(real, self._fake, self._rate))
            self._fake = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        if self._flow is not None:
            self._flow.flush()

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        if self._flow is not None:
            self._flow.flush()
        if self._hook is not None:
            self._hook.remove()


def _refuse_more_than_descent(optimizer: torch.optim.Optimizer) -> None:
    if found := schedules.beside_descent(optimizer):
        raise ConfigError(
            "StoreFlow replays steps of plain gradient descent: set the optimizer to torch.optim.SGD without momentum, "
            f"weight decay and maximize; it is {found}."
        )


def _refuse_some(count: int, gan: Any) -> None:
    if count != len(gan.generator.samples):
        raise ConfigError(
            f"StoreFlow replays steps of all particles: set model.fake_batch_size to their number, "
            f"{len(gan.generator.samples)}; it is {count}."
        )


def _refuse_others(trainer: Trainer, gan: Any) -> None:
    if not isinstance(gan.generator, Particles):  # whatever is trained then need have nothing of the rest
        raise ConfigError("StoreFlow stores runs with particles of their own (generators.Particles) alone.")
    found = {
        "no classes": gan.generator.classes is None,
        "one process": trainer.world_size == 1,
        "trainer.accumulate_grad_batches=1": trainer.accumulate_grad_batches == 1,
        "no trainer.gradient_clip_val": not trainer.gradient_clip_val,
        "updates='alternating'": gan.updates == "alternating",
        "a discriminator that scores fakes as they are, after its training": gan.discriminator.scores_all_alike,
        "latents='shared'": getattr(gan, "latents", "shared") == "shared",
    }
    missing = [words for words, fine in found.items() if not fine]
    if missing:
        raise ConfigError(f"StoreFlow stores runs with {', '.join(missing)} alone.")
