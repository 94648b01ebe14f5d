"""The survey of accuracy: its arithmetic against closed forms, and a small one."""

import json

import numpy as np
import pytest

flint = pytest.importorskip("flint")

from benchmarks.accuracy.__main__ import main  # noqa: E402
from benchmarks.accuracy.cases import CASES, KINDS, batch, settings  # noqa: E402
from benchmarks.accuracy.exact_flows import exact_weights  # noqa: E402
from benchmarks.accuracy.exact_kernels import exact_kernel, sample  # noqa: E402
from benchmarks.accuracy.run import file_of, results  # noqa: E402
from benchmarks.accuracy.table import is_failure, table  # noqa: E402
from lightning_gantk.architectures import MLP  # noqa: E402
from lightning_gantk.losses import IPM, LSGAN, Hinge, Vanilla  # noqa: E402


def _row(**changes):
    row = {"setting": 0, "number": 0, "kind": "ordinary", "what": "RBF(gamma=1), IPM(), t=1, float32, samples"}
    return row | {"scores": 1e-7, "slopes": 1e-6, "said": "", "known": True} | changes


def test_exact_kernel_of_one_hidden_layer_is_that_of_the_arccosine():
    x, p = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    found = exact_kernel(MLP(1, b_std=None).kernel(), sample(x), sample(p), (1, 1))
    # Right angles: E relu relu = sqrt(q_x q_p) / (2 pi), and the NTK's second term has a factor x.p = 0.
    assert float(found) == pytest.approx(1 / (2 * np.pi), rel=1e-15)


@pytest.mark.parametrize(
    ("loss", "weight"), [(IPM(), 3.0), (LSGAN(), (1 - np.exp(-12)) / 2), (Hinge(), 0.5), (Vanilla(), None)], ids=repr
)
def test_exact_flows_of_two_samples_far_apart(loss, weight):
    """K = 2: each score follows its own equation."""
    found = exact_weights(loss, 3.0, flint.arb_mat([[2, 0], [0, 2]]), 1)
    fake, real = (float(w) for w in found)
    assert fake == pytest.approx(-real, rel=1e-15)
    if weight is None:  # g' = 2 / (1 + exp g) is g + exp g = 2 t + 1
        assert 2 * real + np.exp(2 * real) == pytest.approx(7, rel=1e-14)
    else:
        assert abs(fake) == pytest.approx(weight, rel=1e-14)


@pytest.mark.parametrize("index", [4, 5])
def test_cases_are_the_same_each_time_and_of_every_kind(index):
    drawn = list(settings(3, index))
    assert list(map(str, drawn)) == list(map(str, settings(3, index))) != list(map(str, settings(3, index + 2)))
    assert [number for given in drawn for number in given.numbers] == list(range(CASES))
    given = drawn[0]
    batches = [batch(given, 3, index, number) for number in range(200)]
    assert {b.kind for b in batches} == set(KINDS)
    assert max(len(b.real) for b in batches) == len(batches[0].real) == given.most  # which it is compiled for
    np.testing.assert_array_equal(batches[0].fake, batch(given, 3, index, 0).fake)
    assert all(b.real.dtype == given.dtype for b in batches)


def test_failed_is_wrong_and_unsaid():
    assert not is_failure(_row())
    assert is_failure(_row(scores=2e-4)) and is_failure(_row(scores=float("nan")))
    assert not is_failure(_row(scores=2e-4, said="warned")) and not is_failure(_row(scores=2e-4, known=False))


def test_table_counts_what_a_folder_holds(tmp_path, capsys):
    for index in range(2):
        file_of(0, index, tmp_path).write_text(json.dumps([_row(), _row(scores=1.0, kind="huge")]))
    rows = main(["--only-table", "--cases", "320", "--folder", str(tmp_path), "--table", str(tmp_path / "page.md")])
    assert len(rows) == 4
    text = (tmp_path / "page.md").read_text()
    assert text == table(rows, 0) and "2 failed; 0 of 2 ordinary ones (0.00%) warned of" in text
    assert "0/0 huge: 1.0e+00" in capsys.readouterr().out


def test_one_kernel_measures_its_batches():
    rows = results(0, 66, most_settings=1, most_batches=3)  # RBF and IPM in float64
    assert [row["number"] for row in rows] == [0, 1, 2] and all(row["known"] for row in rows)
    # The weights are exact and the kernel is smooth: some hundred roundings of 1.1e-16.
    assert max(row["scores"] for row in rows) < 1e-14
    assert main(["--case", "66/2"]) == rows[2:]  # the same alone
    with pytest.raises(ValueError, match="no batch 160"):
        main(["--case", "66/160"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_some_hundred_cases_are_right_or_said_to_be_wrong():
    rows = [row for index in range(3) for row in results(2, index)]
    assert not any(map(is_failure, rows))
