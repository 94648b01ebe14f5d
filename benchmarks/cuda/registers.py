"""Registers and spills of our own kernels: ptxas on the PTX that XLA writes down."""

import re
import shutil
import subprocess
from pathlib import Path

FLAGS = "--xla_dump_emitter_re=ptx --xla_dump_to="  # for XLA, before JAX starts
_OURS = "gantk_"


def of_kernels(folder: Path) -> dict[str, tuple[int, int]]:
    """Registers and bytes of spilled stores of each kernel of ours, by name; nothing without ptxas on the PATH.

    Args:
        folder: Where PTX was written to.
    """
    found = {}
    if shutil.which("ptxas") is None:
        return found
    for path in folder.glob("*.ptx"):
        text = path.read_text()
        target = re.search(r"^\.target (\S+)", text, re.MULTILINE)
        if f".entry {_OURS}" not in text or target is None:
            continue
        command = ["ptxas", "-v", f"-arch={target.group(1)}", str(path), "-o", "/dev/null"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        for part in said.split("Compiling entry function '")[1:]:
            spilled, used = re.search(r"(\d+) bytes spill stores", part), re.search(r"Used (\d+) registers", part)
            if part.startswith(_OURS) and spilled is not None and used is not None:
                found[part.partition("'")[0]] = int(used.group(1)), int(spilled.group(1))
    return found
