"""Several processes find the dual weights together, each with its share of the Gram matrix.

See ``shares`` for what is divided, ``leader`` for who decides.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lightning_gantk.kernels.base import Kernel
from lightning_gantk.kernels.dynamics import accuracy
from lightning_gantk.kernels.dynamics.gradient_flow import GradientFlow, Solved, keeps_gram
from lightning_gantk.kernels.dynamics.leader import Leader, follow
from lightning_gantk.kernels.dynamics.loops import Stepwise
from lightning_gantk.kernels.dynamics.messages import Messages
from lightning_gantk.kernels.dynamics.part import Functions, Part
from lightning_gantk.kernels.dynamics.shares import Share


class Together:
    """The common work for one kernel and one flow.

    Args:
        kernel: The kernel.
        flow: Loss, time and tolerance.
        solve_stiff: ``(K, mass, f_0, fakes) -> Solved``, with all of K, for a stiff flow with smooth slopes; f_0 as the
            values at the fakes and those at the reals.
    """

    def __init__(self, kernel: Kernel, flow: GradientFlow, solve_stiff: Callable[..., Solved]):
        self._flow, self._solve_stiff = flow, solve_stiff
        self._functions, self._loops = Functions(kernel), Stepwise()

    def part(self, points: jax.Array, messages: Messages) -> Part:
        """This process's part for points ``(P, ...)``, P a multiple of the processes."""
        share = Share(messages.which, messages.processes, len(points))
        device = None if self._flow.on_host else next(iter(points.devices()))
        lacks = jnp.where(keeps_gram(share.entries, points.dtype.itemsize, device), 0, jnp.ones_like(points, shape=1))
        return Part(self._functions, share, points, kept=not messages.total(lacks).any())  # if there is room in all

    def solve(self, part: Part, messages: Messages, mass: jax.Array, f_0: jax.Array, fakes: int) -> Solved:
        """The dual weights, the same in all processes, each of which calls it.

        Args:
            part: This process's part.
            messages: To the others.
            mass: ``(P,)``.
            f_0: ``(P,)``, the function before training.
            fakes: How many of the points are fakes or their filling.

        Returns:
            The same as from ``GradientFlow``, weights in the dtype of the masses.

        Raises:
            TrainingDiverged: In a process that could not do its part. For the others the solve has not converged.
        """
        with part.precision():
            if messages.which:
                found = follow(part, messages)
            else:
                wide = mass.astype(part.dtype), f_0.astype(part.dtype)
                found = Leader(part, messages).solve(lambda leader: self._lead(leader, part, *wide, fakes))
            part.check()
            weights = jnp.where(found.converged, found.weights, jnp.nan)  # nobody must take those of no end
            return found._replace(weights=weights.astype(mass.dtype))

    def _lead(self, leader: Leader, part: Part, mass: jax.Array, f_0: jax.Array, fakes: int) -> Solved:
        flow = self._flow
        if part.kept and flow.on_host:
            found = flow.weights_on_host(leader, np.asarray(mass), fakes, np.asarray(f_0))
            weights = jax.device_put(found.weights, next(iter(part.points.devices())))
            return Solved(weights, *map(jnp.asarray, (found.reached, found.drift, found.events)))
        whole = keeps_gram(len(mass) ** 2, part.points.dtype.itemsize)

        def stiff() -> Solved:
            return self._solve_stiff(leader.whole(), mass, (f_0[:fakes], f_0[fakes:]), fakes)

        has_other = part.kept and whole and flow.loss.slopes == "smooth"  # an implicit solver needs all of K
        is_fake = jnp.arange(len(mass)) < fakes
        return flow.weights_by_products(leader.product, mass, is_fake, f_0, self._loops, stiff if has_other else None)

    def sensitivity(
        self,
        part: Part,
        messages: Messages,
        weights: jax.Array,
        mass: jax.Array,
        f_0: jax.Array,
        fakes: int,
    ) -> float:
        """How far the rounding of K may have moved the scores, see ``accuracy.Accuracy``.

        Args:
            part: This process's part, of numbers that are kept.
            messages: To the others.
            weights: What ``solve`` found.
            mass: As for ``solve``.
            f_0: As for ``solve``.
            fakes: As for ``solve``.
        """
        with part.precision():
            diagonal = messages.total(part.diagonal())
            rounding = float(jnp.finfo(jnp.float64).eps)
            if part.points.dtype == jnp.float32:
                square, count = np.asarray(messages.total(part.rounding(diagonal)))
                rounding = float(np.sqrt(square / count))
            noise = rounding, *self._flow.own_disturbance(part.points.dtype.name, len(mass))
            other = part.disturbed(diagonal, accuracy.equals(part.points), *noise)
        found = self.solve(other, messages, mass, f_0, fakes)
        with part.precision():
            first, second = weights.astype(part.dtype), found.weights.astype(part.dtype)
            image = messages.total(part.product(first - second))
            sizes = messages.total(part.sizes(first))
            return float(accuracy.distance_of(first - second, image, diagonal, sizes))
