"""What every test shares: workers, caches that outlive the run, a time limit, a CUDA device for those marked `gpu`."""

import gc
import os
import re
import subprocess
import sys

import caches
import pytest

caches.keep()
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's threads: batches here are small, and cores have their workers
# A tenth of the CPU time went into looking through the objects of traced programs.
gc.set_threshold(100_000, 50, 1000)
_MOST_WORKERS = 4  # each holds torch, JAX and what it compiled: some 2 GB
_SLOW_LIMIT = 1200  # seconds, for a test marked `slow`; pyproject.toml has the limit of the others


def pytest_configure(config):
    """Hides GPUs, here and from processes that tests start, unless those marked `gpu` were asked for: `pytest -m gpu`.

    Both libraries take what they find, and all other tests mean the CPU.
    """
    asked_for = config.option.markexpr.replace("not gpu", "")
    if "gpu" not in asked_for:
        os.environ.update(CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")


def pytest_xdist_auto_num_workers(config):
    """The whole suite has a worker for each core; a part of it starts none, which takes as long as many a file."""
    whole = config.args_source == config.ArgsSource.TESTPATHS
    return min(os.cpu_count() or 1, _MOST_WORKERS) if whole else 0


def pytest_collection_modifyitems(items):
    import torch  # after caches.keep()

    for item in items:
        if re.search(r" at 0x[0-9a-f]+", item.nodeid):
            raise pytest.UsageError(f"{item.nodeid}: no address in a name, on which workers must agree; give 'ids'.")
        # Markers, not `item.keywords`: those have the names of folders too.
        if item.get_closest_marker("slow") is not None and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_SLOW_LIMIT))
        if item.get_closest_marker("gpu") is not None and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and pytest -m gpu"))


_HOLD = """
import sys, time
from pathlib import Path
from lightning_gantk.locks import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def hold():
    """Gives a function that has another process take the lock on a file, and gives that process."""
    started = []

    def take(path):
        process = subprocess.Popen([sys.executable, "-c", _HOLD, path], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield take
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
