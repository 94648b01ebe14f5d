"""The NTK of a finite network, worked out by torch, against the kernel of its architecture."""

import jax.numpy as jnp
import numpy as np
import torch

from lightning_gantk.architectures import DCGAN


def empirical_ntk(network, x, y):
    """<grad f(x), grad f(y)> over the parameters, by torch."""
    parameters = dict(network.named_parameters())

    def gradients(samples):
        def one(sample):
            return torch.func.grad(lambda p: torch.func.functional_call(network, p, sample[None])[0])(parameters)

        return torch.cat([g.flatten(1) for g in torch.func.vmap(one)(samples).values()], dim=1)

    return gradients(x) @ gradients(y).T


def nhwc(x):
    """A batch of torch as JAX has it."""
    return jnp.array(x.permute(0, 2, 3, 1).numpy() if x.ndim == 4 else x.numpy())


def assert_ntk_tends_to_kernel(architecture, shape):
    """The error falls as 1/sqrt(width)."""
    torch.manual_seed(0)
    x, y = torch.randn(3, *shape), torch.randn(4, *shape)
    kernel = np.asarray(architecture.kernel("ntk")(nhwc(x), nhwc(y)))
    narrow, growth, draws = (12, 8, 32) if isinstance(architecture, DCGAN) else (64, 16, 16)

    def error(width):
        """Root mean square over draws of the relative error."""
        errors = []
        for seed in range(draws if width == narrow else draws // 4):
            torch.manual_seed(seed)
            found = empirical_ntk(architecture.network(width, shape), x, y).detach().numpy()
            errors.append(np.linalg.norm(found - kernel) / np.linalg.norm(kernel))
        return np.sqrt(np.mean(np.square(errors)))

    # The Monte-Carlo error of a root mean square over D draws is below 1/sqrt(D) of it, even for squares with the heavy
    # tail of a chi-squared of one degree of freedom: three of them on each side.
    spread = (1 + 3 / np.sqrt(draws)) * (1 + 3 / np.sqrt(draws // 4))
    wide = error(growth * narrow)
    assert wide < error(narrow) / np.sqrt(growth) * spread
    assert wide < 0.25
