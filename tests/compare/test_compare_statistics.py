"""Means over seeds and tests of differences, against scipy and hand-made cases."""

import math

import numpy as np
import pytest
from scipy import stats

from lightning_gantk.compare.report.statistics import holm, rank, summarise, welch
from lightning_gantk.compare.report.tables import Cell, Table, plus_minus, probability


def test_summary_is_mean_and_standard_error():
    summary = summarise([1.0, 2.0, 4.0])
    assert summary.mean == pytest.approx(7 / 3)
    assert summary.error == pytest.approx(stats.sem([1.0, 2.0, 4.0]))


def test_summary_of_one_value_has_no_error_and_of_none_no_mean():
    assert math.isnan(summarise([3.0]).error) and summarise([3.0]).mean == 3
    assert math.isnan(summarise([]).mean)


def test_welch_is_the_test_of_unequal_variances():
    one, other = [1.0, 1.2, 0.9], [2.0, 2.9, 2.4]
    # t and the Welch-Satterthwaite degrees of freedom, by hand
    a, b = np.var(one, ddof=1) / 3, np.var(other, ddof=1) / 3
    t = (np.mean(one) - np.mean(other)) / math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a**2 / 2 + b**2 / 2)
    assert welch(one, other) == pytest.approx(2 * stats.t.sf(abs(t), freedom))


def test_welch_without_spread_tells_equal_from_different():
    assert welch([1.0, 1.0], [1.0, 1.0]) == 1
    assert welch([1.0, 1.0], [2.0, 2.0]) == 0
    assert math.isnan(welch([1.0], [1.0, 2.0]))


def test_holm_multiplies_step_by_step_and_never_falls():
    # Sorted 0.01, 0.02, 0.03 by 3, 2, 1: 0.03, 0.04, and 0.03 raised to 0.04; NaN is no test and does not count.
    assert holm([0.03, math.nan, 0.01, 0.02]) == pytest.approx([0.04, math.nan, 0.03, 0.04], nan_ok=True)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_rank_leads_with_all_that_cannot_be_told_from_the_best():
    cells = [[1.0, 1.1, 0.9], [1.05, 1.2, 1.1], [9.0, 9.1, 9.2], []]
    ranking = rank(cells, better="min", alpha=0.05)
    assert (ranking.best, ranking.leaders) == (0, {0, 1})
    raw = [welch(cells[0], cells[k]) for k in (1, 2)]
    assert ranking.p_values[1:3] == pytest.approx(holm(raw))
    assert math.isnan(ranking.p_values[0]) and math.isnan(ranking.p_values[3])
    assert rank(cells, better="max", alpha=0.05).leaders == {2}


def test_what_cannot_be_tested_is_not_told_from_the_best():
    assert rank([[1.0, 1.1, 0.9], [1.02], [9.0, 9.1, 9.2]], better="min", alpha=0.05).leaders == {0, 1}
    assert rank([[1.0], [2.0, 2.1], [1.05, 1.0]], better="min", alpha=0.05).leaders == {0, 1, 2}


def test_rank_of_single_runs_has_the_best_alone():
    ranking = rank([[2.0], [1.0]], better="min", alpha=0.05)
    assert ranking.leaders == {1}
    assert rank([[], []], better="min", alpha=0.05).best is None


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([18.3, 18.7, 19.4], "18.80 ± 0.32"),
        ([0.0123, 0.0131, 0.0119], "0.01243 ± 0.00035"),
        ([1234.0, 1300.0], "1267 ± 33"),
        ([10.4853, 10.4865], "10.49 ± < 0.01"),
        ([2.0, 2.0], "2.000 ± 0.000"),
        ([5.0], "5"),
        ([], "—"),
        ([math.inf, 1.0], "inf"),
        ([1.0e-6, 1.2e-6], "(1.100 ± 0.100)e-6"),
        ([0.0, 0.0], "0.000 ± 0.000"),
    ],
)
def test_plus_minus_has_the_digits_that_mean_something(values, told):
    with np.errstate(invalid="ignore"):
        assert plus_minus(summarise(values)) == told


def test_words_for_probabilities():
    assert [probability(p) for p in (math.nan, 0.0004, 0.0123, 0.5)] == ["", "p < 0.001", "p = 0.012", "p = 0.50"]


def test_table_escapes_what_people_write():
    table = Table(["a|b", "<c>"], [[Cell("x|y", bold=True, note="<n>"), "1 < 2"]])
    assert table.markdown().splitlines() == ["| a\\|b | <c> |", "| --- | ---: |", "| **x\\|y** (<n>) | 1 < 2 |"]
    page = table.html()
    assert "<b>x|y</b><small>&lt;n&gt;</small>" in page and "1 &lt; 2" in page and "&lt;c&gt;" in page


def test_level_divides_what_is_told_apart():
    cells = [[1.0, 1.2, 0.9], [1.4, 1.5, 1.2], [9.0, 9.1, 9.2]]
    p = rank(cells, better="min", alpha=0.05).p_values[1]
    assert rank(cells, better="min", alpha=0.99 * p).leaders == {0, 1}
    assert rank(cells, better="min", alpha=1.01 * p).leaders == {0}
