"""The context in which arrays of a dtype exist."""

import contextlib

import jax


class OfDtype:
    """Something that works in one dtype, whatever JAX's own default is.

    Attributes:
        dtype: "float32" or "float64".
    """

    dtype: str

    def precision(self) -> contextlib.AbstractContextManager:
        """The context in which arrays of the dtype exist."""
        return jax.enable_x64(True) if self.dtype == "float64" else contextlib.nullcontext()
