"""neural-tangents on today's JAX: the one file that imports it.

The last release, 0.6.5 (2023), looks for names that JAX has since moved or dropped, and pulls in TensorFlow for one
experimental module. ``load()`` lends it the missing names while it is being imported, gives the few of its modules that
use such a name later a view of JAX of their own, and puts JAX back exactly as it was: other users of JAX in the process
see no difference. Names are looked for, not version numbers.
"""

import contextlib
import functools
import importlib
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

from lightning_gantk.errors import ConfigError

TESTED = "neural-tangents 0.6.5 with jax 0.8.0 and 0.10.2 (Python 3.11) and jax 0.12.0 (Python 3.12)"
PURPOSE = "kernels of a global average pool and of layers without a recursion of our own go through it"
INSTALLATION = "pip install --no-deps neural-tangents==0.6.5 frozendict"  # --no-deps keeps TensorFlow out, 2 GB unused

# Where each name that neural-tangents asks of `jax.core` may live, in the order of preference.
_CORE_HOMES = ("jax.core", "jax.extend.core", "jax._src.core")
_CORE_NAMES = (
    "AbstractValue",
    "Jaxpr",
    "JaxprEqn",
    "Literal",
    "Primitive",
    "ShapedArray",
    "Value",
    "Var",
)
_EXPERIMENTAL = "neural_tangents.experimental"
_lock = threading.Lock()


def _find(name: str, homes: tuple[str, ...]) -> Any:
    """The object called ``name`` in the first of the modules ``homes`` that has it."""
    for home in homes:
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(home), name)
    raise ConfigError(
        f"neural-tangents needs '{name}', which this JAX has in none of {', '.join(homes)}; tested are {TESTED}."
    )


@contextlib.contextmanager
def _lent(module: types.ModuleType, names: dict[str, Any]) -> Iterator[None]:
    """Sets attributes of ``module`` and puts back what was there before."""
    missing = object()
    before = {name: vars(module).get(name, missing) for name in names}
    for name, value in names.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            delattr(module, name) if value is missing else setattr(module, name, value)


class _View(types.ModuleType):
    """A module seen through some replaced names; every other name is read from the module itself."""

    def __init__(self, module: types.ModuleType, **names: Any):
        super().__init__(module.__name__)
        self.__dict__.update(names)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@functools.cache
def load() -> types.ModuleType:
    """Imports neural-tangents, once; ``load().stax`` and ``load().predict`` are its modules.

    Returns:
        The module ``neural_tangents``.

    Raises:
        ConfigError: If JAX or neural-tangents is missing or too far from the versions tested.
    """
    try:
        import jax
        import jax.core
        import jax.interpreters.ad
    except ImportError as error:
        raise ConfigError(
            f"Infinite-width kernels need JAX, which does not import ({error}): pip install jax."
        ) from error

    with _lock:
        core = {name: _find(name, _CORE_HOMES) for name in _CORE_NAMES}
        util_homes = ("jax.util", "jax._src.util")
        util = types.ModuleType("jax.util")
        for name in ("safe_map", "safe_zip"):
            setattr(util, name, _find(name, util_homes))
        zeros_like_p = _find("zeros_like_p", ("jax.interpreters.ad", "jax._src.interpreters.ad", "jax._src.ad_util"))
        modules = {"jax.util": util}
        if _EXPERIMENTAL not in sys.modules:  # the only user of TensorFlow: an empty module stands in
            modules[_EXPERIMENTAL] = types.ModuleType(_EXPERIMENTAL)
        with (
            _lent(jax.core, core),
            _lent(jax.interpreters.ad, {"zeros_like_p": zeros_like_p}),
            _lent(jax, {"util": util}),
            _listed(modules),
        ):
            try:
                nt = importlib.import_module("neural_tangents")
                importlib.import_module("neural_tangents.predict")
            except ModuleNotFoundError as error:
                raise ConfigError(
                    f"{PURPOSE}: neural-tangents, which is not installed ({error}). {INSTALLATION} (no TensorFlow)."
                ) from error
            except (ImportError, AttributeError) as error:
                raise ConfigError(
                    f"neural-tangents does not import beside jax {jax.__version__}: {error}. Tested are {TESTED}."
                ) from error
        if _EXPERIMENTAL in modules:
            vars(nt).pop("experimental", None)  # a user who asks for it by name gets the real one

        # `jax.core.eval_context` is gone. Its purpose, to leave a trace, is met by doing nothing: constants are
        # computed under the trace of whoever asks.
        view_of_core = _View(jax.core, **core, eval_context=contextlib.nullcontext)
        view_of_jax = _View(jax, core=view_of_core)
        for module, name, view in (
            ("neural_tangents.predict", "jax", view_of_jax),
            ("neural_tangents._src.stax.linear", "jax", view_of_jax),
            ("neural_tangents._src.empirical", "core", view_of_core),
        ):
            setattr(sys.modules[module], name, view)
    return nt


@contextlib.contextmanager
def _listed(modules: dict[str, types.ModuleType]) -> Iterator[None]:
    """Lists modules in ``sys.modules`` and takes them off it again."""
    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
