"""The losses: one definition for torch and JAX, with the slopes of the theory."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import IPM, KALE, LSGAN, Hinge, Saddle, Vanilla

SCORES = [-30.0, -1.5, -0.3, 0.0, 0.7, 2.0, 30.0]


def _sigmoid(s):
    return 1 / (1 + np.exp(-s))


FORMULAS = {  # (a, b, c) of the design's table, in plain numpy
    IPM(): (lambda s: s, lambda s: s, lambda s: s),
    LSGAN(): (lambda s: -((s + 1) ** 2), lambda s: (s - 1) ** 2, lambda s: s**2),
    Vanilla(): (lambda s: np.log(_sigmoid(-s)), lambda s: -np.log(_sigmoid(s)), lambda s: -np.log(_sigmoid(s))),
    Vanilla(saturating=True): (
        lambda s: np.log(_sigmoid(-s)),
        lambda s: -np.log(_sigmoid(s)),
        lambda s: np.log(_sigmoid(-s)),
    ),
    LSGAN(real=2, fake=0.5, generator=1): (
        lambda s: -((s - 0.5) ** 2),
        lambda s: (s - 2) ** 2,
        lambda s: (s - 1) ** 2,
    ),
    Saddle(Vanilla()): (
        lambda s: np.log(_sigmoid(-s)),
        lambda s: -np.log(_sigmoid(s)),
        lambda s: np.log(_sigmoid(-s)),
    ),
    KALE(): (lambda s: s, np.expm1, lambda s: s),
    Hinge(): (lambda s: -np.maximum(0, 1 + s), lambda s: np.maximum(0, 1 - s), lambda s: -s),
}


@pytest.mark.parametrize("loss", FORMULAS, ids=repr)
def test_torch_and_jax_give_the_formula(loss):
    for function, formula in zip((loss.a, loss.b, loss.c), FORMULAS[loss], strict=True):
        expected = formula(np.array(SCORES))
        # A few roundings in float32: of the result, and of exp and log at the largest score.
        np.testing.assert_allclose(function(torch.tensor(SCORES)).numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.asarray(function(jnp.array(SCORES))), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", [FiniteDiscriminator, NTKDiscriminator])
@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()], ids=repr)
def test_only_ipm_scores_fakes_high(loss, make):
    torch.manual_seed(0)
    real, fake = torch.randn(16, 2) + 2, torch.randn(16, 2) - 2
    discriminator = make(MLP(hidden_layers=1), loss, time=0.1)
    discriminator.fit(real, fake)
    fakes_are_high = bool(discriminator(fake).mean() > discriminator(real).mean())
    assert fakes_are_high == isinstance(loss, IPM)
