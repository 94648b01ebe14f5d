"""torch tensors and JAX arrays on the same memory: the single file that knows both.

Tensors cross by DLPack with no copy, on the CPU and on a GPU. Images are (N, C, H, W) in torch and (N, H, W, C) in JAX:
a channels-last tensor is one already. Where a copy cannot be avoided (a layout, an alignment or a dtype that JAX does
not take), it is made here, on purpose, and counted: see ``copies``.
"""

import contextlib
import os
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    import jax

# JAX would take three quarters of the GPU when its backend starts, and leave torch without memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

_ALIGNMENT = 64  # bytes: XLA's CPU client reads foreign memory only where it is aligned so
_copies = 0


def copies() -> int:
    """How many tensors were copied, in either direction, since the process started."""
    return _copies


def prepare(device: torch.device) -> None:
    """Makes JAX ready for tensors on ``device``; before JAX's backend starts, keeps it off the other GPUs.

    Raises:
        ConfigError: If JAX is missing, or the device is a GPU that JAX cannot use.
    """
    try:
        import jax
    except ImportError as error:
        raise ConfigError(
            f"An infinite-width discriminator needs JAX, which does not import ({error}). Install it "
            "(pip install jax), or choose a finite discriminator (configs/discriminator/finite_*.yaml)."
        ) from error
    if device.type == "cpu":
        return
    if device.type != "cuda":
        raise ConfigError(
            f"JAX shares memory with torch on CPU and CUDA devices, not on {device.type!r}: "
            "set trainer.accelerator to cpu."
        )
    with contextlib.suppress(RuntimeError, AttributeError):  # the backend has started, on whatever devices it was given
        jax.config.update("jax_cuda_visible_devices", str(device.index or 0))
    try:
        jax.devices("cuda")
    except RuntimeError as error:
        raise ConfigError(
            f"torch works on {device}, but this JAX ({jax.__version__}) finds no GPU ({error}). Install JAX for CUDA "
            "(pip install 'lightning-gantk[cuda]'), or set trainer.accelerator to cpu."
        ) from error


def to_jax(tensor: Tensor) -> "jax.Array":
    """The tensor as a JAX array on the same memory.

    The array is valid as long as nobody changes the tensor in place; a float64 tensor needs JAX's (scoped) x64 switch.

    Args:
        tensor: float32 or float64; ``(N, C, H, W)``, which arrives as ``(N, H, W, C)``, or any other shape, which
            stays.

    Returns:
        The array, on the device of the tensor.
    """
    import jax.dlpack

    tensor = tensor.detach()
    if tensor.ndim == 4:
        tensor = tensor.permute(0, 2, 3, 1)
    if not tensor.is_contiguous() or (tensor.device.type == "cpu" and tensor.data_ptr() % _ALIGNMENT):
        tensor = _copied(tensor.clone(memory_format=torch.contiguous_format))
    array = jax.dlpack.from_dlpack(tensor)
    if array.unsafe_buffer_pointer() != tensor.data_ptr():
        _copied(tensor)  # JAX made one of its own
    return array


def to_torch(array: "jax.Array") -> Tensor:
    """The JAX array as a tensor on the same memory, once it is computed; ``(N, H, W, C)`` arrives as ``(N, C, H, W)``.

    The caller must not write to the tensor: JAX takes its arrays for immutable.
    """
    array.block_until_ready()
    tensor = torch.from_dlpack(array)
    if tensor.data_ptr() != array.unsafe_buffer_pointer():
        _copied(tensor)
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in a dtype, a copy where it has another."""
    return tensor if tensor.dtype == dtype else _copied(tensor.to(dtype))


def fill(tensor: Tensor, rows: int) -> Tensor:
    """The tensor with copies of its first row up to ``rows`` rows, so that a ragged batch needs no new compilation."""
    missing = rows - len(tensor)
    if missing <= 0:
        return tensor
    return _copied(torch.cat([tensor, tensor[:1].expand(missing, *tensor.shape[1:])]))


def _copied(tensor: Tensor) -> Tensor:
    global _copies
    _copies += 1
    return tensor
