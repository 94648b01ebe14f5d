"""Validation: how far generated samples are from held-out ones, and how near they could come."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from lightning_gantk.generators.base import Generator
from lightning_gantk.metrics.base import Quality
from lightning_gantk.processes import gathered
from lightning_gantk.training.random_states import isolated

_SEED = 20_220_717  # of the latents and of whatever the metrics draw: the same at each validation of each run


class Evaluation:
    """Feeds the metrics of ``quality``: real samples and the floor once, generated samples at each validation.

    Latents are always the same, and as many as held-out samples, so that values of one run and of several compare; of a
    generator with a finite population each sample is measured once.
    All of it draws from random numbers of its own: to validate more or less often changes nothing in training.

    Args:
        quality: ``SampleQuality``, or metrics of your own.
    """

    def __init__(self, quality: Quality):
        self.quality = quality
        self.floor: dict[str, Tensor] = {}
        self._feeds_real, self._split = False, "val"
        self._held_out = 0
        self._latents = torch.Generator()
        self._rank, self._processes = 0, 1
        self._population_is_fed = False

    def start(self, rank: int = 0, processes: int = 1, split: str = "val") -> None:
        """Begins a validation. The latents of several processes are together those of one with as large batches.

        Args:
            rank: Which process this is.
            processes: How many there are.
            split: Name of the held-out samples; those of another name than last time are measured anew.
        """
        # where the last validation was broken off, its real samples are few
        if self._feeds_real or split != self._split:
            self.forget()
        else:
            self.quality.reset()
        self._feeds_real, self._split = not self.quality.has_real, split
        self._held_out = 0
        self._latents.manual_seed(_SEED)
        self._rank, self._processes, self._population_is_fed = rank, processes, False

    def forget(self) -> None:
        """Has the held-out samples measured anew: they may be others."""
        self.quality.reset(real=True)
        self.floor = {}

    def update(self, real: Tensor, sampler: Generator, labels: Tensor | None = None) -> None:
        """Takes a held-out batch ``(N, ...)``, with its classes or None, and matches it with N samples."""
        seed = _SEED + self._held_out * self._processes + self._rank  # generators may draw in their forward pass
        self._held_out += len(real)
        with _aside(seed):
            if self._feeds_real:
                self.quality.update(real, real=True)
            for latent in self._next(sampler, len(real), labels):
                self.quality.update(sampler(latent.to(real.device)).to(real.dtype), real=False)

    def _next(self, sampler: Generator, count: int, labels: Tensor | None) -> Sequence[Tensor]:
        """Batches of latents to go with a batch of ``count`` held-out samples."""
        population = sampler.population()
        if population is None:
            if sampler.classes is None or labels is None:
                everybody = sampler.latent(count * self._processes, generator=self._latents)
            else:
                everybody = sampler.latent_of(gathered(labels).cpu(), generator=self._latents)
            return [everybody[self._rank * count : (self._rank + 1) * count]]
        if self._population_is_fed:
            return []
        self._population_is_fed = True
        return population[self._rank :: self._processes].split(count)

    def finish(self, reference: Callable[[], Iterable[Tensor] | None], device: torch.device) -> dict[str, Tensor]:
        """Gives the metrics by name, and as ``<name>_floor`` those of as many other real samples.

        Args:
            reference: Gives batches of these, or None; called once.
            device: Where the metrics work.
        """
        with _aside():
            values = self.quality.compute()
            if self._feeds_real and (batches := reference()) is not None:
                self.quality.reset()
                wanted = self._held_out
                for batch in batches:
                    self.quality.update(batch[:wanted].to(device), real=False)
                    wanted -= len(batch)
                    if wanted <= 0:
                        break
                self.floor = {f"{name}_floor": value for name, value in self.quality.compute().items()}
            self.quality.reset()
        self._feeds_real = False
        return {**values, **{name: value.to(device) for name, value in self.floor.items()}}


@contextmanager
def _aside(seed: int = _SEED) -> Iterator[None]:
    # Lightning validates in inference mode, whose tensors could not be updated by a later validation within `fit`.
    with isolated(seed), torch.inference_mode(False), torch.no_grad():
        yield
