"""The losses: one definition for torch and JAX, with the slopes of the theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla

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
    Hinge(): (lambda s: -np.maximum(0, 1 + s), lambda s: np.maximum(0, 1 - s), lambda s: -s),
}


@pytest.mark.parametrize("loss", FORMULAS, ids=repr)
def test_torch_and_jax_give_the_formula(loss):
    for function, formula in zip((loss.a, loss.b, loss.c), FORMULAS[loss], strict=True):
        expected = formula(np.array(SCORES))
        # A few roundings in float32: of the result, and of exp and log at the largest score.
        np.testing.assert_allclose(function(torch.tensor(SCORES)).numpy(), expected, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(np.asarray(function(jnp.array(SCORES))), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", FORMULAS, ids=repr)
def test_derivatives_agree_and_stay_finite(loss):
    extreme = [-1e4, *SCORES, 1e4]
    for function in (loss.a, loss.b, loss.c):
        scores = torch.tensor(extreme, requires_grad=True)
        function(scores).sum().backward()
        slopes = np.asarray(jax.grad(lambda s, f=function: f(s).sum())(jnp.array(extreme)))
        assert np.isfinite(slopes).all()
        np.testing.assert_allclose(scores.grad.numpy(), slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("loss", FORMULAS, ids=repr)
def test_declared_slopes_are_what_they_are(loss):
    scores = jnp.array(SCORES)
    second = [jax.vmap(jax.grad(jax.grad(f)))(scores) for f in (loss.a, lambda s: -loss.b(s))]
    third = [jax.vmap(jax.grad(jax.grad(jax.grad(f))))(scores) for f in (loss.a, lambda s: -loss.b(s))]
    if loss.slopes == "constant":
        assert all((s == 0).all() for s in second)
    if loss.slopes == "affine":
        assert all((s < 0).all() for s in second)
        assert all((s == 0).all() for s in third)


@pytest.mark.parametrize("make", [FiniteDiscriminator, NTKDiscriminator])
@pytest.mark.parametrize("loss", [IPM(), LSGAN(), Vanilla(), Hinge()], ids=repr)
def test_only_ipm_scores_fakes_high(loss, make):
    torch.manual_seed(0)
    real, fake = torch.randn(16, 2) + 2, torch.randn(16, 2) - 2
    discriminator = make(MLP(hidden_layers=1), loss, time=0.1)
    discriminator.fit(real, fake)
    fakes_are_high = bool(discriminator(fake).mean() > discriminator(real).mean())
    assert fakes_are_high == isinstance(loss, IPM)


def test_discriminator_and_generator_values():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.5, 2.0])
    loss = LSGAN()
    assert loss.discriminator(real, fake) == loss.a(fake).mean() - loss.b(real).mean()
    assert loss.generator(fake) == (fake**2).mean()


class _Quartic(AdversarialLoss):
    """A user's own loss, in three short functions."""

    def a(self, scores):
        return -((scores + 1) ** 4)

    def b(self, scores):
        return (scores - 1) ** 4

    def c(self, scores):
        return -scores


@pytest.mark.parametrize("make", [FiniteDiscriminator, NTKDiscriminator])
def test_a_loss_of_ones_own_works_in_both_regimes(make):
    torch.manual_seed(0)
    real, fake = torch.randn(8, 2) + 1, torch.randn(6, 2)
    discriminator = make(MLP(hidden_layers=1), _Quartic(), time=0.01)
    discriminator.fit(real, fake)
    with torch.no_grad():
        assert discriminator.loss.discriminator(discriminator(real), discriminator(fake)) > -2  # L at f = 0
