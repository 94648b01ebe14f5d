"""The table of landmarks by size of the batch: it is made, and its errors are those of what it timed."""

import pytest

from benchmarks import features


def test_digits_are_all_different_and_of_both_kinds():
    real, fake = features.batch(64)
    assert real.shape == fake.shape == (64, 1, 32, 32)
    assert len(real.flatten(1).unique(dim=0)) == 64
    rough = [(batch[..., 1:] - batch[..., :-1]).square().mean() for batch in (real, fake)]
    assert rough[1] < rough[0] / 2  # fakes are smoothed


@pytest.mark.slow
def test_table_has_a_line_for_each_loss_and_size(tmp_path):
    page = tmp_path / "page.md"
    _, _, *rows = features.main(["--least", "16", "--most", "16", "--features", "8", "64", "--table", str(page)])
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:2] for row in cells] == [["IPM", "16"], ["LSGAN", "16"]]
    for _, _, exact, seconds, error, *as_many_as_samples in cells:
        assert float(exact.removesuffix(" s")) >= 0 and float(seconds.removesuffix(" s")) >= 0
        assert 0 < float(error.removesuffix("%")) < 200
        assert as_many_as_samples == ["", ""]
    assert "\n".join(rows) in page.read_text()
