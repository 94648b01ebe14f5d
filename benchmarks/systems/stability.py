"""When a fake beside a real sample settles: simultaneous steps of a kept discriminator, by decay and step size."""

import math

import numpy as np
from matplotlib.figure import Figure

from lightning_gantk.analysis import SecondMomentModel
from lightning_gantk.pictures import style

STEPS, LAST, H_D, START = 1000, 150, 0.1, 1e-4


def _amplitude(decay: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Largest |x| of the last steps of one fake beside a real at 0 under exp(-r^2 / 2); f' is a sum over the past."""
    x, past, largest = np.full(decay.shape, START), np.empty((STEPS, *decay.shape)), np.zeros(decay.shape)
    for step in range(STEPS):
        seen = past[:step]  # the f of before
        ages = (1 - H_D * decay) ** np.arange(step - 1, -1, -1)[:, None, None]
        gap = x - seen
        slope = H_D * (ages * (x * np.exp(-(x**2) / 2) - gap * np.exp(-(gap**2) / 2))).sum(0)
        past[step] = x
        x = x - rate * slope
        if step >= STEPS - LAST:
            largest = np.maximum(largest, np.abs(x))
    return largest


@style.styled
def draw() -> Figure:
    axis = np.geomspace(0.02, 2, 16)
    decay, rate = np.meshgrid(axis, axis, indexing="ij")
    found = _amplitude(decay, rate)
    stable = np.vectorize(lambda d, r: SecondMomentModel(d, 1.0, H_D, r).is_stable("simultaneous"))(decay, rate)
    settled = found < START
    decided = np.abs(np.log(decay / rate)) > 0.3  # at the threshold itself nothing happens within the run
    agree = (settled == stable)[decided].mean()
    print(f"swings at the end of {STEPS} steps smaller than the start: {settled.mean():.2f} of the map")
    print(f"as the threshold lambda s^2 = h_g has it, away from it: {agree:.3f}")
    drawn = style.figure(2.6)
    ax = drawn.subplots()
    image = ax.pcolormesh(rate, decay, np.log10(np.maximum(found, 1e-6)), cmap=style.SPEEDS)
    drawn.colorbar(image, ax=ax, label="log10 of the swings at the end")
    ax.plot(axis, axis, "w-", label="$\\lambda s^2 = h_g$")
    ax.plot(axis, [2 * math.sqrt(r / H_D) for r in axis], "w--", label="critical damping")
    ax.set(xscale="log", yscale="log", xlabel="generator step $h_g$", ylabel="decay $\\lambda$", ylim=(0.02, 2))
    ax.legend(labelcolor="white", loc="lower right")
    return drawn
