"""torch tensors and JAX arrays on the same memory: the single file that knows both.

Tensors cross by DLPack with no copy, on the CPU and on a GPU. Images are (N, C, H, W) in torch and (N, H, W, C) in JAX:
a channels-last tensor is one already. Where a copy cannot be avoided (a layout, an alignment or a dtype that JAX does
not take), it is made here, on purpose, and counted: see ``copies``.

On a GPU the host waits for nothing: each library works on streams of its own, and a crossing makes the stream of the
one that takes wait for that of the one that gives. torch's side is its current stream. What it takes to keep memory
from being used again too early:

- What JAX reads of torch's is done with when a result of that reading has crossed back, or ``follow`` has been called:
  torch's stream waits for it, so whatever torch does later, in the same memory or not, comes after. A call into JAX
  begins with a crossing, and ends with one.
- What torch reads of JAX's is kept from JAX's allocator until torch has dropped it and its stream has come that far.
"""

import collections
import contextlib
import importlib.util
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightning_gantk.errors import ConfigError

if TYPE_CHECKING:
    import jax

# JAX would take three quarters of the GPU when its backend starts, and leave torch without memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

# Bytes that XLA takes the address of foreign memory for a multiple of: its CPU client refuses another, and programs for
# GPUs load vectors of 16 bytes from it unasked.
_ALIGNMENT = {"cpu": 64, "cuda": 16}
_copies = 0
_compiling: float | None = None  # seconds
_COMPILING = {f"/jax/core/compile/{part}_duration" for part in ("jaxpr_to_mlir_module", "backend_compile")}
_dropped: "collections.deque[tuple[torch.cuda.Event, jax.Array]]" = collections.deque()
_forgetting = threading.Lock()


def copies() -> int:
    """How many tensors were copied, in either direction, since the process started."""
    return _copies


def compile_seconds() -> float | None:
    """Seconds that JAX has spent on compiling, or on finding programs in a cache; None before ``prepare``."""
    return _compiling


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
    _watch_compilations()
    if device.type == "cpu":
        return
    if device.type != "cuda":
        raise ConfigError(
            f"JAX shares memory with torch on CPU and CUDA devices, not on {device.type!r}: "
            "set trainer.accelerator to cpu."
        )
    _refuse_two_cudas()
    index = torch.cuda.current_device() if device.index is None else device.index
    with contextlib.suppress(RuntimeError, AttributeError):  # the backend has started, on whatever devices it was given
        jax.config.update("jax_cuda_visible_devices", str(index))
    try:
        known = [each.local_hardware_id for each in jax.devices("cuda")]
    except RuntimeError as error:
        raise ConfigError(
            f"torch works on {device}, but this JAX ({jax.__version__}) finds no GPU ({error}). Install JAX for CUDA "
            "(pip install 'lightning-gantk[cuda]'), or set trainer.accelerator to cpu."
        ) from error
    if index not in known:
        raise ConfigError(
            f"JAX has started in this process on GPU {', '.join(map(str, known))} and can take no other, but the "
            f"tensors are on cuda:{index}. Each process takes one GPU: trainer.strategy ddp makes a process for each, "
            "and CUDA_VISIBLE_DEVICES says before the start which it is."
        )


def by_streams(device: torch.device) -> bool:
    """Whether streams put the work on a device in order, so that the host need not wait for it."""
    return device.type == "cuda"


def to_jax(tensor: Tensor) -> "jax.Array":
    """The tensor as a JAX array on the same memory.

    The array is valid as long as nobody changes the tensor in place; a float64 tensor needs JAX's (scoped) x64 switch.
    On a GPU whatever reads it waits for torch's current stream, and ``follow`` or ``to_torch`` must come after.

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
    if not tensor.is_contiguous() or tensor.data_ptr() % _ALIGNMENT[tensor.device.type]:
        tensor = _copied(tensor.clone(memory_format=torch.contiguous_format))
    with _current(tensor.device):  # torch takes a tensor on another device for an error, and that device's stream
        array = jax.dlpack.from_dlpack(tensor)
    _forget_done()
    if array.unsafe_buffer_pointer() != tensor.data_ptr():
        _copied(tensor)  # JAX made one of its own
    return array


def to_torch(array: "jax.Array") -> Tensor:
    """The JAX array as a tensor on the same memory; ``(N, H, W, C)`` arrives as ``(N, C, H, W)``.

    It is computed when this returns, on a GPU when torch's current stream comes to it. The caller must not write to the
    tensor: JAX takes its arrays for immutable.
    """
    if _on_cpu(array):
        array.block_until_ready()
    tensor = torch.from_dlpack(array)
    if tensor.data_ptr() != array.unsafe_buffer_pointer():
        _copied(tensor)
    elif tensor.device.type == "cuda":
        stream = torch.cuda.current_stream(tensor.device)
        weakref.finalize(tensor.untyped_storage(), _on_drop, stream, array).atexit = False
        _forget_done()
    return tensor.permute(0, 3, 1, 2) if tensor.ndim == 4 else tensor


def follow(array: "jax.Array") -> None:
    """What torch does from now on comes after the array and all that JAX read for it: the memory may change then.

    The host waits for an array on the CPU, torch's current stream for one on a GPU.
    """
    if _on_cpu(array):
        array.block_until_ready()
    else:
        producer: Any = array
        _, index = producer.__dlpack_device__()
        # The protocol has 1 for the default stream, whose handle is 0. The capsule itself is not needed.
        producer.__dlpack__(stream=torch.cuda.current_stream(index).cuda_stream or 1)


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


def _refuse_two_cudas() -> None:
    """Refuses a torch and a JAX that would bring two versions of cuDNN into one process."""
    ours = (torch.version.cuda or "").split(".")[0]
    try:
        theirs = [version for version in ("12", "13") if importlib.util.find_spec(f"jax_plugins.xla_cuda{version}")]
    except ModuleNotFoundError:
        return  # JAX has none, and says so itself
    if ours and theirs and ours not in theirs:
        wanted = "cuda12" if ours == "12" else "cuda"
        raise ConfigError(
            f"torch {torch.__version__} is made for CUDA {ours} and JAX's plugin for CUDA {theirs[0]}: a process "
            f"cannot hold the libraries of both. Remove jax-cuda{theirs[0]}-plugin and jax-cuda{theirs[0]}-pjrt, and "
            f"install JAX for CUDA {ours} (pip install 'lightning-gantk[{wanted}]')."
        )


def _watch_compilations() -> None:
    global _compiling
    if _compiling is None:
        import jax.monitoring

        _compiling = 0.0
        jax.monitoring.register_event_duration_secs_listener(_on_event)


def _on_event(event: str, duration_secs: float, **kwargs: str | int) -> None:
    global _compiling
    if event in _COMPILING:
        _compiling = (_compiling or 0.0) + duration_secs


def _on_cpu(array: "jax.Array") -> bool:
    return next(iter(array.devices())).platform == "cpu"


def _current(device: torch.device) -> contextlib.AbstractContextManager:
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


def _on_drop(stream: "torch.cuda.Stream", array: "jax.Array") -> None:
    """Notes that torch has dropped memory of JAX's: what it has still to do there lies before this event."""
    event = torch.cuda.Event()
    event.record(stream)
    _dropped.append((event, array))


def _forget_done() -> None:
    """Gives JAX the memory back that torch has done with; while another thread is at it there is nothing to do."""
    if _forgetting.acquire(blocking=False):  # `query` lets other threads in, between a look at the first and its end
        try:
            while _dropped and _dropped[0][0].query():
                _dropped.popleft()
        finally:
            _forgetting.release()
