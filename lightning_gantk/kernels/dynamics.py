"""How the infinitely wide discriminator trains: the dual weights w of f_t(x) = f_0(x) + sum_p k(x, p) w_p.

Gradient flow on L in the infinite-width limit (Franceschi et al., ICML 2022, Section 4) reads, on the training points,

    w_p' = mass_p slope_p(f_p),  f = f_0 + K w,  w(0) = 0

with slope a' and mass 1/n on the n fakes, slope -b' and mass 1/m on the m reals. Points that only fill up a ragged
batch have mass 0 and change nothing.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.krylov import phi_product
from lightning_gantk.kernels.products import gram
from lightning_gantk.losses import AdversarialLoss


@dataclass(frozen=True)
class Dynamics:
    """Gradient flow of a loss for a time.

    Attributes:
        loss: The loss.
        time: The discriminator's training time t.
        rtol: Relative tolerance of the solution; ``default_rtol`` has one for each dtype.
        max_steps: Steps after which the ODE solver gives up.
    """

    loss: AdversarialLoss
    time: float
    rtol: float
    max_steps: int = 100_000

    def weights(
        self, kernel: Kernel, points: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """The dual weights at time t.

        Args:
            kernel: The kernel.
            points: Training points ``(P, ...)``.
            mass: ``(P,)``: 1/n on fakes, 1/m on reals, 0 on filling.
            fake: ``(P,)`` booleans, true on fakes.
            f_0: ``(P,)``, the discriminator before training at the points.

        Returns:
            ``(P,)`` weights, and whether the solver reached its tolerance.
        """
        if self.time == 0:
            return jnp.zeros_like(mass), jnp.array(True)
        if self.loss.slopes == "constant":
            return self.time * mass * self.slopes(f_0, fake), jnp.array(True)
        matrix = gram(kernel, points)
        if self.loss.slopes == "affine":
            return self._affine(matrix, mass, fake, f_0), jnp.array(True)
        return self._ode(matrix, mass, fake, f_0)

    def slopes(self, f: jax.Array, fake: jax.Array) -> jax.Array:
        """a'(f) on fakes and -b'(f) on reals, ``(P,)``."""
        rise, fall = (jax.grad(lambda s, g=g: jnp.sum(g(s)))(f) for g in (self.loss.a, self.loss.b))
        return jnp.where(fake, rise, -fall)

    def _affine(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> jax.Array:
        """slope(f) = slope(0) - c f, c > 0: with D = diag(mass c) and w = sqrt(D) v, v' = b - sqrt(D) K sqrt(D) v."""
        zero = jnp.zeros_like(f_0)
        curvature = self.slopes(zero, fake) - self.slopes(zero + 1, fake)
        root = jnp.sqrt(mass * curvature)
        b = jnp.sqrt(mass / curvature) * self.slopes(f_0, fake)
        product = phi_product(lambda v: root * matvec(matrix, root * v), b, self.time, self.rtol)
        return root * product

    def _ode(self, matrix: jax.Array, mass: jax.Array, fake: jax.Array, f_0: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Any slopes: an adaptive Runge-Kutta solve for u = w / mass, whose entries are all of the order of t."""
        import diffrax  # takes a second to import, and only these losses need it

        def field(t: jax.Array, u: jax.Array, args: None) -> jax.Array:
            return jnp.where(mass > 0, self.slopes(f_0 + matvec(matrix, mass * u), fake), 0)

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Tsit5(),
            t0=0.0,
            t1=self.time,
            dt0=None,
            y0=jnp.zeros_like(mass),
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.rtol * min(1.0, self.time)),
            max_steps=self.max_steps,
            throw=False,
        )
        return mass * solution.ys[0], solution.result == diffrax.RESULTS.successful


def matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    """A product with the Gram matrix, in full precision on every device."""
    return jnp.matmul(matrix, vector, precision="highest")


def default_rtol(dtype: str) -> float:
    """A tolerance some ten times above what rounding leaves of a solve in the dtype."""
    return {"float32": 1e-5, "float64": 1e-9}[dtype]
