"""The states of every global random number generator in the process: to keep, to put back, to leave undisturbed."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def capture() -> dict[str, Any]:
    """The states of torch (CPU and the CUDA device that the process works on), numpy and python, as tensors and plain
    values.

    JAX has no global state: its random numbers come from keys, which belong to whoever holds them.
    """
    numpy_state = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else [],
        # As a tensor, because torch.load(weights_only=True) takes no numpy array.
        "numpy": {**numpy_state, "state": {**numpy_state["state"], "key": _to_tensor(numpy_state["state"]["key"])}},
        "python": random.getstate(),
    }


def restore(states: dict[str, Any]) -> None:
    """Puts back what ``capture`` gave, to whatever CUDA device the process works on."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"][0])
    inner = {**states["numpy"]["state"], "key": states["numpy"]["state"]["key"].numpy().astype(np.uint32)}
    np.random.set_state({**states["numpy"], "state": inner})
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def isolated(seed: int) -> Iterator[None]:
    """Runs the block on random numbers of its own, always the same; those outside go on as if it had not been."""
    before = capture()
    try:
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)
        yield
    finally:
        restore(before)


def _to_tensor(key: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(key.astype(np.int64))
