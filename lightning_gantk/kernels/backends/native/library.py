"""The native library: compiled from the C++ in this folder, and known to JAX."""

import ctypes
import functools
import logging
import os
import subprocess
from pathlib import Path

from lightning_gantk.kernels.backends.native import compiler, layout

log = logging.getLogger(__name__)
_SOURCES = ("layers.cc", "samples.cc", "inner.cc", "matvec.cc")
_HANDLERS = ("values_of_samples", "sums_of_samples", "values_of_inner", "sums_of_inner", "matvec", "both_ways")


@functools.cache
def load() -> ctypes.CDLL:
    """The library, built and registered at the first call.

    Raises:
        OSError: If it cannot be built or loaded.
        subprocess.SubprocessError: If the compiler fails.
    """
    import jax

    library = ctypes.CDLL(str(compiler.built("kernels", sources())))
    for name in _HANDLERS:
        capsule = jax.ffi.pycapsule(getattr(library, f"gantk_{name}"))
        jax.ffi.register_ffi_target(f"lightning_gantk_{name}", capsule, platform="cpu")
    return library


def sources() -> dict[str, str]:
    """The text of the library's sources, by file name."""
    here = Path(__file__).parent
    return {"layout.h": layout.layout(), **{name: (here / name).read_text() for name in _SOURCES}}


@functools.cache
def available() -> bool:
    """Whether native code can be used in this process; where it cannot, the log says why and what that costs."""
    if os.environ.get("LIGHTNING_GANTK_NATIVE", "1") == "0":
        log.info("Native kernels are switched off by LIGHTNING_GANTK_NATIVE=0; kernels run in plain JAX.")
        return False
    try:
        load()
    except (OSError, subprocess.SubprocessError, AttributeError, RuntimeError) as error:
        reason = getattr(error, "stderr", None) or error
        log.warning(
            "No native kernels: %s. Kernels run in plain JAX on the CPU: convolutional ones some 6 to 9 times slower "
            "(docs/speed.md).",
            reason,
        )
        return False
    return True
