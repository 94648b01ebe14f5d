"""Programs that JAX has compiled, kept for the next process: a run that goes on, and the runs of a comparison.

They lie in the user's cache, for each kind of processor apart: on another one they may not run. JAX's own variables say
otherwise: ``JAX_COMPILATION_CACHE_DIR`` where, ``JAX_COMPILATION_CACHE_MAX_SIZE`` how many bytes, and with
``JAX_ENABLE_COMPILATION_CACHE=false`` nothing is kept.
"""

import hashlib
import os
import sys

from lightning_gantk import user_cache

_BOUND = 2**30  # bytes; programs unused for longest go first
_WORTH_IT = 0.2  # seconds of compilation


def keep() -> None:
    """Has JAX keep its programs, in this process and in those that it starts. JAX need not be installed."""
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    kind = hashlib.sha256(user_cache.processor().encode()).hexdigest()[:12]
    settings = {
        "jax_compilation_cache_dir": str(user_cache.folder() / "programs" / kind),
        "jax_compilation_cache_max_size": _BOUND,  # with a bound JAX locks the folder at each access
        "jax_persistent_cache_min_compile_time_secs": _WORTH_IT,
    }
    for name, value in settings.items():
        if name.upper() not in os.environ:
            os.environ[name.upper()] = str(value)
            if "jax" in sys.modules:  # it has read the environment already
                sys.modules["jax"].config.update(name, value)
