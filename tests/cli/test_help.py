"""What the help lists: the parts of this project, and not what torch comes with."""

import re

import pytest

from lightning_gantk import architectures, discriminators, generators, kernels, metrics
from lightning_gantk.cli import main


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """So that no name is broken in two."""
    monkeypatch.setenv("COLUMNS", "200")


def _listed(capsys, *words):
    with pytest.raises(SystemExit):
        main(["fit", *words])
    text = " ".join(capsys.readouterr().out.split())
    lists = re.findall(r"known subclasses: ([^)]*)\)", re.sub(r"(?<=[.,]) | (?=[.,])", "", text))
    return {name for one in lists for name in re.split(r",\s*", one)}


def _public(package, base):
    parts = {name: getattr(package, name) for name in package.__all__}
    return {
        name
        for name, one in parts.items()
        if isinstance(one, type) and issubclass(one, base) and not one.__abstractmethods__
    }


def _names(paths):
    """Of classes alone: the help gives the shortest path, which for the main ones is ``lightning_gantk``."""
    return {path.rpartition(".")[-1] for path in paths if path.startswith("lightning_gantk.")}


def test_help_of_fit_lists_the_parts_of_this_project(capsys):
    listed = _listed(capsys, "--help")
    for package, base in (
        (discriminators, discriminators.Discriminator),
        (generators, generators.Generator),
        (metrics, metrics.Quality),
    ):
        assert _public(package, base) <= _names(listed)
    assert not {name for name in listed if name.startswith("torch.") and not name.startswith("torch.optim.")}


@pytest.mark.parametrize("name", ["FiniteDiscriminator", "NTKDiscriminator"])
def test_help_of_a_discriminator_lists_losses_and_architectures(name, capsys):
    listed = _listed(capsys, f"--model.discriminator.help={name}")
    expected = _public(architectures, architectures.Architecture) | {"IPM", "LSGAN", "Vanilla", "Hinge"}
    assert expected <= _names(listed)
    assert (_public(kernels, kernels.Kernel) <= _names(listed)) == (name == "NTKDiscriminator")
    assert not {name for name in listed if name.startswith("torch.") and not name.startswith("torch.optim.")}


@pytest.mark.parametrize("name", ["MLP", "ResNet", "DCGAN"])
def test_help_of_an_architecture_explains_the_common_options(name, capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--model.discriminator=FiniteDiscriminator", f"--model.discriminator.architecture.help={name}"])
    text = " ".join(capsys.readouterr().out.split())
    for option, told in (("W_std", "Standard deviation of the weights"), ("base_width", "Of the standard param")):
        assert re.search(rf"architecture\.{option} {option.upper()} {told}", text)
