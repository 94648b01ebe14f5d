"""A particle run on disk: what its discriminator was fitted to at each step, and how far the particles went."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_gantk import files
from lightning_gantk.errors import ConfigError

_CHUNK = 100  # steps in a file
_ABOUT = "flow.json"


@dataclass(frozen=True)
class FlowStep:
    """One step.

    Attributes:
        real: The batch ``(M, ...)`` that the discriminator was fitted to.
        fake: The particles ``(N, ...)`` that it was fitted to.
        rate: By how much a particle followed its own gradient.
    """

    real: Tensor
    fake: Tensor
    rate: float


class StoredFlow:
    """A folder with the steps of a run, written step by step and read back.

    Real batches that stay the same are stored once. A step takes the space of its fakes, and of its reals where they
    change.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._pending: list[tuple[Tensor, float, int]] = []
        self._first = 0  # step of the first that is pending
        self._real: tuple[int, Tensor] | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What was said of the run when it began.

        Raises:
            ConfigError: If there is no run in the folder.
        """
        found = files.read_json(self.folder / _ABOUT)
        if found is None:
            raise ConfigError(
                f"There is no stored run of particles in {self.folder}: the callback StoreFlow writes one to the "
                "folder 'flow' of a run."
            )
        return found

    def begin(self, step: int, about: dict[str, Any], state: dict[str, Any]) -> None:
        """Gets ready to go on at a step; what was stored from there on is dropped.

        Args:
            step: 0 for a new run.
            about: What is to be known of it, as JSON.
            state: State of the discriminator before the first step.

        Raises:
            ConfigError: If the steps before are not there.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pending, self._first = [], step - step % _CHUNK
        if step == 0:
            files.write_json(self.folder / _ABOUT, about)
            buffer = io.BytesIO()
            torch.save(state, buffer)
            _write(self.folder / "discriminator.pt", buffer.getvalue())
        elif len(self) < step:
            raise ConfigError(
                f"The run goes on at step {step} and {self.folder} holds the {len(self)} steps before alone: without "
                "the others its flow cannot be replayed. Store a run from its start."
            )
        elif step > self._first:
            with np.load(self._path(self._first)) as chunk:
                kept = zip(chunk["fake"], chunk["rate"], chunk["real"], strict=True)
                self._pending = [(torch.from_numpy(f), float(r), int(i)) for f, r, i in kept][: step - self._first]
        self.flush()  # what is kept, in the place of what was stored
        kept = {self._path(self._first)} if self._pending else set()
        for path in self._chunks():
            if int(path.stem.partition("_")[2]) >= self._first and path not in kept:
                path.unlink()

    def add(self, step: FlowStep) -> None:
        """Adds the next step."""
        real = step.real.detach().cpu()
        if self._real is None or not torch.equal(self._real[1], real):
            place = self._first + len(self._pending)
            self._real = place, real.clone()
            buffer = io.BytesIO()
            np.save(buffer, self._real[1].numpy())
            _write(self.folder / f"real_{place:08d}.npy", buffer.getvalue())
        self._pending.append((step.fake.detach().cpu().clone(), step.rate, self._real[0]))
        if len(self._pending) == _CHUNK:
            self.flush()
            self._first, self._pending = self._first + _CHUNK, []

    def flush(self) -> None:
        """Writes what is pending."""
        if not self._pending:
            return
        fakes, rates, reals = zip(*self._pending, strict=True)
        buffer = io.BytesIO()
        np.savez(buffer, fake=torch.stack(fakes).numpy(), rate=np.array(rates), real=np.array(reals))
        _write(self._path(self._first), buffer.getvalue())

    def state(self) -> dict[str, Any]:
        """The discriminator's state before the first step."""
        return torch.load(self.folder / "discriminator.pt", map_location="cpu", weights_only=True)

    def __len__(self) -> int:
        """How many steps are on disk."""
        chunks = self._chunks()
        if not chunks:
            return 0
        with np.load(chunks[-1]) as last:
            return (len(chunks) - 1) * _CHUNK + len(last["rate"])

    def __iter__(self) -> Iterator[FlowStep]:
        """The steps on disk, in order."""
        place, real = -1, torch.empty(0)
        for path in self._chunks():
            with np.load(path) as chunk:
                arrays = [chunk[name] for name in ("fake", "rate", "real")]
            for fake, rate, index in zip(*arrays, strict=True):
                if index != place:
                    place = int(index)
                    real = torch.from_numpy(np.load(self.folder / f"real_{place:08d}.npy"))
                yield FlowStep(real, torch.from_numpy(fake), float(rate))

    def _chunks(self) -> list[Path]:
        return sorted(self.folder.glob("steps_*.npz"))

    def _path(self, first: int) -> Path:
        return self.folder / f"steps_{first:08d}.npz"


def _write(path: Path, content: bytes) -> None:
    with files.replaced(path) as file:
        file.write(content)
