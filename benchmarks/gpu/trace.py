"""What a piece of work asks of the GPU, from a trace of it: kernels, idle time, waits of the host, copies to it."""

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu import device

_WAITS = ("Synchronize", "cuMemcpyDtoH", "cudaMemcpy")  # a copy that is asynchronous says so in its name
_BUSY = ("kernel", "gpu_memcpy", "gpu_memset")


@dataclass(frozen=True)
class Trace:
    """Per call; zeros where there is no GPU.

    Attributes:
        seconds: Wall-clock time, the profiler's own included.
        kernels: Kernels that the GPU ran.
        busy: Part of the time in which the GPU ran a kernel or a copy.
        waits: Calls with which the host waited for the GPU.
        to_host: Copies from the GPU to the host.
        longest: The kernels that took longest, ``(name, part of all kernels' time)``.
    """

    seconds: float
    kernels: float
    busy: float
    waits: float
    to_host: float
    longest: tuple[tuple[str, float], ...] = ()

    @property
    def summary(self) -> str:
        return (
            f"{self.seconds * 1e3:.2f} ms, {self.kernels:.0f} kernels, GPU idle {1 - self.busy:.0%}, "
            f"host waits {self.waits:.1f}, copies to the host {self.to_host:.1f}"
        )


def of(function: Callable[[], object], calls: int) -> Trace:
    """The trace of some calls, after one that is not counted."""
    function()
    device.synchronize()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.ON_GPU else [])]
    with tempfile.TemporaryDirectory() as folder:
        with profile(activities=activities) as profiler:
            begun = time.perf_counter()
            for _ in range(calls):
                function()
            device.synchronize()
            seconds = time.perf_counter() - begun
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = [event for event in json.loads(path.read_text())["traceEvents"] if event.get("ph") == "X"]
    return _read(events, calls, seconds)


def _read(events: list[dict], calls: int, seconds: float) -> Trace:
    on_gpu = sorted((event for event in events if event.get("cat") in _BUSY), key=lambda event: event["ts"])
    busy, end = 0.0, -1.0
    for event in on_gpu:
        begin = max(event["ts"], end)
        end = max(end, event["ts"] + event["dur"])
        busy += max(0.0, end - begin)
    runtime = [event["name"] for event in events if event.get("cat") in ("cuda_runtime", "cuda_driver")]
    waits = sum(any(word in name for word in _WAITS) and "Async" not in name for name in runtime)
    to_host = sum(event.get("cat") == "gpu_memcpy" and "DtoH" in event["name"] for event in on_gpu)
    kernels = [event for event in on_gpu if event["cat"] == "kernel"]
    total: dict[str, float] = {}
    for event in kernels:
        total[event["name"]] = total.get(event["name"], 0.0) + event["dur"]
    whole = sum(total.values()) or 1.0
    longest = sorted(((name, part / whole) for name, part in total.items()), key=lambda pair: -pair[1])
    return Trace(
        seconds / calls,
        len(kernels) / calls,
        min(1.0, busy / 1e6 / seconds),
        waits / calls,
        to_host / calls,
        tuple(longest[:5]),
    )


def torch_only_note() -> str:
    """How torch multiplies float32 matrices here."""
    products = "TF32" if torch.backends.cuda.matmul.allow_tf32 else "float32"
    convolutions = "TF32" if torch.backends.cudnn.allow_tf32 else "float32"
    return f"torch: products in {products}, convolutions in {convolutions}"
