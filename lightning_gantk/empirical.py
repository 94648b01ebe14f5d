"""The neural tangent kernel of a finite torch network: ``Theta(x, y) = J(x) J(y)^T``, J the derivative in the weights.

Three ways to the same numbers (Novak, Sohl-Dickstein and Schoenholz, "Fast finite width neural tangent kernel", ICML
2022): contract whole Jacobians; one backward and one forward-mode pass for each pair; or contract layer by layer, where
a dense layer's part is ``(a_x . a_y) D_x D_y^T`` with a its input and D the backpropagated signal, and no vector of all
weights is ever made. Samples must not see each other: BatchNorm in training has no kernel.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, jvp, vjp, vmap

from lightning_gantk.architectures.layers import NTKDense
from lightning_gantk.errors import ConfigError

Outputs = Literal["trace", "full", "sum"]
Method = Literal["auto", "jacobian", "products", "structured"]

_JACOBIANS = 2**29  # numbers that two Jacobians may hold for "auto" to take them
_CHUNK = 2**26  # numbers of one batch of Jacobians


def empirical_ntk(
    network: nn.Module, x: Tensor, y: Tensor | None = None, outputs: Outputs = "trace", method: Method = "auto"
) -> Tensor:
    """The kernel of a network with O outputs, ``(N,)`` counting as one.

    Args:
        network: Any torch module that maps ``(N, ...)`` to ``(N,)`` or ``(N, O)``, each sample by itself.
        x: ``(N, ...)``.
        y: ``(M, ...)``; x where none is given.
        outputs: "full" for all pairs of outputs, "trace" for the mean of those of an output with itself, "sum" for the
            kernel of one output, the sum of all over sqrt O: the pNTK of Mohamadi, Bae and Sutherland (ICML 2023).
        method: "jacobian", "products", "structured" (dense layers alone), or "auto": the one with the fewest
            operations.

    Returns:
        ``(N, M)``, or ``(N, M, O, O)`` where ``outputs`` is "full"; without a graph.

    Raises:
        ConfigError: If an argument is not one of those allowed, or the network has layers of another kind.
    """
    if outputs not in ("trace", "full", "sum"):
        raise ConfigError(f"'outputs' must be 'trace', 'full' or 'sum', got {outputs!r}.")
    if method not in ("auto", *_METHODS):
        raise ConfigError(f"'method' must be 'auto', {', '.join(map(repr, _METHODS))}, got {method!r}.")
    y = x if y is None else y
    with torch.no_grad():
        count = _scores(network, x[:1]).shape[1]
    if method == "auto":
        method = cheapest(network, len(x), len(y), 1 if outputs == "sum" else count)
    function = _of_sum if outputs == "sum" else _scores
    full = _METHODS[method](network, function, x, y).detach()
    if outputs == "full":
        return full
    return full.diagonal(dim1=2, dim2=3).mean(2)


def cheapest(network: nn.Module, n: int, m: int, outputs: int) -> Literal["jacobian", "products", "structured"]:
    """The way with the fewest multiplications for n and m samples, taking a pass to cost two for each weight."""
    weights = sum(parameter.numel() for parameter in network.parameters())
    costs: dict[Literal["jacobian", "products", "structured"], float] = {
        "jacobian": (n + m) * outputs * 4 * weights + n * m * outputs**2 * weights,
        "products": n * m * outputs * 8 * weights,
    }
    if (n + m) * outputs * weights > _JACOBIANS:
        del costs["jacobian"]
    if not _unstructured(network):
        per_pair = sum(_inputs(layer) + outputs**2 * layer.weight.shape[0] for layer in _dense(network).values())
        costs["structured"] = (n + m) * outputs * 4 * weights + n * m * per_pair
    return min(costs, key=lambda name: costs[name])


def features(network: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Tensor:
    """``grad_theta sum_o f_o(x) / sqrt O``, ``(N, P)``: of a scalar network the rows of its Jacobian."""

    def one(sample: Tensor) -> dict[str, Tensor]:
        return torch.func.grad(lambda p: _of_sum(_with(network, p), sample[None])[0, 0])(parameters)

    return torch.cat([part.flatten(1) for part in vmap(one, randomness="error")(x).values()], 1)


def _scores(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``(N, O)``."""
    values = network(x)
    if len(values) != len(x) or values.ndim not in (1, 2):
        raise ConfigError(f"A network must give (N,) or (N, O) for N samples; got {tuple(values.shape)} for {len(x)}.")
    return values.view(len(x), -1)


def _of_sum(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``(N, 1)``."""
    values = _scores(network, x)
    return values.sum(1, keepdim=True) / values.shape[1] ** 0.5


def _with(network: nn.Module, parameters: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: functional_call(network, parameters, (x,))


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Those of a network by name, without a graph."""
    return {name: parameter.detach() for name, parameter in network.named_parameters()}


def _by_jacobians(network: nn.Module, function: Callable, x: Tensor, y: Tensor) -> Tensor:
    parameters = parameters_of(network)

    def rows(samples: Tensor) -> Tensor:
        """``(N, O, P)``."""

        def one(sample: Tensor) -> Any:
            return jacrev(lambda p: function(_with(network, p), sample[None])[0])(parameters)

        weights = sum(parameter.numel() for parameter in parameters.values())
        parts = vmap(one, chunk_size=max(1, _CHUNK // weights))(samples)
        return torch.cat([part.flatten(2) for part in parts.values()], 2)

    of_x = rows(x)
    return torch.einsum("nop,mqp->nmoq", of_x, of_x if y is x else rows(y))


def _by_products(network: nn.Module, function: Callable, x: Tensor, y: Tensor) -> Tensor:
    parameters = parameters_of(network)

    def pair(one: Tensor, other: Tensor) -> Tensor:
        """``(O, O)``: the columns are forward-mode derivatives along the rows of the other's Jacobian."""

        def at(sample: Tensor) -> Callable[[dict[str, Tensor]], Tensor]:
            return lambda p: function(_with(network, p), sample[None])[0]

        values, pullback, *_ = vjp(at(other), parameters)

        def column(direction: Tensor) -> Tensor:
            return jvp(at(one), (parameters,), (pullback(direction)[0],))[1]

        return vmap(column, out_dims=1)(torch.eye(len(values)).to(values))

    def row(one: Tensor) -> Tensor:
        return vmap(lambda other: pair(one, other))(y)

    return torch.stack([row(one) for one in x])


def _by_layers(network: nn.Module, function: Callable, x: Tensor, y: Tensor) -> Tensor:
    if others := _unstructured(network):
        raise ConfigError(
            "method='structured' takes networks whose weights are all in dense layers on (N, features); of this one "
            f"{', '.join(others)} are not: take 'jacobian' or 'products'."
        )
    total = None
    for (a_x, d_x, layer), (a_y, d_y, _) in zip(*(_signals(network, function, s) for s in (x, y)), strict=True):
        scale, of_bias = (layer.scale, layer.b_std or 0.0) if isinstance(layer, NTKDense) else (1.0, 1.0)
        inner = scale**2 * (a_x @ a_y.T) + (0 if layer.bias is None else of_bias**2)
        part = inner[:, :, None, None] * torch.einsum("noi,mqi->nmoq", d_x, d_y)
        total = part if total is None else total + part
    assert total is not None  # a network without weights has no outputs of a graph
    return total


def _signals(
    network: nn.Module, function: Callable, samples: Tensor
) -> list[tuple[Tensor, Tensor, "nn.Linear | NTKDense"]]:
    """Of every dense layer its inputs ``(N, I)`` and the derivatives of the outputs in what it gives, ``(N, O, W)``."""
    seen: list[tuple[Tensor, Tensor, nn.Linear | NTKDense]] = []

    def keep(layer: nn.Linear | NTKDense, inputs: tuple[Tensor], given: Tensor) -> Tensor:
        if inputs[0].ndim != 2:
            raise ConfigError(
                f"method='structured' takes dense layers on (N, features); one was given {tuple(inputs[0].shape)}."
            )
        seen.append((inputs[0].detach(), given, layer))
        return given.clone()  # which an activation may overwrite in place

    layers = _dense(network).values()
    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with torch.enable_grad():
            scores = function(network, samples.detach().requires_grad_())  # weights may be frozen
            if len(seen) != len(layers):
                raise ConfigError("method='structured' takes networks that call each dense layer once.")
            given = [each[1] for each in seen]
            by_output = [
                torch.autograd.grad(scores[:, o].sum(), given, retain_graph=True) for o in range(scores.shape[1])
            ]
    finally:
        for handle in handles:
            handle.remove()
    signals = [torch.stack(parts, 1) for parts in zip(*by_output, strict=True)]
    return [(a, d, layer) for (a, _, layer), d in zip(seen, signals, strict=True)]


def _dense(network: nn.Module) -> dict[str, "nn.Linear | NTKDense"]:
    return {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear | NTKDense)}


def _unstructured(network: nn.Module) -> list[str]:
    """Names of parameters that are not just the weight or the bias of one dense layer."""
    uses = Counter(id(parameter) for _, parameter in network.named_parameters(remove_duplicate=False))
    own = set()
    for layer in _dense(network).values():
        parameters = dict(layer.named_parameters(recurse=False))
        own |= {id(parameters[name]) for name in ("weight", "bias") if name in parameters and "weight" in parameters}
    inside = {one for one in own if uses[one] == 1}  # others are tied
    return [name for name, parameter in network.named_parameters() if id(parameter) not in inside]


def _inputs(layer: "nn.Linear | NTKDense") -> int:
    return layer.weight.shape[1]


_METHODS: dict[str, Callable[[nn.Module, Callable, Tensor, Tensor], Tensor]] = {
    "jacobian": _by_jacobians,
    "products": _by_products,
    "structured": _by_layers,
}
