"""The common options: positional after an architecture's own, and in its signature."""

import inspect

import pytest

from lightning_gantk.architectures import DCGAN, MLP, ResNet
from lightning_gantk.errors import ConfigError

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


class Own(MLP):
    def __init__(self, top: str = "mean", *args, **options):
        super().__init__(2, *args, **options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP(depth=3), "^MLP has no option 'depth'; it may be one of .*hidden_layers"),
        (lambda: MLP(1, acitvation="relu"), r"^MLP has no option 'acitvation'; did you mean activation\?"),
        (lambda: ResNet(depth=3), r"^ResNet has no option 'depth'; did you mean block_depth\?"),
        (lambda: DCGAN(bstd=0.0), r"^DCGAN has no option 'bstd'; did you mean b_std or W_std\?"),
        (lambda: MLP(width=512), r"^MLP has no option 'width': .*FiniteDiscriminator\(MLP\(\), ..., width=512\)"),
        (lambda: Own(tpo="mean"), r"^Own has no option 'tpo'; did you mean top\?"),
        (lambda: MLP(1, "relu", 1.0, 1.0, False, "ntk", None, 3), "^MLP has 7 options, hidden_.*got 1 values too many"),
        (lambda: MLP(W_std="1"), "'W_std' must be positive, got '1'"),
        (lambda: MLP(b_std=True), r"'b_std' must be null \(no bias\) or at least 0, got True"),
        (lambda: MLP().network(8, 2), r"'in_shape'.*got 2: vectors of 2 coordinates have the shape \(2,\)"),
    ],
)
def test_what_nobody_takes_is_refused_in_the_name_of_the_class_that_was_called(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
