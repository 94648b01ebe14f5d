"""The native CPU kernels: compiled from the sources in this folder when first asked for, kept in the user's cache.

They compute what ``recursions`` does in JAX, in one pass over a core's caches, behind JAX's FFI. Where there is no C++
compiler, or ``LIGHTNING_GANTK_NATIVE=0``, the JAX path runs instead, and the log says so.
"""

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

_SOURCES = ("pairs.cc", "duals.h")
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-ffp-contract=fast",
    "-fPIC",
    "-shared",
    "-w",
)
_HANDLERS = ("values_of_samples", "sums_of_samples", "values_of_inner", "sums_of_inner", "product")


@functools.cache
def available() -> bool:
    """Whether the native kernels can be used in this process: builds and registers them at the first call."""
    if os.environ.get("LIGHTNING_GANTK_NATIVE", "1") == "0":
        log.info("Native kernels are switched off by LIGHTNING_GANTK_NATIVE=0; kernels run in plain JAX.")
        return False
    try:
        library = ctypes.cdll.LoadLibrary(str(_build()))
        import jax

        for name in _HANDLERS:
            capsule = jax.ffi.pycapsule(getattr(library, f"gantk_{name}"))
            jax.ffi.register_ffi_target(f"lightning_gantk_{name}", capsule, platform="cpu")
    except (OSError, subprocess.SubprocessError, AttributeError, RuntimeError) as error:
        reason = getattr(error, "stderr", None) or error
        log.warning("No native kernels: %s. Kernels run in plain JAX on the CPU, several times slower.", reason)
        return False
    return True


def _build() -> Path:
    """The compiled library for these sources, this compiler, this JAX and this machine's processor."""
    import jax.ffi
    import jaxlib

    compiler = os.environ.get("CXX") or next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
    if compiler is None:
        raise OSError("no C++ compiler is on the PATH (g++, clang++ or the one named by CXX)")
    here = Path(__file__).parent
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    parts = (version, jaxlib.__version__, _processor(), " ".join(_FLAGS), *((here / s).read_text() for s in _SOURCES))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightning_gantk"
    library = folder / f"pairs-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    log.info("Compiling the native kernels into %s (once).", library)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:  # moved into place whole: processes may race
        fresh = Path(scratch) / library.name
        include = f"-I{jax.ffi.include_dir()}"
        flags = [flag for flag in _FLAGS if "clang" not in version or not flag.startswith("-mprefer")]
        command = [compiler, *flags, include, str(here / "pairs.cc"), "-o", str(fresh)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        fresh.replace(library)
    return library


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        return f"{platform.machine()} {platform.processor()} {platform.node()}"
