"""A particle run as a generator: new latents go the way that the particles went."""

import copy
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from lightning_gantk import trust
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators.base import Generator
from lightning_gantk.generators.stored_flow import StoredFlow


class ReplayedFlow(Generator):
    r"""Pushes new samples of the start's distribution through the discriminators of a run of ``Particles``.

    At step k the particles of the run moved by :math:`z \leftarrow z - h \nabla c(f_k)(z)`, f_k the discriminator that
    was fitted to them. Any other z can move by the same f_k: so n particles give as many samples as one likes
    (Franceschi et al., "Unifying GANs and score-based diffusion as generative particle models", NeurIPS 2023, with the
    run's own discriminators in the place of one trained network). The particles' own start gives the particles, to
    rounding.

    What the run's discriminator was fitted to is on disk (callback ``StoreFlow``); it is fitted again, step by step,
    from the state that it had, so that kept and finite ones can be replayed like others. A pass costs about what the
    run did, and grows slowly with the number of latents: ask for all samples at once. Discriminators that draw random
    numbers in ``fit`` are replayed with others.

    It has nothing to train: it takes no gradients, and none reach latents.

    Args:
        path: The folder ``flow`` of the run.
        discriminator: As the run's; None takes it from the run's ``config.yaml``, beside the folder.
        steps: How many steps are replayed; all where none is given.
        trusted: Whether code outside this package, which the run's configuration may name, is called.

    Raises:
        ConfigError: If there is no stored run, it began from given samples, or its configuration is not known.

    Examples:
        >>> from lightning_gantk import ConfigError
        >>> from lightning_gantk.generators import ReplayedFlow
        >>> try:
        ...     ReplayedFlow("runs/no_such_run/flow")
        ... except ConfigError as error:
        ...     print(str(error).split(":")[0])
        There is no stored run of particles in runs/no_such_run/flow
    """

    def __init__(
        self,
        path: str | Path,
        discriminator: Discriminator | None = None,
        *,
        steps: int | None = None,
        trusted: bool = False,
    ):
        flow = StoredFlow(path)
        about = flow.about
        super().__init__(out_shape=about["out_shape"])
        if steps is not None and not 0 <= steps <= len(flow):
            raise ConfigError(f"'steps' must lie between 0 and the run's {len(flow)}, got {steps}.")
        self.flow, self.start, self.noise = flow, about["start"], about["noise"]
        self.steps = len(flow) if steps is None else steps
        if discriminator is None:
            discriminator = _of_run(flow.folder.parent / "config.yaml", trusted)
        self._pattern = (copy.deepcopy(discriminator),)  # in a tuple, so that torch does not register it

    def latent(
        self, n: int, *, device: torch.device | str | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draws ``n`` samples ``(n, *out_shape)`` as the particles' start was drawn."""
        source, shape = device if generator is None else generator.device, (n, *self.out_shape)
        if self.start == "normal":
            drawn = torch.randn(shape, device=source, generator=generator)
        elif self.start == "uniform":
            drawn = torch.rand(shape, device=source, generator=generator).mul_(2).sub_(1)
        else:
            raise ConfigError(
                "The particles of this run started from given samples, of which there are no others: give samples of "
                "your own in the place of latents."
            )
        return (self.noise * drawn).to(device if device is not None else drawn.device)

    def forward(self, latent: Tensor) -> Tensor:
        """Where samples ``(N, *out_shape)`` of the start go."""
        (pattern,) = self._pattern
        with torch.inference_mode(False), torch.enable_grad():
            discriminator = copy.deepcopy(pattern)
            discriminator.build(self.out_shape)
            discriminator.load_state_dict(self.flow.state())
            discriminator.to(latent.device)
            z = latent.detach().clone()
            for _, step in zip(range(self.steps), self.flow, strict=False):
                discriminator.fit(step.real.to(z.device), step.fake.to(z.device))
                z = z.requires_grad_()
                (gradient,) = torch.autograd.grad(discriminator.loss.c(discriminator(z)).sum(), z)
                z = z.detach() - step.rate * gradient
        return z.contiguous(memory_format=torch.channels_last) if z.ndim == 4 else z

    def extra_repr(self) -> str:
        return f"out_shape={self.out_shape}, {self.steps} steps of {self.flow.folder}"


def _of_run(config: Path, trusted: bool) -> Discriminator:
    """The discriminator that a run's configuration names, as it is before training."""
    from jsonargparse import ArgumentError, ArgumentParser

    if not config.is_file():
        raise ConfigError(f"There is no {config}, which would name the run's discriminator: give 'discriminator'.")
    if not trusted:
        trust.refuse_foreign_file(config, cure="trusted=True")
    trust.read_here_alone()
    settings: Any = yaml.safe_load(config.read_text())
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--discriminator", type=Discriminator)
    try:
        parsed = parser.parse_object({"discriminator": settings["model"]["discriminator"]})
        return parser.instantiate_classes(parsed)["discriminator"]
    except (KeyError, TypeError, ArgumentError) as error:
        told = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"{config} names no discriminator that can be made ({told}): give 'discriminator'."
        ) from error
