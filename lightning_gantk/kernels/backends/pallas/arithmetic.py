"""Arithmetic as a GPU does it best: products are added in one step, and divisions and roots are approximate ones.

Triton, as XLA runs it, rounds every product by itself, which takes two instructions where the GPU has one; and an
activation is polynomials for the most part. ``contracted`` traces a function and puts it together anew with that one.
None rounds worse: a fused multiply-add rounds once, and reciprocals, of numbers and of roots, are right to two units.
Numbers below 1e-38 are zeros to them; what Triton takes for them guards those, by as many instructions again.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental.pallas import triton

Array = jax.Array
_CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}
_SUMS = ("add", "sub", "add_any")


class _Product(NamedTuple):
    """Of two factors, not yet multiplied."""

    a: Any
    b: Any


def contracted(function: Callable[..., Any], *, interpret: bool) -> Callable[..., Any]:
    """A function of pytrees of float32 blocks, with fused multiply-adds.

    Args:
        function: Elementwise for the most part.
        interpret: Whether it runs without a GPU: then multiply-adds are a product and a sum.
    """
    operations = _Plain if interpret else _Gpu

    def run(*arguments: Any) -> Any:
        leaves, form = jax.tree.flatten(arguments)
        flat, shapes = jax.make_jaxpr(lambda *a: function(*jax.tree.unflatten(form, a)), return_shape=True)(*leaves)
        results = _evaluated(flat.jaxpr, flat.consts, leaves, operations)
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return run


class _Plain:
    @staticmethod
    def fma(a: Array, b: Array, c: Array) -> Array:
        return a * b + c

    @staticmethod
    def divide(a: Array, b: Array) -> Array:
        return a / b

    rsqrt = staticmethod(jax.lax.rsqrt)


class _Gpu:
    @staticmethod
    def fma(a: Array, b: Array, c: Array) -> Array:
        return _assembly("fma.rn.f32 $0, $1, $2, $3;", a, b, c)

    @staticmethod
    def divide(a: Array, b: Array) -> Array:
        return a * _assembly("rcp.approx.ftz.f32 $0, $1;", b)

    @staticmethod
    def rsqrt(a: Array) -> Array:
        return _assembly("rsqrt.approx.ftz.f32 $0, $1;", a)


def _assembly(text: str, *arguments: Array) -> Array:
    like = jax.ShapeDtypeStruct(arguments[0].shape, jnp.float32)
    constraints = ",".join(["=f", *["f"] * len(arguments)])
    (result,) = triton.elementwise_inline_asm(
        text, args=arguments, constraints=constraints, pack=1, result_shape_dtypes=[like]
    )
    return result


def _evaluated(jaxpr: Any, constants: Any, arguments: Any, operations: Any) -> list[Any]:
    """The results of a jaxpr."""
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*constants, *arguments], strict=True))
    summed = _only_summed(jaxpr)

    def read(variable: Any) -> Any:
        return variable.val if hasattr(variable, "val") else values[variable]

    def block(value: Any, shape: tuple[int, ...]) -> Array:
        return jnp.broadcast_to(jnp.asarray(_whole(value), jnp.float32), shape)

    for equation in jaxpr.eqns:
        name, outputs, given = equation.primitive.name, equation.outvars, [read(v) for v in equation.invars]
        shape = getattr(outputs[0].aval, "shape", ())
        ours = bool(shape) and outputs[0].aval.dtype == jnp.float32
        if (
            ours
            and outputs[0] in summed
            and (name == "square" or (name == "integer_pow" and equation.params["y"] == 2))
        ):
            values[outputs[0]] = _Product(_whole(given[0]), _whole(given[0]))
        elif ours and outputs[0] in summed and name == "mul":
            values[outputs[0]] = _Product(*map(_whole, given))
        elif ours and name in _SUMS and any(isinstance(value, _Product) for value in given):
            first, second = given
            sign = -1 if name == "sub" else 1
            if isinstance(first, _Product):
                factors, rest = first, block(second, shape)
                rest = rest if sign > 0 else -rest
            else:
                factors, rest = second, block(first, shape)
            a = block(factors.a, shape)
            a = -a if sign < 0 and not isinstance(first, _Product) else a
            values[outputs[0]] = operations.fma(a, block(factors.b, shape), rest)
        elif ours and name == "div":
            values[outputs[0]] = operations.divide(*(block(value, shape) for value in given))
        elif ours and name == "rsqrt":
            values[outputs[0]] = operations.rsqrt(block(given[0], shape))
        elif name in _CALLS:
            inner = equation.params[_CALLS[name]]
            results = _evaluated(inner.jaxpr, inner.consts, [_whole(value) for value in given], operations)
            values.update(zip(outputs, results, strict=True))
        else:
            results = equation.primitive.bind(*map(_whole, given), **equation.params)
            values.update(zip(outputs, results if equation.primitive.multiple_results else [results], strict=True))
    return [_whole(read(variable)) for variable in jaxpr.outvars]


def _whole(value: Any) -> Any:
    return value.a * value.b if isinstance(value, _Product) else value


def _only_summed(jaxpr: Any) -> set[Any]:
    """Variables that are terms of sums and nothing else."""
    uses: Counter = Counter()
    sums: Counter = Counter()
    for equation in jaxpr.eqns:
        for variable in equation.invars:
            if not hasattr(variable, "val"):
                uses[variable] += 1
                sums[variable] += equation.primitive.name in _SUMS
    results = {variable for variable in jaxpr.outvars if not hasattr(variable, "val")}
    return {variable for variable, count in uses.items() if count == sums[variable]} - results
