"""Your own loss, kernel, architecture and discriminator.

Three short functions are a loss, one method is a kernel, a list of layers is an architecture, two methods are a
discriminator; all are proved by the contracts that the package's own parts keep. Run it:
`python docs/tutorials/own_parts.py`; as tests, `pytest docs/tutorials/own_parts.py`.
"""

import jax.numpy as jnp
import torch

from lightning_gantk.architectures import Architecture
from lightning_gantk.architectures.activations import Activation
from lightning_gantk.architectures.layers import Dense, Flatten, Pointwise
from lightning_gantk.discriminators import Discriminator, NTKDiscriminator
from lightning_gantk.discriminators.base import check_batch
from lightning_gantk.kernels import Kernel
from lightning_gantk.losses import IPM, AdversarialLoss
from lightning_gantk.testing import ArchitectureContract, DiscriminatorContract, KernelContract, LossContract


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


# The architecture: a list of layers, from which the finite network and the kernel are both made. `MLP` has one
# activation throughout; here the second is another. `Dense(W_std, b_std)` is as wide as the network is asked to be, and
# the last one has a single output and no bias.
class ReluThenSine(Architecture):
    """Dense, ReLU, Dense, sine, Dense."""

    def __init__(self, W_std=1.5):
        self.W_std = W_std

    def layers(self):
        hidden, last = Dense(self.W_std, 0.5), Dense(self.W_std, None, 1)
        return Flatten(), hidden, Pointwise(Activation("relu")), hidden, Pointwise(Activation("sin")), last


# The discriminator: `fit` to reals and fakes, then scores that torch can differentiate. This one is a linear function
# between the means, and keeps half of what it was from fit to fit.
class MeanWitness(Discriminator):
    """f(x) = slope . x."""

    def __init__(self):
        super().__init__(loss=IPM(), time=1.0)
        self.register_buffer("slope", torch.zeros(0))

    def build(self, in_shape):
        if self.slope.shape != tuple(in_shape):
            self.slope = torch.zeros(in_shape)

    def fit(self, real, fake):
        check_batch(real, fake)
        self.build(real.shape[1:])
        self.slope = 0.5 * self.slope + self.time * (fake.mean(0) - real.mean(0))

    def forward(self, x):
        return (x * self.slope.to(x)).flatten(1).sum(1)


# The proof: small classes bring dozens of tests. That of an architecture compares the NTK of finite networks, as they
# grow wide, with the kernel.
class TestQuartic(LossContract):
    def make(self):
        return Quartic()


class TestCauchy(KernelContract):
    shapes = ((3,),)

    def make(self):
        return Cauchy()


class TestReluThenSine(ArchitectureContract):
    shapes = ((3,),)

    def make(self):
        return ReluThenSine()


class TestMeanWitness(DiscriminatorContract):
    shapes = ((3,), (2, 4, 4))

    def make(self):
        return MeanWitness()


# All at work: each takes the place of the package's own.
if __name__ == "__main__":
    torch.manual_seed(0)
    real, fake = torch.randn(64, 2) + 1, torch.randn(64, 2)
    for discriminator in (
        NTKDiscriminator(Cauchy(), Quartic(), time=1.0),
        NTKDiscriminator(ReluThenSine(), Quartic(), time=1.0),
        MeanWitness(),
    ):
        discriminator.fit(real, fake)
        print(f"mean score of reals {discriminator(real).mean():.3f}, of fakes {discriminator(fake).mean():.3f}")
