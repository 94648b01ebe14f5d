"""C++ from JAX expressions of single numbers: an expression is traced, and each of its operations written down.

A number is a ``V`` (one for each lane, see ``lanes.h``) or a ``float`` (one for all of them, as a training point's
are); comparisons give an ``I`` or a ``bool``. What is known when the code is written (0 times anything, what stands
twice) is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend import core


class NoNativeForm(Exception):
    """An operation that has no C++ here."""


@dataclass(frozen=True)
class Value:
    """A number in the code: its text and its type, and what it is where that is known.

    Attributes:
        text: An expression or a name.
        type: "V", "float", "I" or "bool".
        known: The number, or None.
    """

    text: str
    type: str
    known: float | bool | None = None

    @property
    def mask(self) -> bool:
        """Whether it is the outcome of a comparison."""
        return self.type in ("I", "bool")


def constant(number: float | bool) -> Value:
    """A number that is known."""
    if isinstance(number, bool | np.bool_):
        return Value("true" if number else "false", "bool", bool(number))
    number = float(np.float32(number))
    if not np.isfinite(number):
        text = "NAN" if np.isnan(number) else "INFINITY" if number > 0 else "-INFINITY"
        return Value(text, "float", number)
    return Value(f"{number.hex()}f", "float", number)


class Writer:
    """Statements in the making: one for each value that is not known, none twice."""

    def __init__(self) -> None:
        self._values: dict[str, Value] = {}
        self._needs: dict[str, list[str]] = {}

    def name(self, text: str, kind: str, *parts: Value) -> Value:
        """The value of an expression of some others, under a name of its own."""
        if text not in self._values:
            name = f"t{len(self._values)}"
            self._values[text] = Value(name, kind)
            self._needs[name] = [part.text for part in parts]
        return self._values[text]

    def statements(self, results: Sequence[Value]) -> list[str]:
        """What it takes to have these values."""
        needed, open_ = set(), [result.text for result in results]
        while open_:
            name = open_.pop()
            if name in self._needs and name not in needed:
                needed.add(name)
                open_ += self._needs[name]
        lines = ((value, text) for text, value in self._values.items() if value.text in needed)
        return [f"const {value.type} {value.text} = {text};" for value, text in lines]

    def run(self, function: Callable[..., Any], arguments: Sequence[Value]) -> list[Value]:
        """The results of a JAX function of float32 scalars, flattened."""
        closed = jax.make_jaxpr(function)(*[jax.ShapeDtypeStruct((), np.float32)] * len(arguments))
        return self._run(closed.jaxpr, [constant(np.asarray(c).item()) for c in closed.consts], arguments)

    def _run(self, jaxpr: core.Jaxpr, constants: Sequence[Value], arguments: Sequence[Value]) -> list[Value]:
        known: dict[Any, Value] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))

        def read(atom: Any) -> Value:
            return constant(np.asarray(atom.val).item()) if isinstance(atom, core.Literal) else known[atom]

        for equation in jaxpr.eqns:
            given = [read(atom) for atom in equation.invars]
            inner = equation.params.get("call_jaxpr", equation.params.get("jaxpr"))
            if inner is not None:
                results = self._run(inner.jaxpr, [constant(np.asarray(c).item()) for c in inner.consts], given)
            else:
                name = equation.primitive.name
                if name not in _OPERATIONS:
                    raise NoNativeForm(f"the operation {name!r} has no native form")
                results = [_OPERATIONS[name](self, given, equation.params)]
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]


def _type(values: Sequence[Value]) -> str:
    mask, many = values[0].mask, any(value.type in ("V", "I") for value in values)
    return ("I" if many else "bool") if mask else ("V" if many else "float")


def _infix(sign: str, fold: Callable[[Any, Any], Any], shortcut: Callable[[Value, Value], Value | None]) -> Callable:
    def operation(writer: Writer, given: list[Value], _: dict) -> Value:
        a, b = given
        if a.known is not None and b.known is not None:
            return constant(fold(a.known, b.known))
        short = shortcut(a, b)
        return short if short is not None else writer.name(f"{a.text} {sign} {b.text}", _type(given), a, b)

    return operation


def _add(a: Value, b: Value) -> Value | None:
    return b if a.known == 0 else a if b.known == 0 else None


def _multiply(a: Value, b: Value) -> Value | None:
    if 0 in (a.known, b.known):
        return constant(0.0)
    return b if a.known == 1 else a if b.known == 1 else None


def _negate(writer: Writer, given: list[Value], _: dict | None = None) -> Value:
    (a,) = given
    return constant(-a.known) if a.known is not None else writer.name(f"-{a.text}", a.type, a)


def _subtract(writer: Writer, given: list[Value], _: dict) -> Value:
    a, b = given
    if a.known is not None and b.known is not None:
        return constant(a.known - b.known)
    if b.known == 0:
        return a
    if a.known == 0:
        return _negate(writer, [b])
    return writer.name(f"{a.text} - {b.text}", _type(given), a, b)


def _compare(sign: str, fold: Callable[[Any, Any], bool]) -> Callable:
    def operation(writer: Writer, given: list[Value], _: dict) -> Value:
        a, b = given
        if a.known is not None and b.known is not None:
            return constant(bool(fold(a.known, b.known)))
        return writer.name(f"{a.text} {sign} {b.text}", "I" if _type(given) == "V" else "bool", a, b)

    return operation


def _logical(sign: str, short: bool) -> Callable:
    """``&`` (short: False) or ``|`` (short: True) of masks."""

    def operation(writer: Writer, given: list[Value], _: dict) -> Value:
        a, b = given
        for one, other in ((a, b), (b, a)):
            if one.known is not None:
                return constant(short) if one.known == short else other
        if _type(given) == "I":
            return writer.name(f"wide({a.text}) {sign} wide({b.text})", "I", a, b)
        return writer.name(f"{a.text} {sign} {b.text}", "bool", a, b)

    return operation


def _not(writer: Writer, given: list[Value], _: dict) -> Value:
    (a,) = given
    if a.known is not None:
        return constant(not a.known)
    return writer.name(f"{'~' if a.type == 'I' else '!'}{a.text}", a.type, a)


def _select(writer: Writer, given: list[Value], _: dict) -> Value:
    which, no, yes = given  # which is a mask: its first case is that of False
    if which.known is not None:
        return yes if which.known else no
    if yes == no:
        return yes
    many = "V" in (no.type, yes.type) or which.type == "I"
    if no.mask:
        raise NoNativeForm("a choice between comparisons has no native form")
    if not many:
        return writer.name(f"{which.text} ? {yes.text} : {no.text}", "float", which, yes, no)
    return writer.name(f"{which.text} ? wide({yes.text}) : wide({no.text})", "V", which, yes, no)


def _function(name: str, fold: Callable[..., float]) -> Callable:
    """A function of ``lanes.h``."""

    def operation(writer: Writer, given: list[Value], _: dict) -> Value:
        if all(value.known is not None for value in given):
            return constant(fold(*(value.known for value in given)))
        return writer.name(f"{name}({', '.join(value.text for value in given)})", _type(given), *given)

    return operation


def _each(name: str, fold: Callable[..., float]) -> Callable:
    """A function of the C++ library, lane by lane."""

    def operation(writer: Writer, given: list[Value], _: dict) -> Value:
        if all(value.known is not None for value in given):
            return constant(fold(*(value.known for value in given)))
        arguments = ", ".join(f"float a{i}" for i in range(len(given)))
        call = f"std::{name}({', '.join(f'a{i}' for i in range(len(given)))})"
        if _type(given) == "float":
            return writer.name(f"std::{name}({', '.join(value.text for value in given)})", "float", *given)
        values = ", ".join(f"wide({value.text})" for value in given)
        return writer.name(f"each([]({arguments}) {{ return {call}; }}, {values})", "V", *given)

    return operation


def _power(writer: Writer, given: list[Value], parameters: dict) -> Value:
    (a,), y = given, parameters["y"]
    if a.known is not None:
        return constant(a.known**y)
    result = a
    for _ in range(abs(y) - 1):
        result = writer.name(f"{result.text} * {a.text}", a.type, result, a)
    if y < 0:
        result = writer.name(f"1.0f / {result.text}", a.type, result)
    return constant(1.0) if y == 0 else result


def _converted(writer: Writer, given: list[Value], parameters: dict) -> Value:
    (a,), to = given, np.dtype(parameters["new_dtype"])
    if to == np.bool_:
        if a.mask:
            return a
        raise NoNativeForm("a number taken for true or false has no native form")
    if a.known is not None:
        return constant(float(a.known))
    if not a.mask:
        return a
    if a.type == "bool":
        return writer.name(f"{a.text} ? 1.0f : 0.0f", "float", a)
    return writer.name(f"{a.text} ? splat(1.0f) : splat(0.0f)", "V", a)


def _same(writer: Writer, given: list[Value], _: dict) -> Value:
    return given[0]


_OPERATIONS: dict[str, Callable[[Writer, list[Value], dict], Value]] = {
    "add": _infix("+", lambda a, b: a + b, _add),
    "add_any": _infix("+", lambda a, b: a + b, _add),
    "mul": _infix("*", lambda a, b: a * b, _multiply),
    "sub": _subtract,
    "div": _infix("/", lambda a, b: a / b, lambda a, b: constant(0.0) if a.known == 0 else a if b.known == 1 else None),
    "neg": _negate,
    "max": _function("larger", max),
    "min": _function("smaller", min),
    "abs": lambda writer, given, _: _function("larger", max)(writer, [given[0], _negate(writer, given)], {}),
    "square": lambda writer, given, _: _power(writer, given, {"y": 2}),
    "integer_pow": _power,
    "rsqrt": _function("inverse_root", lambda a: a**-0.5),
    "sqrt": _function("root", lambda a: a**0.5),
    "exp": _function("exponential", np.exp),
    "expm1": _function("exponential_less_one", np.expm1),
    "lt": _compare("<", lambda a, b: a < b),
    "le": _compare("<=", lambda a, b: a <= b),
    "gt": _compare(">", lambda a, b: a > b),
    "ge": _compare(">=", lambda a, b: a >= b),
    "eq": _compare("==", lambda a, b: a == b),
    "ne": _compare("!=", lambda a, b: a != b),
    "and": _logical("&", short=False),
    "or": _logical("|", short=True),
    "not": _not,
    "select_n": _select,
    "convert_element_type": _converted,
    **dict.fromkeys(("copy", "copy_p", "broadcast_in_dim", "reshape", "squeeze", "stop_gradient"), _same),
    **{
        name: _each(cpp, fold)
        for name, cpp, fold in (
            ("sin", "sin", np.sin),
            ("cos", "cos", np.cos),
            ("tan", "tan", np.tan),
            ("tanh", "tanh", np.tanh),
            ("sinh", "sinh", np.sinh),
            ("cosh", "cosh", np.cosh),
            ("atan", "atan", np.arctan),
            ("atan2", "atan2", np.arctan2),
            ("asin", "asin", np.arcsin),
            ("acos", "acos", np.arccos),
            ("log", "log", np.log),
            ("log1p", "log1p", np.log1p),
            ("pow", "pow", np.power),
            ("floor", "floor", np.floor),
            ("erf", "erf", lambda a: float(jax.scipy.special.erf(a))),
        )
    },
}
