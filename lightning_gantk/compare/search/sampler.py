"""Optuna's samplers, which propose the values of a trial from those before it."""

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from lightning_gantk.compare.plan.search import Parameter, Space
from lightning_gantk.errors import ConfigError


class Tried(NamedTuple):
    """A trial that was begun.

    Attributes:
        values: By dotted key.
        ended: Whether it has.
        result: What it reached; None where it has not ended, diverged or failed.
    """

    values: dict[str, Any]
    ended: bool
    result: float | None


def require() -> Any:
    """The package.

    Raises:
        ConfigError: If it is missing.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "a search is Optuna's: install it (pip install 'lightning-gantk[search]'), or leave 'search' out."
        ) from error
    return optuna


def propose(name: str, space: Space, tried: Sequence[Tried], *, better: str, key: str) -> dict[str, Any]:
    """Values for one more trial.

    The study is made anew from what was tried each time, so that files of runs are all that has to be kept. A trial
    that ended without a result counts as worse than all others (to "gp" as bad as the worst of them), and one that is
    going as one that may turn out badly.

    Args:
        name: Of the sampler, one of ``plan.search.SAMPLERS``.
        space: What is searched.
        tried: Trials so far, in order.
        better: "min" or "max".
        key: Of the cell: with it, and the number of trials, the sampler's random numbers are known.
    """
    optuna = require()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = zlib.crc32(f"{key} {len(tried)}".encode())
    study = optuna.create_study(
        direction="minimize" if better == "min" else "maximize", sampler=_sampler(optuna, name, seed)
    )
    distributions = {key: _distribution(optuna, parameter) for key, parameter in space}
    results = [one.result for one in tried if one.result is not None]
    # Gaussian processes see values alone, and would go on where training fails: to them it is as bad as the worst.
    worst = (max if better == "min" else min)(results) if results and name == "gp" else None
    for one in tried:
        states = optuna.trial.TrialState
        value = worst if one.result is None and one.ended else one.result
        state = states.COMPLETE if value is not None else states.PRUNED if one.ended else states.RUNNING
        params = {key: _inside(parameter, one.values[key]) for key, parameter in space}
        study.add_trial(optuna.trial.create_trial(state=state, value=value, params=params, distributions=distributions))
    if not tried:
        study.enqueue_trial({key: parameter.first for key, parameter in space if parameter.first is not None})
    asked = study.ask(distributions).params
    return {key: _outside(parameter, asked[key]) for key, parameter in space}


def _sampler(optuna: Any, name: str, seed: int) -> Any:
    samplers = optuna.samplers
    if name == "random":
        return samplers.RandomSampler(seed=seed)
    if name == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=_START)
    return samplers.TPESampler(seed=seed, n_startup_trials=_START, multivariate=True, constant_liar=True)


_START = 4  # trials at random before a model is made of them; Optuna's ten are as many as a search here may have


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    distributions = optuna.distributions
    if parameter.choices:
        return distributions.CategoricalDistribution(tuple(range(len(parameter.choices))))
    if parameter.whole:
        return distributions.IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _inside(parameter: Parameter, value: Any) -> Any:
    """A value as Optuna has it: choices by their place, which may be of any kind."""
    return parameter.choices.index(value) if parameter.choices else value


def _outside(parameter: Parameter, value: Any) -> Any:
    if parameter.choices:
        return parameter.choices[value]
    if parameter.whole or value == parameter.first:
        return value
    return min(max(float(f"{value:.4g}"), parameter.low), parameter.high)  # as tables show it
