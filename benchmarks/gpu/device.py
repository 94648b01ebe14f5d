"""The device that is measured."""

import platform

import jax
import torch

from benchmarks.timing import median

ON_GPU = torch.cuda.is_available()
TORCH = torch.device("cuda" if ON_GPU else "cpu")


def name() -> str:
    """The GPU's own name, or that of the processor's kind."""
    return torch.cuda.get_device_name() if ON_GPU else f"CPU ({platform.machine()})"


def versions() -> str:
    """What was installed."""
    cuda = f", CUDA {torch.version.cuda}" if ON_GPU else ""
    return f"jax {jax.__version__}, torch {torch.__version__}{cuda}, Python {platform.python_version()}"


def synchronize() -> None:
    """Waits for all that torch has asked of the GPU."""
    if ON_GPU:
        torch.cuda.synchronize()


def forget_peak() -> None:
    """Torch's peak of memory starts anew; JAX's is that of the process."""
    if ON_GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peaks() -> str:
    """The peaks of both allocators, in MB; nothing without a GPU."""
    if not ON_GPU:
        return ""
    of_jax = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    return f"peaks: JAX {of_jax / 1e6:.0f} MB so far, torch {torch.cuda.max_memory_allocated() / 1e6:.0f} MB"


def of_trainer() -> dict[str, object]:
    """Settings of ``train.py`` for this device."""
    return {
        "trainer.accelerator": "gpu" if ON_GPU else "cpu",
        "trainer.devices": 1,
        "trainer.enable_progress_bar": False,
    }


def bandwidth() -> float:
    """Bytes a second that a large copy reads and writes."""
    source = torch.empty(2**28 if ON_GPU else 2**20, device=TORCH)
    target = torch.empty_like(source)
    return 2 * source.nbytes / median(lambda: (target.copy_(source), synchronize()))


def flops() -> float:
    """Operations a second of a large matrix product in float32, TF32 off."""
    n = 8192 if ON_GPU else 64
    one, other = (torch.randn(n, n, device=TORCH) for _ in range(2))
    with_tf32, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, False
    try:
        return 2 * n**3 / median(lambda: (one @ other, synchronize()))
    finally:
        torch.backends.cuda.matmul.allow_tf32 = with_tf32
