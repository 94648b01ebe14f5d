"""What a run ran on."""

import importlib.metadata
import os
import platform
import socket
import sys
from pathlib import Path

_PACKAGES = (
    "lightning-gantk",
    "torch",
    "torchvision",
    "lightning",
    "jax",
    "jaxlib",
    "neural-tangents",
    "torchmetrics",
    "numpy",
)


def versions() -> dict[str, str]:
    """Of Python and of the packages that results may depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, str]:
    """Processor, cores that this process may use, memory, GPUs, operating system."""
    import torch

    found = {
        "host": socket.gethostname(),
        "processor": _processor(),
        "cores": str(cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}",
    }
    if torch.cuda.is_available():
        found["GPU"] = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return found


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_gpu_memory() -> int | None:
    """The most that torch and JAX had allocated on this process's GPU, in bytes; None without one."""
    import torch

    if not torch.cuda.is_available():
        return None
    peak = torch.cuda.max_memory_allocated()
    if "jax" in sys.modules:  # not imported for this: it would start
        for device in sys.modules["jax"].local_devices():
            peak += (device.memory_stats() or {}).get("peak_bytes_in_use", 0)
    return peak


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError):
        return "unknown"
