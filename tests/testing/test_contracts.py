"""A contract fails for a part that breaks it, and says what was wrong and where that stands."""

import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import distributed as dist

from lightning_gantk.discriminators import FiniteDiscriminator
from lightning_gantk.discriminators.base import Discriminator
from lightning_gantk.errors import ConfigError
from lightning_gantk.generators import Particles
from lightning_gantk.kernels import Kernel
from lightning_gantk.losses import IPM, LSGAN
from lightning_gantk.metrics import EnergyDistance
from lightning_gantk.processes import average, gathered, own_part, processes, rank, take_from_first
from lightning_gantk.testing import (
    DiscriminatorContract,
    GeneratorContract,
    KernelContract,
    LossContract,
    MetricContract,
)
from lightning_gantk.testing.several import in_processes


def contract_of(kind, part):
    return type("Broken", (kind,), {"make": lambda self: part()})()


class TwoFaced(IPM):
    """Another function in JAX than in torch."""

    def b(self, scores):
        return scores if isinstance(scores, torch.Tensor) else 2 * scores


class Detached(IPM):
    """A slope that is lost."""

    def c(self, scores):
        return scores.detach() + 0 * scores


class Mistaken(LSGAN):
    slopes = "constant"


class Together(IPM):
    """Both scores go the same way."""

    def b(self, scores):
        return -scores


@pytest.mark.parametrize(
    ("loss", "test", "arguments", "message"),
    [
        (TwoFaced, "test_torch_and_jax_agree", ("float32",), r"b in JAX against torch(.|\n)*AdversarialLoss\.b"),
        (Detached, "test_slopes_are_those_of_the_functions", (), r"c'\(-30\) is 0 by autograd, and between 1 and 1"),
        (Mistaken, "test_declared_slopes_are_what_they_are", (), "slopes='constant', but a' takes"),
        (Together, "test_the_objective_tells_fakes_from_reals", (), "move fakes and reals the same way"),
    ],
)
def test_broken_losses_are_found(loss, test, arguments, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(LossContract, loss), test)(*arguments)


def squared_distances(x, y):
    return ((x[:, None] - y[None]) ** 2).sum(-1)


class Lopsided(Kernel):
    def __call__(self, x, y):
        return jnp.exp(-squared_distances(x, y)) + x[:, :1] - y[:, :1].T


class Careless(Kernel):
    """The distance by a root whose derivative at 0 is NaN."""

    def __call__(self, x, y):
        return jnp.exp(-jnp.sqrt(squared_distances(x, y)))


@pytest.mark.parametrize(
    ("kernel", "test", "arguments", "message"),
    [
        (Lopsided, "test_gram_matrix_is_symmetric_and_positive", ((3,),), r"k\(x, y\) against k\(y, x\)"),
        (Careless, "test_near_and_coincident_samples_keep_their_gradient", ((3,), 0.0), "gradients .* not finite"),
    ],
)
def test_broken_kernels_are_found(kernel, test, arguments, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(KernelContract, kernel), test)(*arguments)


class Linear(Discriminator):
    """Breaks what its options say."""

    def __init__(self, trained=False, mean=False, apart=False):
        super().__init__(loss=IPM(), time=1.0)
        self.slope = torch.nn.Parameter(torch.zeros(3), requires_grad=trained)
        self.mean, self.apart = mean, apart

    def fit(self, real, fake):
        self.slope.data = fake.mean(0) - real.mean(0) + (rank() if self.apart else 0)

    def forward(self, x):
        return (x - x.mean(0) if self.mean else x) @ self.slope


@pytest.mark.parametrize(
    ("options", "test", "message"),
    [
        ({"trained": True}, "test_gradient_reaches_the_samples_and_nothing_else", "leaves gradients on slope"),
        ({"mean": True}, "test_score_of_a_sample_is_its_own", "together and one by one"),
        ({"apart": True}, "test_two_processes_learn_what_one_does", "scores in two processes"),
        ({}, "test_bad_batches_are_refused_in_one_clear_line", "at least one sample"),
    ],
)
def test_broken_discriminators_are_found(options, test, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(DiscriminatorContract, lambda: Linear(**options)), test)((3,))


class Views(Particles):
    def forward(self, latent):
        return self.samples[: len(latent)]


def test_samples_that_move_with_the_parameters_are_found():
    with pytest.raises(AssertionError, match="samples after a step in place"):
        contract_of(GeneratorContract, Views).test_samples_stay_when_the_parameters_move()


class Forgetful(EnergyDistance):
    def reset(self, *, real=False):
        super().reset(real=True)


class Alone(EnergyDistance):
    def compute(self):
        return self.measure(*(torch.cat(self._kept[real]) for real in (True, False)))


@pytest.mark.parametrize(
    ("metric", "test", "message"),
    [
        (Forgetful, "test_real_samples_are_kept_and_generated_ones_forgotten", r"reset\(\) forgets real samples"),
        (Alone, "test_two_processes_measure_what_one_does", "values in process 0 of 2: energy_distance"),
    ],
)
def test_broken_metrics_are_found(metric, test, message):
    with pytest.raises(AssertionError, match=message):
        getattr(contract_of(MetricContract, metric), test)((2,))


def ramble():
    raise ConfigError("This goes on\nand on.")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (ramble, "one line, got 'This goes on"),
        (IPM, "Bad input passed: it must raise ConfigError with 'loss'"),
        (lambda: FiniteDiscriminator(None, IPM()), "does not say 'loss'"),
        (lambda: 1 / 0, "got ZeroDivisionError: division by zero"),
    ],
)
def test_refusals_are_one_line_of_the_right_kind(call, message):
    contract = contract_of(LossContract, IPM)
    type(contract).refused = ((call, "loss"),)
    with pytest.raises(AssertionError, match=message):
        contract.test_bad_input_is_refused_in_one_clear_line()


def test_truth_values_are_compared_like_numbers():
    contract = contract_of(LossContract, IPM)
    contract.same(torch.tensor([True, False]), np.array([True, False]), "flags", "here")
    with pytest.raises(AssertionError, match=r"flags: 1 in the place of 0 at \(1,\)"):
        contract.same(torch.tensor([True, True]), torch.tensor([True, False]), "flags", "here")


def test_processes_that_take_turns_say_what_real_ones_would():
    def work(number):
        everything = torch.arange(12.0).view(6, 2)
        assert (rank(), processes()) == (number, 2)
        assert torch.equal(gathered(own_part(everything)), everything)
        assert torch.equal(gathered(everything[: 1 + number]), everything[[0, 0, 1]])  # of different lengths
        average([mean := torch.tensor([2.0 * number])])
        take_from_first([first := torch.tensor(number)])
        dist.barrier()
        return float(mean), int(first), float(torch.rand(()))

    torch.manual_seed(0)
    one, other = in_processes(work)
    assert one[:2] == other[:2] == (1.0, 0)
    assert one[2] == other[2]  # each has the random numbers of a process that was seeded alike
    assert processes() == 1


def test_messages_that_nobody_answers_are_errors():
    with pytest.raises(RuntimeError, match="waits in barrier for process 1, which has ended without it"):
        in_processes(lambda number: dist.barrier() if number == 0 else None)
    with pytest.raises(RuntimeError, match="different messages at the same time: all_reduce, barrier"):
        in_processes(lambda number: dist.barrier() if number == 0 else dist.all_reduce(torch.zeros(1)))


def test_contracts_of_torch_parts_need_no_jax_and_the_package_no_pytest():
    code = """
import sys
import lightning_gantk.losses, lightning_gantk.generators
assert "pytest" not in sys.modules
from lightning_gantk.testing import DiscriminatorContract, GeneratorContract, LossContract, MetricContract
assert "jax" not in sys.modules
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_without_pytest_the_message_names_the_extra():
    code = "import sys; sys.modules['pytest'] = None; import lightning_gantk.testing"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr.splitlines()[-1]
    assert "pip install 'lightning-gantk[testing]'" in said
