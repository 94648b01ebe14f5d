"""Native code: what is generated agrees with JAX, what builds it, what runs it, and what happens without it."""

import logging
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch import nn

from lightning_gantk.architectures import DCGAN, MLP, Architecture
from lightning_gantk.architectures.layers import Dense, Flatten, Layer
from lightning_gantk.errors import ConfigError
from lightning_gantk.kernels import expansion
from lightning_gantk.kernels.architecture import ArchitectureKernel
from lightning_gantk.kernels.backends import native
from lightning_gantk.kernels.backends.native import calls, compiler, library, pixelwise
from lightning_gantk.kernels.recursions import marginals
from lightning_gantk.kernels.recursions import pixelwise as pixelwise_rule

_TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Warped(Layer):
    """No network's layer: a rule with every kind of operation."""

    cusp = False

    def build(self, in_shape, width):
        return nn.Identity(), in_shape


@marginals.register
def _(layer: Warped, q, tape):
    tape.append((q, jnp.sqrt(q)))
    return q * 1.5


@pixelwise_rule.register
def _(layer: Warped, state, x, p):
    (q_x, sigma_x), (q_p, sigma_p) = x, p
    both = sigma_x * sigma_p
    bend = jnp.tanh(q_x) + jnp.sin(q_p) ** 2 + jnp.log1p(both) - jnp.abs(state.theta - 0.3) / (1 + q_x**3)
    v = jnp.where((state.v > 0.2) & (q_x != 1), jnp.expm1(0.1 * state.v), jnp.exp(-q_p) * state.v) + both**-1.5
    return replace(state, v=v + jnp.minimum(bend, 4) * 0.1, theta=state.theta * jnp.sqrt(1 + state.v))


@dataclass(frozen=True)
class Unwritable(Warped):
    """A rule with an operation that has no native form."""


@marginals.register
def _(layer: Unwritable, q, tape):
    tape.append((q,))
    return q


@pixelwise_rule.register
def _(layer: Unwritable, state, x, p):
    return replace(state, v=jax.lax.digamma(1 + state.v))


class Around(Architecture):
    """A Dense layer on either side."""

    def __init__(self, layer):
        self.layer = layer

    def layers(self):
        return (Flatten(), Dense(1.2, 0.3), self.layer, Dense(0.9, None, 1))


def test_native_code_is_built_here():
    """Elsewhere what needs it is skipped; a compiler is always there, the package ziglang brings one."""
    assert native.available()


def _problem(shape, n=21, m=30):
    generator = np.random.default_rng(0)
    return [jnp.asarray(generator.standard_normal((k, *shape)), jnp.float32) for k in (n, m)]


@pytest.mark.parametrize("dimensions", [3, pytest.param(40, marks=pytest.mark.slow)])
def test_a_rule_with_every_kind_of_operation_is_written_as_jax_has_it(dimensions):
    x, y = _problem((dimensions,))
    weights = jnp.linspace(0.5, 1, len(y))
    results = []
    for backend in ("native", "jax"):
        kernel = ArchitectureKernel(Around(Warped()), backend=backend)
        results.append([kernel(x, y), *expansion.scores_and_gradient(kernel, x, y, weights)])
    for ours, wanted in zip(*results, strict=True):
        # a hundred operations, each of a rounding of 6e-8
        assert np.linalg.norm(ours - wanted) <= 6e-6 * np.linalg.norm(wanted)


def test_a_rule_that_cannot_be_written_runs_in_jax_and_the_log_says_why(caplog):
    with caplog.at_level(logging.INFO):
        kernel = ArchitectureKernel(Around(Unwritable()))
        assert "JAX" in expansion.backend_of(kernel, jnp.zeros((1, 20))).name
    assert "'digamma' has no native form" in caplog.text
    with pytest.raises(ConfigError, match="backend='native' cannot be used"):
        ArchitectureKernel(Around(Unwritable()), backend="native").backend((20,), "float32")


def test_what_is_known_when_the_code_is_written_is_left_out():
    _, source = pixelwise.source_of(next(layer for layer in MLP(1).layers() if layer.cusp), ntk=True)
    assert "* 0x0.0p+0f" not in source and "+ 0x0.0p+0f" not in source
    assert "KEPT_ONE = 4, KEPT_BOTH = 6" in source  # slope, its derivatives times theta, and dv'/dq, once or twice


def test_arrays_on_the_cpu_take_native_code_where_the_process_has_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for architecture, shape, name in ((MLP(1), (40,), "sums_of_inner"), (DCGAN(1), (4, 4, 1), "sums_of_samples")):
        kernel, (x, y) = ArchitectureKernel(architecture), _problem(shape)
        run = jax.jit(lambda x, y, k=kernel: expansion.scores_and_gradient(k, x, y, jnp.ones(len(y))))
        assert f"lightning_gantk_{name}" in run.lower(x, y).compile().as_text()


def test_without_a_compiler_the_log_says_what_that_costs(monkeypatch, caplog):
    monkeypatch.setattr(compiler, "built", _no_compiler)
    library.load.cache_clear()
    library.available.cache_clear()
    try:
        assert not native.available()
        assert "6 to 9 times slower" in caplog.text and "pip install ziglang" in caplog.text
    finally:
        library.load.cache_clear()
        library.available.cache_clear()


def _no_compiler(*arguments):
    raise OSError("there is no C++ compiler: pip install ziglang")


@pytest.mark.slow
@pytest.mark.parametrize("cxx", ["g++", f"{sys.executable} -m ziglang c++"], ids=["g++", "clang++"])
def test_both_compilers_build_it_without_a_warning(cxx, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", cxx)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for cached in (compiler.command, compiler.version):
        cached.cache_clear()
        monkeypatch.setattr(compiler, cached.__name__, cached.__wrapped__)
    assert compiler.built("kernels", library.sources(), "-Werror").exists()
    for layer in MLP(1, layer_norm=True, activation="gelu").layers():
        if layer.cusp or "Pointwise" in repr(layer):
            _, source = pixelwise.source_of(layer, ntk=True)
            assert compiler.built("layer", {"layer.cc": source}, "-Werror").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="preloads a Linux library")
def test_sanitizers_find_nothing(tmp_path):
    """The tests of kernel expansions once more, with addresses and undefined behaviour watched in native code."""
    # libstdc++ too: the sanitizer looks for what throws an exception when it starts, and Python itself brings none
    preload = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    environment = {
        **os.environ,
        # the sanitizer is for what is built, not for the compiler's own processes: slow, and it stops at their faults
        "CXX": "env -u LD_PRELOAD g++ -fsanitize=address,undefined -fno-sanitize-recover=undefined -g1",
        "LD_PRELOAD": " ".join(preload),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's own
        "XDG_CACHE_HOME": str(tmp_path),
    }
    _expand_natively(environment)
    assert list(tmp_path.glob("lightning_gantk/kernels-*.so"))


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="leaves out vectors of x86")
@pytest.mark.parametrize(("without", "width"), [("-mno-avx512f", 8), ("-mno-avx", 4)])
def test_processors_with_shorter_vectors_are_as_right(without, width, tmp_path):
    if calls.lanes() == width:
        pytest.skip("this processor is such a one: all other tests are of it")
    environment = {**os.environ, "CXX": f"g++ {without}", "XDG_CACHE_HOME": str(tmp_path)}
    ask = [sys.executable, "-c", f"from {calls.__name__} import lanes; print(lanes())"]
    told = subprocess.run(ask, env=environment, capture_output=True, text=True, check=True)
    assert int(told.stdout) == width
    _expand_natively(environment)


def _expand_natively(environment):
    """The tests of kernel expansions, in a process of their own."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow"]
    command += [
        "--timeout=0",
        "-k",
        "native or pairs",
        str(_TESTS / "test_expansion.py"),
    ]  # the limit is that of the test
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr[-3000:]
