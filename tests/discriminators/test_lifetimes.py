"""What a discriminator holds goes with it, by reference counting alone: a GPU would be full before Python's garbage
collector, which counts objects and no bytes, comes round.
"""

import copy
import gc
import weakref

import jax
import pytest
import torch

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.kernels import RBF
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla
from lightning_gantk.testing.several import in_processes

_OTHERS = [pytest.param(loss, marks=pytest.mark.slow) for loss in (Vanilla(), Hinge())]
REAL, FAKE = torch.randn(17, 2, generator=torch.Generator().manual_seed(0)).split([9, 8])


@pytest.fixture(autouse=True)
def _no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _matrices():
    """Numbers of pairs that are alive; samples have two coordinates."""
    return sum(array.size for array in jax.live_arrays() if array.ndim == 2 and array.shape[1] > 2)


def _step(discriminator, real=REAL):
    fake = FAKE.clone().requires_grad_()
    discriminator.fit(real, fake.detach())
    discriminator(fake).sum().backward()


@pytest.mark.parametrize("loss", [IPM(), LSGAN(), *_OTHERS], ids=repr)
def test_the_fit_before_and_a_discriminator_that_is_dropped_leave_nothing(loss):
    discriminator, before = NTKDiscriminator(RBF(1.0), loss, 3.0, check_every=0), _matrices()
    _step(discriminator)
    first = weakref.ref(discriminator._trained.points)
    _step(discriminator)
    assert first() is None
    discriminator.gram(FAKE[:2])
    parts = discriminator, discriminator._compiled, discriminator._trained.points, discriminator._fitted
    left = [weakref.ref(each) for each in parts]
    del discriminator, parts
    assert [each() for each in left] == [None] * 4
    assert _matrices() == before


@pytest.mark.parametrize("loss", [LSGAN(), *_OTHERS], ids=repr)
def test_shares_of_the_matrix_go_with_the_solve(loss):
    pattern, before = NTKDiscriminator(RBF(1.0), loss, 3.0, check_every=0), _matrices()

    def work(rank):
        discriminator = copy.deepcopy(pattern)
        _step(discriminator)
        with pytest.raises(TrainingDiverged):
            _step(discriminator, REAL * torch.nan)
        return discriminator

    results = in_processes(work)
    assert _matrices() == before
    left = [weakref.ref(discriminator._compiled) for discriminator in results]
    del results
    assert [each() for each in left] == [None] * 2
