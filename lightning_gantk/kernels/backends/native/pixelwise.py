"""Layers that work on each pixel of a pair by itself, as C++: ``recursions.pixelwise`` traced on single numbers.

Derivatives are JAX's. Those that are not 0 are kept on the way forward, and the way back multiplies by them. A layer is
compiled once for a machine, and known to the library by a number that is made from its code.
"""

import ctypes
import functools
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from lightning_gantk.architectures.layers import Layer
from lightning_gantk.kernels.backends.native import compiler, library
from lightning_gantk.kernels.backends.native.codegen import NoNativeForm, Value, Writer, constant
from lightning_gantk.kernels.recursions import Pairs, Tape, marginals, pixelwise

log = logging.getLogger(__name__)
_DERIVATIVES = {"values": (), "one": ("x",), "both": ("x", "p")}


@dataclass(frozen=True)
class Code:
    """A layer in the library.

    Attributes:
        entries: Numbers on the tape of a sample, for each of its pixels.
        plain: Its number without exact differences.
        exact: Its number with them.
    """

    entries: int
    plain: int
    exact: int


def code_of(layer: Layer, *, ntk: bool) -> Code | None:
    """A pixelwise layer, compiled and registered; None where it has no native form, which the log says."""
    try:
        return _code_of(layer, ntk)
    except TypeError:  # a layer of somebody's own that cannot be hashed
        return _code_of.__wrapped__(layer, ntk)


@functools.cache
def _code_of(layer: Layer, ntk: bool) -> Code | None:
    try:
        entries, source = source_of(layer, ntk=ntk)
    except NoNativeForm as reason:
        log.info("%r runs in JAX and not natively: %s.", layer, reason)
        return None
    number = int.from_bytes(hashlib.sha256(source.encode()).digest()[:7], "little") * 2
    compiled = ctypes.CDLL(str(compiler.built("layer", {"layer.cc": source})))
    for offset, name in enumerate(("gantk_plain", "gantk_exact")):
        function = getattr(compiled, name)
        function.restype = ctypes.c_void_p
        library.load().gantk_register_layer(ctypes.c_int64(number + offset), ctypes.c_void_p(function()))
    return Code(entries, number, number + 1)


def source_of(layer: Layer, *, ntk: bool) -> tuple[int, str]:
    """Entries on the tape for each pixel, and the C++.

    Raises:
        NoNativeForm: If the layer has an operation that cannot be written in C++ here, or another number of tape
            entries than one.
    """
    tape: Tape = []
    with _single():
        jax.eval_shape(lambda q: (marginals(layer, q, tape), [tuple(entry) for entry in tape])[0], _number((1,)))
        if len(tape) != 1:
            raise NoNativeForm(f"it writes {len(tape)} tape entries where a pixelwise layer writes one")
        entries = len(tape[0])
        spaces = [
            f"namespace {name} {{\n{_functions(layer, entries, ntk=ntk, exact=exact)}\n}}  // namespace {name}\n"
            for name, exact in (("plain", False), ("exact", True))
        ]
    tables = [
        f'extern "C" const Pixelwise* gantk_{name}() {{\n'
        f"  static const Pixelwise layer{{{name}::KEPT_ONE, {name}::KEPT_BOTH, {name}::values, {name}::one, "
        f"{name}::both, {name}::back_one, {name}::back_both}};\n  return &layer;\n}}\n"
        for name in ("plain", "exact")
    ]
    return entries, "\n".join([f"// {layer!r}", '#include "pixelwise.h"\n', *spaces, *tables])


def _functions(layer: Layer, entries: int, *, ntk: bool, exact: bool) -> str:
    """The five functions of ``struct Pixelwise``."""
    texts, counts = [], {}
    for name, sides in _DERIVATIVES.items():
        writer = Writer()
        state = [Value(text, "V") for text in ("v", "theta", "difference")]
        tapes = {
            "x": [Value(f"x{e}", "V") for e in range(entries)],
            "p": [Value(f"p{e}", "float") for e in range(entries)],
        }
        arguments = [*state, *tapes["x"], *tapes["p"]]
        inputs = {"v": 0, **({"theta": 1} if ntk else {})}
        for side in sides:
            start = 3 if side == "x" else 3 + entries
            inputs |= {f"{side}{e}": start + e for e in range(entries)}
        outputs = ["v", *(["theta"] if ntk else []), *(["difference"] if exact else [])]
        function = functools.partial(_outputs, layer, entries, ntk, exact)
        results = writer.run(function, arguments)
        derivatives: dict[tuple[str, str], Value] = {}
        for given, index in inputs.items() if sides else ():
            slopes = writer.run(functools.partial(_slopes, function, index), arguments)
            derivatives |= {(taken, given): slope for taken, slope in zip(outputs[: 1 + ntk], slopes, strict=False)}
        kept = list({d.text: d for d in derivatives.values() if d.known is None}.values())
        counts[name] = len(kept)
        texts.append(_forward(name, entries, writer, dict(zip(outputs, results, strict=True)), kept))
        if sides:
            texts.append(_back(name, entries, derivatives, kept, ntk=ntk, sides=sides))
    sizes = f"constexpr int64_t KEPT_ONE = {counts['one']}, KEPT_BOTH = {counts['both']};\n"
    return "\n".join([sizes, *texts])


def _outputs(layer: Layer, entries: int, ntk: bool, exact: bool, *arguments: Any) -> list[jax.Array]:
    """The layer on single numbers: v, theta and difference as far as there are any."""
    v, theta, difference, *sides = arguments
    given = Pairs(v, theta if ntk else None, difference if exact else None, ntk)
    state = pixelwise(layer, given, tuple(sides[:entries]), tuple(sides[entries:]))
    results = [state.v, state.theta, state.difference]
    return [jnp.asarray(result, jnp.float32) for result in results if result is not None]


def _slopes(function: Callable, index: int, *arguments: Any) -> list[jax.Array]:
    """Derivatives of ``function`` in one of its arguments; the others are constants to JAX, which costs nothing."""

    def of(argument: jax.Array) -> list[jax.Array]:
        return function(*arguments[:index], argument, *arguments[index + 1 :])

    return jax.jvp(of, (arguments[index],), (jnp.ones((), jnp.float32),))[1]


def _forward(name: str, entries: int, writer: Writer, results: dict[str, Value], kept: list[Value]) -> str:
    lines = writer.statements([*results.values(), *kept])
    unused = "[[maybe_unused]] const"
    reads = [f"{unused} V {state} = a.{state}[j];" for state in ("v", "theta", "difference")]
    reads += [f"{unused} V x{e} = x[{e} * a.n + j];" for e in range(entries)]
    reads += [f"{unused} float p{e} = p[{e} * np + k];" for e in range(entries)]
    writes = [f"{out}_out[j] = wide({value.text});" for out, value in results.items()]
    writes += [f"kept[{i} * a.n + j] = wide({value.text});" for i, value in enumerate(kept)]
    body = "\n      ".join([*reads, *lines, *writes])
    return f"""template <bool WIDE>
static void {name}_of(const Pixels& a) {{
  [[maybe_unused]] const V* __restrict x = a.x;
  [[maybe_unused]] const float* __restrict p = a.p;
  [[maybe_unused]] V* __restrict v_out = a.v_out;
  [[maybe_unused]] V* __restrict theta_out = a.theta_out;
  [[maybe_unused]] V* __restrict difference_out = a.difference_out;
  [[maybe_unused]] V* __restrict kept = a.kept;
  [[maybe_unused]] const int64_t np = WIDE ? 1 : a.n;
  for (int64_t j = 0; j < a.n; ++j) {{
      [[maybe_unused]] const int64_t k = WIDE ? 0 : j;
      {body}
  }}
}}
static void {name}(const Pixels& a) {{ a.np == 1 ? {name}_of<true>(a) : {name}_of<false>(a); }}
"""


def _back(
    name: str,
    entries: int,
    derivatives: dict[tuple[str, str], Value],
    kept: list[Value],
    *,
    ntk: bool,
    sides: tuple[str, ...],
) -> str:
    places = {value.text: f"kept[{i} * a.n + j]" for i, value in enumerate(kept)}

    def adjoint(given: str) -> str | None:
        """Of an argument, from those of the results."""
        terms = []
        for taken in ("v", "theta"):
            slope = derivatives.get((taken, given), constant(0.0))
            if slope.known != 0:
                terms.append(f"{places.get(slope.text, slope.text)} * {taken}")
        return " + ".join(terms) or None

    lines = []
    for given in ("v", "theta")[: 1 + ntk]:
        text = adjoint(given)
        lines.append(f"put(a.{given}_in + j, {text or 'V{}'});")
    sums = []
    for e in range(entries):
        if (text := adjoint(f"x{e}")) is not None:
            lines.append(f"a.x_bar[{e} * a.n + j] += a.weight * ({text});")
        if "p" in sides and (text := adjoint(f"p{e}")) is not None:
            lines.append(
                f"if (WIDE) sum{e} += ({text}) * a.weights[j]; "
                f"else a.p_bar[{e} * a.n + j] += total(({text}) * a.weights[0]);"
            )
            sums.append(e)
    start = "".join(f"V sum{e} = {{}};\n  " for e in sums)
    end = "".join(f"  if (WIDE) a.p_bar[{e}] += total(sum{e});\n" for e in sums)
    theta = "theta = a.theta[j]" if ntk else "theta = {}"
    body = "\n      ".join(lines)
    return f"""template <bool WIDE, bool FRESH>
static void back_{name}_of(const Adjoints& a) {{
  [[maybe_unused]] const V* __restrict kept = a.kept;
  auto put = [](V* at, V value) {{ *at = FRESH ? value : *at + value; }};
  {start}for (int64_t j = 0; j < a.n; ++j) {{
      [[maybe_unused]] const V v = a.v[j], {theta};
      {body}
  }}
{end}}}
static void back_{name}(const Adjoints& a) {{
  if (a.np == 1) a.fresh ? back_{name}_of<true, true>(a) : back_{name}_of<true, false>(a);
  else a.fresh ? back_{name}_of<false, true>(a) : back_{name}_of<false, false>(a);
}}
"""


def _number(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _single() -> Any:
    """Traced in float32, whatever JAX's switch says where the kernel is asked for."""
    return jax.enable_x64(False)
