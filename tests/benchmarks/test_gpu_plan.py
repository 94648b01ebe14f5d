"""The plan for a GPU runs wherever there is none, in its smallest sizes, and goes on where it stopped."""

import json

import pytest

from benchmarks.gpu import trace
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.results import Results
from benchmarks.rows import Row


@pytest.mark.slow
def test_finished_parts_are_not_run_again_and_the_table_has_all_rows(tmp_path, capsys):
    path, page = tmp_path / "gpu.json", tmp_path / "speed.md"
    page.write_text("before\n<!-- table: benchmarks.gpu -->\nold\n<!-- end of table -->\nafter\n")
    words = ["--tiny", "--parts", "correctness", "--results", str(path), "--table", str(page)]
    found = main(words)
    assert [row["ratio"] for row in found.parts["correctness"]["rows"]] == ["right"]
    capsys.readouterr()
    main(words)
    assert "| correctness | finished before" in capsys.readouterr().out
    before, *table, after = page.read_text().splitlines()
    assert (before, after) == ("before", "after")
    assert "old" not in table
    assert sum("CPU, float64" in line for line in table) == 1


def test_rows_of_another_device_are_refused(tmp_path):
    path = tmp_path / "gpu.json"
    results = Results(path, "one")
    results.begin("bridge", "jax 1")
    results.add("bridge", Row("work", "", "1 ms", ""))
    assert not Results(path, "one").is_finished("bridge")
    with pytest.raises(SystemExit, match="has rows of one, this is two"):
        Results(path, "two")


def test_trace_counts_overlapping_kernels_once_and_knows_a_wait():
    events = [
        {"cat": "kernel", "name": "a", "ts": 0, "dur": 10},
        {"cat": "kernel", "name": "b", "ts": 5, "dur": 10},
        {"cat": "gpu_memcpy", "name": "Memcpy DtoH", "ts": 20, "dur": 5},
        {"cat": "cuda_runtime", "name": "cudaStreamSynchronize", "ts": 0, "dur": 1},
        {"cat": "cuda_runtime", "name": "cudaMemcpyAsync", "ts": 0, "dur": 1},
        {"cat": "cpu_op", "name": "aten::add", "ts": 0, "dur": 1},
    ]
    found = trace._read(events, calls=2, seconds=40e-6)
    assert (found.kernels, found.waits, found.to_host) == (1.0, 0.5, 0.5)
    assert found.busy == pytest.approx(0.5)
    assert found.longest == (("a", 0.5), ("b", 0.5))


@pytest.mark.slow
@pytest.mark.parametrize("part", ["bridge", "backends", "discriminators", "largest", "training", "startup", "pictures"])
def test_parts_run_without_a_gpu(part, tmp_path):
    path = tmp_path / "gpu.json"
    main(["--tiny", "--parts", part, "--results", str(path)])
    assert json.loads(path.read_text())["parts"][part]["rows"]
