"""Libraries compiled from C++ when first asked for, kept in the user's cache.

Any C++ compiler does: the one named by ``CXX``, g++ or clang++ on the PATH, else the clang that the package ``ziglang``
brings.
"""

import functools
import hashlib
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lightning_gantk import user_cache

log = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    "-ffp-contract=fast",
    "-fPIC",
    "-Wall",
    "-Wextra",
)
_TIMEOUT = 600  # seconds; the first call of ziglang's clang builds its C++ library


@functools.cache
def command() -> tuple[str, ...]:
    """The compiler's command.

    Raises:
        OSError: If there is none.
    """
    named = os.environ.get("CXX") or next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
    if named is not None:
        return tuple(named.split())
    if importlib.util.find_spec("ziglang") is not None:
        return sys.executable, "-m", "ziglang", "c++"
    raise OSError(
        "there is no C++ compiler: install g++ or clang++, or the one that comes as a package (pip install ziglang)"
    )


@functools.cache
def version() -> str:
    """What the compiler says of itself."""
    return subprocess.run([*command(), "--version"], check=True, capture_output=True, text=True).stdout


def built(name: str, sources: Mapping[str, str], *more_flags: str) -> Path:
    """A shared library.

    Args:
        name: Starts its file's name.
        sources: Text by file name; headers of this folder are found.
        more_flags: For the compiler.

    Returns:
        Its path; the name holds a hash of all that it depends on.

    Raises:
        OSError: If there is no compiler or no place to write to.
        subprocess.SubprocessError: If the compiler fails.
    """
    flags = (*_FLAGS, *(("-mprefer-vector-width=512",) if "clang" not in version() else ()), *more_flags)
    headers = {path.name: path.read_text() for path in sorted(_HERE.glob("*.h"))}
    parts = (version(), _xla_version(), user_cache.processor(), *flags, *headers.values(), *sources, *sources.values())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    folder = user_cache.folder()
    library = folder / f"{name}-{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    log.info("Compiling %s into %s (once).", ", ".join(sources), folder)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:  # moved into place whole: processes may race
        fresh = _compile(Path(scratch), library.name, sources, flags)
        fresh.replace(library)
    return library


def _compile(scratch: Path, name: str, sources: Mapping[str, str], flags: tuple[str, ...]) -> Path:
    import jax.ffi

    for file, text in sources.items():
        (scratch / file).write_text(text)
    options = [*flags, f"-I{scratch}", f"-I{_HERE}", "-isystem", jax.ffi.include_dir()]
    files = [scratch / file for file in sources if file.endswith(".cc")]
    # side by side: each takes seconds
    jobs = [
        subprocess.Popen(
            [*command(), *options, "-c", str(file), "-o", f"{file}.o"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for file in files
    ]
    for job in jobs:
        output, _ = job.communicate(timeout=_TIMEOUT)
        if job.returncode:
            raise subprocess.CalledProcessError(job.returncode, job.args, stderr=output)
        if output:
            log.info("%s", output)
    fresh = scratch / name
    link = [*command(), *flags, "-shared", *(f"{file}.o" for file in files), "-o", str(fresh)]
    subprocess.run(link, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    return fresh


def _xla_version() -> str:
    import jaxlib.version

    return jaxlib.version.__version__
