"""Duals of smooth activations against integrals, pairs far and near."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from lightning_gantk.kernels.recursions.duals import Erf, Gelu, Sin

_AT, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def _density(u):
    return np.exp(-u * u / 2) / np.sqrt(2 * np.pi)


_DUALS = {  # with phi and phi'
    "erf": (
        Erf(0.7, 0.5, 0.4),
        lambda u: 0.7 * special.erf(0.5 * u) + 0.4,
        lambda u: 0.7 / np.sqrt(np.pi) * np.exp(-((0.5 * u) ** 2)),
    ),
    "gelu": (Gelu(), lambda u: u * special.ndtr(u), lambda u: special.ndtr(u) + u * _density(u)),
    "sin": (Sin(0.8, 1.2, 0.3), lambda u: 0.8 * np.sin(1.2 * u + 0.3), lambda u: 0.96 * np.cos(1.2 * u + 0.3)),
}


@pytest.mark.parametrize("stretch", [0.0, 1.0, -1.0])
@pytest.mark.parametrize("distance", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("name", _DUALS)
def test_pair_is_an_integral(name, distance, stretch):
    """u_x is u_p made longer by ``gap`` and turned by an angle: their difference is integrated, and nothing cancels."""
    dual, phi, slope = _DUALS[name]
    sigma, angle = 0.9, 0.8 * distance
    gap = 0.6 * stretch * distance * sigma
    longer, half = sigma + gap, 2 * np.sin(angle / 2) ** 2
    u = np.broadcast_to(sigma * _AT[:, None], (80, 80))
    move = (gap * np.cos(angle) - sigma * half) * _AT[:, None] + longer * np.sin(angle) * _AT
    weights = _WEIGHTS[:, None] * _WEIGHTS
    change = move * slope(u + move / 2) if distance < 1e-3 else phi(u + move) - phi(u)
    with jax.enable_x64(True):
        x, p = (dual.side(jnp.asarray(each * each)) for each in (longer, sigma))
        v, gap = jnp.asarray(gap**2 + 2 * sigma * longer * half), jnp.asarray(gap)
        pair = dual.pair(v, gap, x, p)
        by_longer = 2 * longer * (pair.slope * (gap + sigma * half) + longer * pair.by_variance(gap, x, p)[0])
    # Rounding over a squared distance of 1e-4; at 1e-5 the square of it, by which both sides lack higher orders.
    error = 1e-9
    assert float(pair.distance) == pytest.approx((weights * change**2).sum(), rel=error)
    assert float(pair.slope) == pytest.approx((weights * slope(u + move) * slope(u)).sum(), rel=error)
    wanted = (weights * 2 * slope(u + move) * (u + move) * change).sum()  # of v' by the logarithm of sigma_x
    assert float(by_longer) == pytest.approx(wanted, rel=error)


@pytest.mark.parametrize(("dtype", "error"), [("float64", 1e-11), ("float32", 2e-5)])
@pytest.mark.parametrize("part", [1e-6, 6e-4, 8e-4, 1e-2, 3.9e-2, 4.1e-2])
@pytest.mark.parametrize("dual", [Erf(1.0, 3.0, 0.0), Gelu()], ids=["erf", "gelu"])
def test_difference_of_variances_keeps_its_digits(dual, part, dtype, error):
    """It is the integral of the slope, here by 8 places: some rounding over the part where it becomes a difference."""
    at, weights = np.polynomial.legendre.leggauss(8)
    with jax.enable_x64(True):
        wanted = part * weights @ [float(dual.side(jnp.asarray(1 + part * place))[2]) for place in at]
    with jax.enable_x64(dtype == "float64"):
        x, p = (dual.side(jnp.asarray(1 + sign * part, dtype)) for sign in (1, -1))
        found = float(dual.difference(jnp.asarray(2 * part, dtype), x, p))
    assert found == pytest.approx(wanted, rel=error)
