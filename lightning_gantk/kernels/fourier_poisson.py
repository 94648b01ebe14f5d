"""The kernel of Poisson's equation in a periodic box."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.checks import whole
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels.base import check_positive
from lightning_gantk.kernels.features import FeatureKernel

_MOST = 65536  # features


class FourierPoisson(FeatureKernel):
    """``sum_j cos(w j.(x - y)) / (w^2 |j|^2)`` over whole vectors j other than 0, ``w = 2 pi / period``.

    With IPM it is the critic of WGAN with a gradient penalty in closed form, as a Fourier series (WGAN-FS, Asokan and
    Seelamantula, Euler-Lagrange analysis of GANs, JMLR 2023): ``-Laplace f = const (p_fake - p_real)`` in a box that
    repeats itself. Samples should lie within one period. Of j and -j one is taken.

    Args:
        period: Side of the box, positive.
        terms: Coordinates of j run from ``-terms`` to ``terms``: there are ``(2 terms + 1)^d - 1`` features.

    Raises:
        ConfigError: If an argument is out of range, or samples have so many dimensions that there are more than 65,536
            features.

    Examples:
        >>> import jax.numpy as jnp
        >>> from lightning_gantk.kernels import FourierPoisson
        >>> kernel = FourierPoisson(period=8.0, terms=4)
        >>> here, there = jnp.array([[0.0]]), jnp.array([[8.0]])  # one period on
        >>> bool(abs(kernel(here, here) - kernel(here, there)) < 1e-5)
        True
    """

    def __init__(self, period: float = 8.0, terms: int = 8):
        check_positive(self, period=period)
        whole("terms", terms, of="of FourierPoisson")
        self.period, self.terms = period, terms

    def check(self, in_shape: tuple[int, ...]) -> None:
        dimensions = math.prod(in_shape)
        if dimensions * math.log(2 * self.terms + 1) > math.log(_MOST):
            raise ConfigError(
                f"FourierPoisson(terms={self.terms}) has {2 * self.terms + 1}^{dimensions} terms on samples of shape "
                f"{in_shape}, more than {_MOST}: it is a kernel for a few dimensions; lower 'terms', or take "
                "Polyharmonic."
            )

    def features(self, x: jax.Array) -> jax.Array:
        """Cosines and sines ``(N, (2 terms + 1)^d - 1)`` of samples ``(N, d)``."""
        lattice = self._lattice(math.prod(x.shape[1:]))
        frequency = 2 * math.pi / self.period
        size = jnp.asarray(1 / (frequency * np.linalg.norm(lattice, axis=1)), x.dtype)
        phase = frequency * jnp.matmul(x.reshape(len(x), -1), jnp.asarray(lattice.T, x.dtype), precision="highest")
        return jnp.concatenate([size * jnp.cos(phase), size * jnp.sin(phase)], 1)

    def _lattice(self, dimensions: int) -> np.ndarray:
        """The vectors j of which the first coordinate that is not 0 is positive, ``(P / 2, d)``."""
        self.check((dimensions,))
        every = itertools.product(range(-self.terms, self.terms + 1), repeat=dimensions)
        return np.array([j for j in every if j > (0,) * dimensions], float)

    def __repr__(self) -> str:
        return f"FourierPoisson(period={self.period}, terms={self.terms})"
