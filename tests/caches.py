"""What a run of the tests keeps for the next one, in the user's cache: compiled JAX programs, and Python's bytecode."""

import os
import sys
from pathlib import Path

_BOUND = 2 * 2**30  # bytes of compiled programs; those unused for longest go first


def folder() -> Path:
    """Where it lies: below ``$XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightning_gantk"


def keep() -> None:
    """For this process and those that it starts; what the environment says already stays.

    To be called before JAX is imported.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder() / "tests_jax")
        # With a bound JAX locks the folder (by the package filelock) at each access, so several processes may share it.
        os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(_BOUND))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
    # Containers like to set PYTHONDONTWRITEBYTECODE. Then each of the many processes here would compile torch and all
    # that Lightning imports anew, eight seconds of work; what is written instead lies outside the environment.
    if sys.dont_write_bytecode:
        prefix = sys.pycache_prefix or str(folder() / "tests_bytecode")
        sys.dont_write_bytecode, sys.pycache_prefix = False, prefix
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = prefix
