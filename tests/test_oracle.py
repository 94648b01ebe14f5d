"""The infinite discriminator against neural-tangents called directly: full Gram matrices, float64, its own solvers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from lightning_gantk.architectures import DCGAN, MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.kernels.neural_tangents import load
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla

nt = load()
stax = nt.stax
RELATIVE = {"float64": 1e-5, "float32": 1e-3}  # asked of the project; float64 is limited by the oracle's own ODE solver


def _mlp(hidden_layers, b_std):
    hidden = [layer for _ in range(hidden_layers - 1) for layer in (stax.Relu(), stax.Dense(1, 1.0, b_std))]
    return stax.serial(stax.Flatten(), stax.Dense(1, 1.0, b_std), *hidden, stax.Relu(), stax.Dense(1, 1.0))[2]


def _dcgan(blocks, b_std):
    halves = [layer for _ in range(blocks) for layer in (stax.Relu(), stax.Conv(1, (4, 4), (2, 2), "SAME", 1.0, b_std))]
    first = stax.Conv(1, (3, 3), (1, 1), "SAME", 1.0)
    return stax.serial(first, *halves, stax.Relu(), stax.Flatten(), stax.Dense(1, 1.0))[2]


CASES = {
    "mlp-vectors": (MLP(hidden_layers=3, b_std=1.0), lambda: _mlp(3, 1.0), (5,)),
    "mlp-images": (MLP(hidden_layers=2, b_std=0.5), lambda: _mlp(2, 0.5), (1, 6, 6)),
    "dcgan-images": (DCGAN(blocks=2, b_std=0.3), lambda: _dcgan(2, 0.3), (3, 8, 8)),
}
LOSSES = {"ipm": IPM(), "lsgan": LSGAN(), "vanilla": Vanilla(), "hinge": Hinge()}


def _nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous().numpy() if x.ndim == 4 else x.numpy()


def _oracle(kernel_fn, loss, real, fake, x, time):
    """Scores and their gradients at x by `nt.predict`, which integrates the flow of -L on the training outputs."""
    points, n = jnp.concatenate([fake, real]), len(fake)
    gram = kernel_fn(points, points, "ntk")
    zeros, zeros_test = jnp.zeros((len(points), 1)), jnp.zeros((len(x), 1))
    if isinstance(loss, LSGAN) and n == len(
        real
    ):  # mean squared error to -1 and +1: L's slope is 4 times that of 0.5 MSE
        targets = jnp.concatenate([-jnp.ones((n, 1)), jnp.ones((n, 1))])
        predict, time = nt.predict.gradient_descent_mse(gram, targets), 4 * time
    else:
        predict = nt.predict.gradient_descent(lambda f, _: -loss.discriminator(f[n:, 0], f[:n, 0]), gram, zeros)

    def scores(x):
        return predict(time, zeros, zeros_test, kernel_fn(x, points, "ntk"))[1][:, 0]

    values, pullback = jax.vjp(scores, x)
    return np.asarray(values), np.asarray(pullback(jnp.ones_like(values))[0])


@pytest.mark.parametrize(
    "sizes", [pytest.param((6, 6), id="n=m", marks=pytest.mark.slow), pytest.param((5, 7), id="n!=m")]
)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("case", CASES)
def test_scores_and_gradients_agree_with_neural_tangents(case, loss, sizes):
    architecture, kernel_fn, shape = CASES[case]
    generator = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(size, *shape, generator=generator, dtype=torch.float64) for size in sizes)
    real, x = real + 0.5, torch.cat([fake, torch.randn(2, *shape, generator=generator, dtype=torch.float64)])
    time = 0.7
    with jax.enable_x64(True):
        values, gradient = _oracle(kernel_fn(), LOSSES[loss], *map(_nhwc, (real, fake, x)), time)

    for dtype, relative in RELATIVE.items():
        discriminator = NTKDiscriminator(architecture, LOSSES[loss], time=time, dtype=dtype)
        discriminator.fit(real, fake)
        test = x.clone().requires_grad_()
        scores = discriminator(test)
        scores.sum().backward()
        assert np.linalg.norm(scores.detach().numpy() - values) <= relative * np.linalg.norm(values)
        assert np.linalg.norm(_nhwc(test.grad) - gradient) <= relative * np.linalg.norm(gradient)
