"""What a run of the tests keeps for the next one."""

import os
import subprocess
import sys
from pathlib import Path

_PRINT = "import caches, os, sys; caches.keep(); print(*(os.environ.get(n) for n in sys.argv[1:]), sep='\\n')"


def _kept(*names, **environment):
    """Variables of the environment of a fresh process that keeps caches; None where they are not set."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parent), **environment}
    command = [sys.executable, "-c", _PRINT, *names]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def test_programs_are_kept_in_the_users_cache_within_a_bound(tmp_path):
    folder, bound = _kept(
        "JAX_COMPILATION_CACHE_DIR", "JAX_COMPILATION_CACHE_MAX_SIZE", XDG_CACHE_HOME=str(tmp_path), HOME="/nowhere"
    )
    assert folder == str(tmp_path / "lightning_gantk" / "tests_jax")
    assert 0 < int(bound) < 10**10
    assert _kept("JAX_COMPILATION_CACHE_DIR", HOME="/home/me") == ["/home/me/.cache/lightning_gantk/tests_jax"]


def test_environment_overrides_where_programs_are_kept():
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_COMPILATION_CACHE_MAX_SIZE")
    assert _kept(*names, HOME="/home/me", JAX_COMPILATION_CACHE_DIR="/else") == ["/else", "None"]


def test_bytecode_is_kept_outside_the_environment_where_it_may_not_be_written_beside_the_source(tmp_path):
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    given = {"HOME": "/nowhere", "XDG_CACHE_HOME": str(tmp_path)}
    assert _kept(*names, **given) == ["None", "None"]
    kept = str(tmp_path / "lightning_gantk" / "tests_bytecode")
    assert _kept(*names, **given, PYTHONDONTWRITEBYTECODE="1") == ["None", kept]
