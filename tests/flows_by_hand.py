"""A kept discriminator by its kernel alone, for tests: dual weights on every batch in turn."""

import numpy as np
import torch
from scipy.integrate import solve_ivp


def kept_scores(discriminator, loss, batches, x, time, decay):
    """Scores at x after fits to the batches, solved by an explicit method of order 8."""
    seen, past, scores = [], np.zeros(0), torch.zeros(len(x), dtype=torch.float64)
    for real, fake in batches:
        points = torch.cat([fake, real])
        count, end = len(points), len(points) + len(x)
        matrix = discriminator.gram(torch.cat([points, x, *seen])).numpy()
        f_0, square = matrix[:count, end:] @ past, matrix[:count, :count]
        mass = np.concatenate([np.full(len(fake), 1 / len(fake)), np.full(len(real), 1 / len(real))])

        def field(t, w, f_0=f_0, square=square, mass=mass, fake=fake):
            f = torch.from_numpy(f_0 * np.exp(-decay * t) + square @ w).requires_grad_()
            total = loss.a(f[: len(fake)]).sum() - loss.b(f[len(fake) :]).sum() + 0 * f.sum()
            return mass * torch.autograd.grad(total, f)[0].numpy() - decay * w

        w = solve_ivp(field, (0, time), np.zeros(count), "DOP853", rtol=1e-10, atol=1e-12).y[:, -1]
        past = np.exp(-decay * time) * past
        scores = torch.from_numpy(matrix[count:end, end:] @ past + matrix[count:end, :count] @ w)
        seen, past = [*seen, points], np.concatenate([past, w])
    return scores
