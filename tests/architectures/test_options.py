"""The common options: positional after an architecture's own, and in its signature."""

import inspect

import pytest

from lightning_gantk.architectures import DCGAN, MLP, ResNet

_ACTIVATION = ["activation", "W_std", "b_std", "layer_norm"]
_PARAMETERIZATION = ["parameterization", "base_width"]


@pytest.mark.parametrize(
    ("architecture", "names"),
    [
        (MLP, ["hidden_layers", *_ACTIVATION, *_PARAMETERIZATION]),
        (ResNet, ["blocks", "block_depth", *_ACTIVATION, *_PARAMETERIZATION]),
        (DCGAN, ["blocks", *_ACTIVATION, "top", *_PARAMETERIZATION]),
    ],
)
def test_options_take_their_place_in_the_signature_and_by_position(architecture, names):
    assert list(inspect.signature(architecture).parameters) == names
    values = {
        **dict.fromkeys(("hidden_layers", "blocks", "block_depth"), 1),
        "activation": "erf",
        "W_std": 2.0,
        "b_std": None,
        "layer_norm": True,
        "top": "global_average",
        "parameterization": "standard",
        "base_width": 8,
    }
    made = architecture(*(values[name] for name in names))
    assert {name: getattr(made, name) for name in names} == {name: values[name] for name in names}
    assert repr(made) == repr(architecture(**{name: values[name] for name in names}))


def test_options_of_a_subclass_that_takes_none_are_not_in_its_signature():
    class Shallow(MLP):
        def __init__(self, b_std: float = 0.5):
            super().__init__(1, b_std=b_std)

    assert list(inspect.signature(Shallow).parameters) == ["b_std"]
    assert repr(Shallow()) == "Shallow(b_std=0.5)"
