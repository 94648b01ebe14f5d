"""A formula of two variables, written in YAML: arithmetic alone, so that reading a specification runs nobody's code."""

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from lightning_gantk.errors import ConfigError

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, np.ufunc] = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
}
_NUMBERS = {"pi": np.pi, "e": np.e}


class Formula:
    """Such as ``x - 2 * sqrt(0.1 * y)``: numbers, pi, e, ``+ - * / **``, sqrt, exp, log, abs, min and max.

    Args:
        text: It, in the variables x and y.

    Raises:
        ConfigError: If it is anything else.
    """

    def __init__(self, text: str):
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
            self(np.ones(1), np.ones(1))
        except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
            told = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ConfigError(
                f"the formula {text!r} cannot be read ({told}): it takes numbers, x, y, {', '.join(_NUMBERS)}, "
                f"+ - * / ** and {', '.join(_FUNCTIONS)}."
            ) from error

    def __call__(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Values, elementwise; NaN or infinite where it has none."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(self._value(self._tree, {"x": x, "y": y}), np.broadcast(x, y).shape)

    def _value(self, node: ast.AST, variables: dict[str, np.ndarray]) -> Any:
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return float(number)
            case ast.Name(id=name) if name in variables:
                return variables[name]
            case ast.Name(id=name) if name in _NUMBERS:
                return _NUMBERS[name]
            case ast.UnaryOp(op=op, operand=inner) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._value(inner, variables))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](self._value(left, variables), self._value(right, variables))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                if len(args) != (wanted := _FUNCTIONS[name].nin):  # numpy would write into one more
                    raise ValueError(f"{name} takes {wanted} numbers, not {len(args)}")
                return _FUNCTIONS[name](*(self._value(one, variables) for one in args))
        raise ValueError(f"{ast.unparse(node)!r} is not allowed")

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"
