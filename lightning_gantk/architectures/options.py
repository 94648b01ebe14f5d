"""The options that every architecture of the package has: of its weights and of its activations."""

import inspect
from collections.abc import Mapping
from typing import Any, NoReturn

from lightning_gantk.architectures.activations import parse_activations
from lightning_gantk.architectures.base import Architecture, check_deviation
from lightning_gantk.architectures.standard import Parameterization, check_parameterization
from lightning_gantk.errors import ConfigError
from lightning_gantk.words import nearest

_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
ActivationLike = str | Mapping[str, Any] | list[str | Mapping[str, Any]]


class WithOptions(Architecture):
    """Keeps and checks the common options; a subclass takes those that it does not name as ``*args, **options``.

    The command line follows them here, and so shows them, with the help below, as options of the subclass.

    Args:
        activation: A name, a mapping with ``name`` and parameters, or a list of these: the sum of parallel branches.
        W_std: Standard deviation of the weights, before the division by sqrt(fan_in).
        b_std: Standard deviation of the biases; None for a network without biases.
        layer_norm: A LayerNorm (over the channels of each pixel) before each activation but the first.
        parameterization: "ntk", where a learning rate means the same at every width, or "standard", where weights are
            drawn with standard deviation W_std / sqrt(fan_in) and nothing is scaled; see ``architectures.standard``.
        base_width: Of the standard parameterization: the width at which the network is the plain one. The kernel needs
            it; a finite network without it is the plain one at every width.

    Raises:
        ConfigError: If an argument is not one of those allowed.
    """

    def __init__(
        self,
        activation: ActivationLike = "relu",
        W_std: float = 1.0,
        b_std: float | None = 1.0,
        layer_norm: bool = False,
        parameterization: Parameterization = "ntk",
        base_width: int | None = None,
        *more: Any,
        **unknown: Any,
    ):
        if more or unknown:
            self._refuse(len(more), *unknown)
        check_deviation("W_std", W_std, positive=True)
        check_deviation("b_std", b_std, positive=False)
        check_parameterization(parameterization, base_width)
        self.activation, self.W_std, self.b_std, self.layer_norm = activation, W_std, b_std, layer_norm
        self.parameterization: Parameterization = parameterization
        self.base_width = base_width
        self._activations = parse_activations(activation)

    def _refuse(self, more: int, *unknown: str) -> NoReturn:
        """Refuses options that nobody takes, in the name of the class that was called: they end up here."""
        name, known = type(self).__name__, list(inspect.signature(type(self)).parameters)
        if "width" in unknown:  # the nearest name, base_width, is another thing
            raise ConfigError(
                f"{name} has no option 'width': it describes networks of any width. A discriminator takes it, "
                f"FiniteDiscriminator({name}(), ..., width=512), or network(width, in_shape)."
            )
        if unknown:
            raise ConfigError(f"{name} has no option {unknown[0]!r}{nearest(unknown[0], known)}")
        raise ConfigError(f"{name} has {len(known)} options, {', '.join(known)}; got {more} values too many.")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Writes the options into the signature, in the place of ``*args, **options``."""
        super().__init_subclass__(**kwargs)
        _, *all_own = inspect.signature(cls.__init__).parameters.values()
        own = {one.name: one for one in all_own if one.kind not in _REST}
        base = cls.__base__
        assert base is not None  # object alone has none
        common = inspect.signature(base).parameters if len(own) < len(all_own) else {}
        inherited = [one for name, one in common.items() if name not in own and one.kind not in _REST]
        cls.__signature__ = inspect.Signature(sorted([*own.values(), *inherited], key=lambda one: one.kind))
