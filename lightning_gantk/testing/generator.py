"""The contract of a generator: latents in, samples of one shape out, with a gradient for every parameter."""

import copy
from abc import abstractmethod
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from lightning_gantk.generators import Generator
from lightning_gantk.testing.base import Contract
from lightning_gantk.testing.slopes import error_of_slope, roundings, step_of, unit


class GeneratorContract(Contract):
    """Proves a ``Generator``: ``make`` gives one.

    Attributes:
        bounded: Whether images must lie in [-1, 1]; not those of free particles.
        plain_gradient: Whether the gradient of the parameters is the derivative of the samples; not where a generator
            scales or mixes it on purpose.
        trained: Whether it has parameters that are trained.

    Examples:
        >>> from lightning_gantk import MLPGenerator
        >>> from lightning_gantk.testing import GeneratorContract
        >>> class TestMine(GeneratorContract):  # pytest finds its tests
        ...     def make(self):
        ...         return MLPGenerator((2,), latent_dim=4, hidden=(8,))
    """

    bounded: ClassVar[bool] = True
    plain_gradient: ClassVar[bool] = True
    trained: ClassVar[bool] = True

    @abstractmethod
    def make(self) -> Generator:
        """The generator."""

    @pytest.mark.parametrize("count", [1, 2, 5])
    def test_samples_have_the_shape_that_is_said(self, count: int) -> None:
        generator = self.make()
        latent = generator.latent(count)
        self.claim(len(latent) == count, f"latent({count}) has shape {tuple(latent.shape)}.", Generator.latent)
        samples = generator.eval()(latent)
        wrong = (
            f"{count} latents give {samples.dtype} samples {tuple(samples.shape)}, out_shape is {generator.out_shape}."
        )
        fine = samples.shape == (count, *generator.out_shape) and samples.dtype == torch.float32
        self.claim(fine, wrong, Generator.forward)
        self.claim(samples.isfinite().all(), "Samples are not finite.", Generator.forward)

    @pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
    def test_images_are_bounded_and_in_channels_last_memory(self, training: bool) -> None:
        generator = self.make().train(training)
        if len(generator.out_shape) == 1:
            pytest.skip("vectors have neither bound nor layout")
        samples = generator(_scaled(generator.latent(4), 10))
        most = float(samples.detach().abs().max())
        self.claim(most <= 1 or not self.bounded, f"Images go up to {most:g}, beyond [-1, 1].", Generator.forward)
        if generator.out_shape[0] > 1:
            wrong = f"Images with strides {samples.stride()} are copied on their way to JAX."
            self.claim(samples.permute(0, 2, 3, 1).is_contiguous(), wrong, Generator.forward)

    def test_latents_are_fixed_by_their_source(self) -> None:
        generator = self.make()
        of = Generator.latent
        with self.leaves_random_numbers("latent(generator=...)", of):
            first, again = (generator.latent(3, generator=torch.Generator().manual_seed(7)) for _ in range(2))
        self.same(first, again, "latents from one source", of)
        drawn = []
        for _ in range(2):
            torch.manual_seed(5)
            drawn.append(generator.latent(3))
        first, again = drawn
        self.same(again, first, "latents from one global seed", of)
        there = generator.latent(3, device="cpu").device
        self.claim(there.type == "cpu", f"Latents asked for on the CPU are on {there}.", of)

    def test_a_sample_depends_on_its_own_latent_in_evaluation(self) -> None:
        generator = self.make().eval()
        latent = generator.latent(4)
        together = generator(latent)
        alone = torch.cat([generator(one) for one in latent.split(1)])
        error = roundings(torch.float32, 1 + float(together.detach().abs().max()))
        self.close(alone, together, error, "samples of latents one by one", Generator.forward)

    def test_samples_stay_when_the_parameters_move(self) -> None:
        """The discriminator keeps them while the optimizer steps."""
        generator = self.make()
        samples = generator(generator.latent(3)).detach()
        before = samples.clone()
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.add_(1)
        self.same(samples, before, "samples after a step in place", Generator.forward)

    def test_gradient_reaches_every_parameter(self) -> None:
        if not self.trained:
            pytest.skip("there is nothing to train")
        generator = self.make()
        generator(generator.latent(4)).square().sum().backward()
        without = [n for n, p in generator.named_parameters() if p.requires_grad and p.grad is None]
        self.claim(not without, f"No gradient reaches {', '.join(without)}.", Generator.forward)
        broken = [n for n, p in generator.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
        self.claim(not broken, f"The gradient is not finite at {', '.join(broken)}.", Generator.forward)

    def test_gradient_of_the_parameters_is_the_slope_of_the_samples(self) -> None:
        if not (self.plain_gradient and self.trained):
            pytest.skip("the gradient is scaled or mixed on purpose")
        generator = self.make().double().eval()
        latent = _double(generator.latent(3))
        with torch.no_grad():  # away from where it starts: biases of 0 can leave a ReLU exactly at its bend
            for parameter in generator.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        parameters = [p for p in generator.parameters() if p.requires_grad]
        upstream = unit(generator(latent).detach(), 1)
        value = (upstream * generator(latent)).sum()
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        directions = [unit(p.detach(), seed) for seed, p in enumerate(parameters)]
        found = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
        step, ends = step_of(torch.float64), []
        for sign in (1, -1):
            with torch.no_grad():
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.add_(direction, alpha=sign * step)
                ends.append((upstream * generator(latent)).sum())
                for parameter, direction in zip(parameters, directions, strict=True):
                    parameter.sub_(direction, alpha=sign * step)
        size = 1 + float(value.detach().abs()) + sum(float(g.norm()) for g in gradients if g is not None)
        what = "gradient of samples along a direction of the parameters"
        self.close(
            found, (ends[0] - ends[1]) / (2 * step), error_of_slope(torch.float64, size), what, Generator.forward
        )

    def test_population_is_every_sample_once(self) -> None:
        generator = self.make()
        latents = generator.population()
        if latents is None:
            pytest.skip("the generator has endlessly many samples")
        self.claim(latents.device.type == "cpu", f"population() is on {latents.device}.", Generator.population)
        distinct = len(latents.flatten(1).unique(dim=0)) if latents.ndim > 1 else len(latents.unique())
        self.claim(distinct == len(latents), "population() has a latent twice.", Generator.population)
        samples = generator(latents)
        wanted = (len(latents), *generator.out_shape)
        self.claim(samples.shape == wanted, f"Its samples have shape {tuple(samples.shape)}.", Generator.population)

    def test_state_dict_carries_the_samples(self) -> None:
        torch.manual_seed(1)
        first = self.make()
        with torch.no_grad():
            for parameter in first.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        torch.manual_seed(2)
        second = self.make()
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        latent = first.latent(3)
        found, wanted = second.eval()(latent), first.eval()(latent)
        self.same(found, wanted, "samples after the state was loaded into another", torch.nn.Module.state_dict)

    def test_copies_make_the_same_samples(self) -> None:
        generator = self.make().eval()
        latent = generator.latent(3)
        wanted = generator(latent).detach().clone()
        for way, other in self.copies(generator, Generator):
            self.same(other(latent), wanted, f"samples after {way}", Generator)
            with torch.no_grad():
                for parameter in other.parameters():
                    parameter.add_(1)
            self.same(generator(latent), wanted, f"samples of the original, once {way} has moved", Generator)


def _scaled(latent: Tensor, factor: float) -> Tensor:
    return factor * latent if latent.is_floating_point() else latent


def _double(latent: Tensor) -> Tensor:
    return latent.double() if latent.is_floating_point() else latent
