"""Compiled programs that are kept for the next process."""

import os
import subprocess
import sys

_KEEP = """
import os, sys
if sys.argv[1] == "late":
    import jax
from lightning_gantk import programs
programs.keep()
assert ("jax" in sys.modules) == (sys.argv[1] == "late")
import jax, jax.monitoring
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
for _ in range(2):
    jax.jit(lambda x: x * 3)(1.0)
    jax.clear_caches()
print(jax.config.jax_compilation_cache_dir, jax.config.jax_compilation_cache_max_size)
print("/jax/compilation_cache/cache_hits" in events)
"""


def _kept(when, **environment):
    """Where a fresh process keeps programs, how many bytes, and whether it found one again."""
    known = {"PATH": os.environ["PATH"], "JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    run = subprocess.run([sys.executable, "-c", _KEEP, when], env=known, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_programs_lie_in_the_users_cache_within_a_bound_and_are_found_again(tmp_path):
    folder, bound, found = _kept("early", XDG_CACHE_HOME=str(tmp_path), HOME="/nowhere")
    assert folder.startswith(str(tmp_path / "lightning_gantk" / "programs"))
    assert (bound, found) == (str(2**30), "True")
    assert os.listdir(folder)


def test_environment_decides_where_programs_lie_and_jax_may_have_been_imported(tmp_path):
    elsewhere = str(tmp_path / "elsewhere")
    assert _kept("early", JAX_COMPILATION_CACHE_DIR=elsewhere, HOME="/nowhere")[0] == elsewhere
    late = _kept("late", XDG_CACHE_HOME=str(tmp_path), HOME="/nowhere")
    assert late[0].startswith(str(tmp_path / "lightning_gantk" / "programs")) and late[2] == "True"
