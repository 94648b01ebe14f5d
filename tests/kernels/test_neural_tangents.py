"""neural-tangents on today's JAX: it works, and it leaves nothing behind in JAX."""

import subprocess
import sys
import textwrap

import jax
import jax.core
import pytest

from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import neural_tangents


def _run(code, *path):
    """Runs code in a fresh interpreter, where nothing has been imported yet."""
    code = f"import sys; sys.path[:0] = {list(map(str, path))}\n" + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_load_leaves_jax_as_it_was():
    result = _run("""
        import jax, jax.core, jax.interpreters.ad, jax.extend.core, jax.example_libraries
        modules = (jax.core, jax.interpreters.ad, jax.extend.core)
        before = [dict(vars(module)) for module in modules]
        had_util = hasattr(jax, "util")
        from lightning_gantk.kernels.neural_tangents import load
        load()
        assert [dict(vars(module)) for module in modules] == before
        assert hasattr(jax, "util") == had_util and ("jax.util" in sys.modules) == had_util
        assert jax.config.jax_enable_x64 is False
    """)
    assert result.returncode == 0, result.stderr


def test_load_never_imports_tensorflow(tmp_path):
    for name in ("tensorflow", "tf2jax"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('TensorFlow was imported')")
    result = _run(
        """
        from lightning_gantk.kernels.neural_tangents import load
        load()
        assert not {"tensorflow", "tf2jax"} & set(sys.modules)
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_package_imports_without_jax(tmp_path):
    (tmp_path / "jax.py").write_text("raise ImportError('no JAX here')")
    result = _run(
        """
        import torch
        from lightning_gantk import GAN
        import lightning_gantk.callbacks, lightning_gantk.generators, lightning_gantk.metrics, datamodules
        from lightning_gantk.architectures import MLP
        from lightning_gantk.discriminators import FiniteDiscriminator, NTKDiscriminator
        from lightning_gantk.errors import ConfigError
        from lightning_gantk.losses import IPM
        finite = FiniteDiscriminator(MLP(), IPM(), width=8)
        finite.fit(torch.randn(4, 3), torch.randn(4, 3))
        assert finite(torch.randn(2, 3)).shape == (2,)
        try:
            NTKDiscriminator(MLP(), IPM())
        except ConfigError as error:
            assert "needs JAX" in str(error) and "finite" in str(error)
        else:
            raise AssertionError("no error")
        """,
        tmp_path,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_empirical_ntk_and_predict_work_under_jit():
    nt = neural_tangents.load()
    init, apply, kernel = nt.stax.serial(nt.stax.Dense(64), nt.stax.Erf(), nt.stax.Dense(1))
    x = jax.random.normal(jax.random.key(0), (3, 4))
    _, parameters = init(jax.random.key(1), x.shape)
    assert nt.empirical_ntk_fn(apply)(x, None, parameters).shape == (3, 3)
    predict = nt.predict.gradient_descent_mse(kernel(x, x, "ntk"), x[:, :1])
    assert jax.jit(lambda t: predict(t, x[:, :1]))(1.0).shape == (3, 1)


def test_missing_name_error_names_the_tested_versions(monkeypatch):
    with pytest.raises(ConfigError, match=r"'Nothing'.*tested are neural-tangents 0\.6\.5"):
        neural_tangents._find("Nothing", ("jax.core",))
