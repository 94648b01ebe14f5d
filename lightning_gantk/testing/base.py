"""What every contract is: a factory, claims that say where they stand, and bad input that is refused in one line."""

import copy
import pickle
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from lightning_gantk.errors import ConfigError

_HOME = __name__.rpartition(".")[0]


class Contract(ABC):
    """A pytest class for a part that ``make`` builds; pytest collects subclasses whose names start with ``Test``.

    An argument of a test method that is the singular of a class attribute runs over it: ``shape`` over ``shapes``.

    Attributes:
        refused: Calls that must raise ConfigError, each with what its message must match (a regular expression).
        pickles: Whether it can be sent to another process; not where torch itself refuses (parametrized modules).
    """

    refused: ClassVar[Sequence[tuple[Callable[[], object], str]]] = ()
    pickles: ClassVar[bool] = True

    @abstractmethod
    def make(self) -> Any:
        """A new part, ready for use; two calls with the same random numbers give equal parts."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Parametrises tests by the attributes of the subclass."""
        for name in metafunc.fixturenames:
            if (values := getattr(self, f"{name}s", None)) is not None:
                metafunc.parametrize(name, values, ids=str)

    @pytest.fixture(autouse=True)
    def _same_random_numbers(self) -> Iterator[None]:
        """Each test starts from seed 0 and leaves torch's random numbers to others as they were."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            yield

    def test_bad_input_is_refused_in_one_clear_line(self) -> None:
        if not self.refused:
            pytest.skip("no bad input is named in `refused`")
        for call, message in self.refused:
            self.refuses(call, message, "lightning_gantk.errors.ConfigError")

    def claim(self, holds: object, wrong: str, of: object) -> None:
        """Fails unless something holds.

        Args:
            holds: What must be true.
            wrong: What is wrong where it is not.
            of: Where the contract says so: the method or class, or its name.
        """
        if not bool(holds):
            __tracebackhide__ = True
            where = of if isinstance(of, str) else f"{of.__module__}.{getattr(of, '__qualname__', of)}"
            contract = next(c.__name__ for c in type(self).__mro__ if c.__module__.startswith(_HOME))
            raise AssertionError(f"{wrong}\n  {contract}: it stands in the docstring of {where}.")

    def close(self, found: Any, wanted: Any, error: float, what: str, of: object) -> None:
        """Fails where arrays of torch, JAX or numpy differ in shape, or somewhere by more than ``error``."""
        __tracebackhide__ = True
        found, wanted = numbers(found), numbers(wanted)
        self.claim(found.shape == wanted.shape, f"{what}: shape {found.shape} in the place of {wanted.shape}.", of)
        with np.errstate(invalid="ignore"):
            off = np.abs(np.subtract(found, wanted, dtype=np.float64))  # of truth values too
        off = np.where(found == wanted, 0, np.where(np.isnan(off), np.inf, off))  # two equal infinities are equal
        if off.size and off.max() > error:
            place = tuple(int(i) for i in np.unravel_index(off.argmax(), off.shape))
            at = f" at {place}" if place else ""
            values = f"{found[place]:.9g} in the place of {wanted[place]:.9g}{at}"
            self.claim(False, f"{what}: {values}, an error of {off.max():.2g} where {error:.2g} is allowed.", of)

    def same(self, found: Any, wanted: Any, what: str, of: object) -> None:
        """Fails where two arrays differ in a single bit."""
        __tracebackhide__ = True
        self.close(found, wanted, 0.0, what, of)

    def refuses(
        self, call: Callable[[], object], message: str, of: object, error: type[Exception] = ConfigError
    ) -> None:
        """Fails unless a call raises an error whose message is one line that matches."""
        __tracebackhide__ = True
        try:
            call()
        except error as raised:
            said = str(raised)
            self.claim("\n" not in said.strip(), f"A message for people is one line, got {said!r}.", of)
            self.claim(re.search(message, said), f"The message {said!r} does not say {message!r}.", of)
        except Exception as raised:
            wrong = f"Bad input must raise {error.__name__} with {message!r}, got {type(raised).__name__}: {raised}"
            self.claim(False, wrong, of)
        else:
            self.claim(False, f"Bad input passed: it must raise {error.__name__} with {message!r}.", of)

    def copies(self, part: Any, of: object) -> list[tuple[str, Any]]:
        """A deep copy and one that went through pickle, as to another process, with the name of the way."""
        __tracebackhide__ = True
        ways: dict[str, Callable[[Any], Any]] = {"a deep copy": copy.deepcopy}
        if self.pickles:
            ways["pickle"] = lambda one: pickle.loads(pickle.dumps(one))
        made = []
        for way, function in ways.items():
            try:
                made.append((way, function(part)))
            except Exception as raised:
                wrong = f"{type(part).__name__} cannot go through {way}: {type(raised).__name__}: {raised}"
                self.claim(False, wrong, of)
        return made

    def leaves_random_numbers(self, what: str, of: object) -> "_Untouched":
        """A context that fails where torch's global random numbers have moved at its end."""
        return _Untouched(self, what, of)


class _Untouched:
    def __init__(self, contract: Contract, what: str, of: object):
        self.contract, self.what, self.of = contract, what, of

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            same = torch.equal(self.state, torch.get_rng_state())
            self.contract.claim(same, f"{self.what} draws from torch's global random numbers.", self.of)


def numbers(array: Any) -> np.ndarray:
    """An array of torch, JAX or numpy, in float64 (or bool)."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.double() if array.is_floating_point() else array).numpy()
    array = np.asarray(array)
    return array if array.dtype == bool else array.astype(np.float64)
