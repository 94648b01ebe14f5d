"""A loss and a kernel of your own.

Three short functions are a loss, one method is a kernel, and both are proved by the contracts that the package's own
parts keep. Run it: `python docs/tutorials/own_parts.py`; as tests, `pytest docs/tutorials/own_parts.py`.
"""

import jax.numpy as jnp
import torch

from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels import Kernel
from lightning_gantk.losses import AdversarialLoss
from lightning_gantk.testing import KernelContract, LossContract


# The loss: what the discriminator maximises on fakes (a), minimises on reals (b), and what the generator minimises
# (c). Operators alone: the same code runs on torch tensors and on JAX arrays.
class Quartic(AdversarialLoss):
    """Fourth powers of the distance to -1 on fakes and +1 on reals."""

    slopes = "smooth"

    def a(self, scores):
        return -((1 + scores) ** 4)

    def b(self, scores):
        return (1 - scores) ** 4

    def c(self, scores):
        return -scores


# The kernel: a Gram matrix, differentiable by JAX. `x` is (N, d), `y` is (M, d).
class Cauchy(Kernel):
    """1 / (1 + |x - y|^2)."""

    def __call__(self, x, y):
        x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
        return 1 / (1 + jnp.sum((x[:, None] - y[None]) ** 2, -1))


# The proof: two small classes bring dozens of tests.
class TestQuartic(LossContract):
    def make(self):
        return Quartic()


class TestCauchy(KernelContract):
    shapes = ((3,),)

    def make(self):
        return Cauchy()


# Both at work: the discriminator takes them as they are.
if __name__ == "__main__":
    torch.manual_seed(0)
    discriminator = NTKDiscriminator(Cauchy(), Quartic(), time=1.0)
    real, fake = torch.randn(64, 2) + 1, torch.randn(64, 2)
    discriminator.fit(real, fake)
    print(f"mean score of reals {discriminator(real).mean():.3f}, of fakes {discriminator(fake).mean():.3f}")
