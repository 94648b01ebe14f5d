"""Comparisons on SLURM, as far as a machine without it can show: sbatch and its like are stood in for by scripts."""

import os
import sys
from pathlib import Path

import pytest
import yaml
from tiny import write_config

from lightning_gantk.compare.command import main
from lightning_gantk.compare.plan.runs import runs_of
from lightning_gantk.compare.plan.specification import load
from lightning_gantk.compare.run import executors
from lightning_gantk.compare.state import Comparison, Phase, read
from lightning_gantk.errors import ConfigError

_HERE = Path(__file__).parents[1]
# `sbatch FILE` runs the file in the background under a job number; `srun` the command behind its options; `sacct` knows
# of a job whether it is still there.
_SCRIPTS = {
    "sbatch": """
number=$(( $(ls "$FAKE/jobs" | wc -l) + 1000 ))
cp "$1" "$FAKE/jobs/$number"
SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 \\
  SLURM_JOB_NODELIST=here setsid bash "$1" > "$FAKE/out.$number" 2>&1 < /dev/null &
echo $! > "$FAKE/pid.$number"
echo "Submitted batch job $number"
""",
    "srun": """
while [[ "$1" == --* ]]; do if [[ "$1" == --output || "$1" == --error ]]; then shift; fi; shift; done
exec "$@"
""",
    "sacct": """
echo "JobID|State|NodeList"
for file in "$FAKE"/pid.*; do
  if kill -0 "$(cat "$file")" 2> /dev/null; then state=RUNNING; else state=COMPLETED; fi
  echo "${file##*.}|$state|here"
done
""",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder to work in, beside a cluster that is none."""
    fake = tmp_path / "fake"
    (fake / "jobs").mkdir(parents=True)
    for name, text in _SCRIPTS.items():
        path = fake / name
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(_HERE), str(_HERE.parent)]))
    write_config(tmp_path / "tiny.yaml")
    return fake


def _write(**slurm):
    given = {"configs": "tiny.yaml", "parallel": 2, "threads": 1, "slurm": slurm}
    Path("spec.yaml").write_text(yaml.safe_dump(given))
    return load(Path("spec.yaml"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs setsid")
def test_runs_go_through_sbatch_with_the_options_given(cluster):
    specification = _write(timeout_min=30, partition="gpu", gpus_per_node=1, mem_gb=8)
    assert main(["run", "spec.yaml"]) == 0
    (run,) = runs_of(specification)
    assert read(Comparison(specification.folder).run(run.slug)).phase == Phase.FINISHED
    (script,) = (cluster / "jobs").iterdir()
    options = {
        line.removeprefix("#SBATCH --") for line in script.read_text().splitlines() if line.startswith("#SBATCH")
    }
    assert {"partition=gpu", "time=30", "gpus-per-node=1", "mem=8GB", "job-name=gantk"} <= options


def test_wrong_option_is_refused(cluster):
    specification = _write(timeout_min=30, partition="gpu", nodez=2)
    with pytest.raises(ConfigError, match="'slurm' has no option 'nodez'"):
        executors.make(specification, Comparison(specification.folder), local=False)


def test_option_of_the_wrong_type_is_refused(cluster):
    specification = _write(timeout_min="long")
    with pytest.raises(ConfigError, match=r"'slurm': .*timeout_min"):
        executors.make(specification, Comparison(specification.folder), local=False)


def test_local_runs_share_cores_and_take_turns_on_gpus(cluster, monkeypatch):
    specification = _write(timeout_min=1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    shares = [executors.environment(specification, slot=slot, parallel=3, local=True) for slot in range(3)]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["4", "7", "4"]
    assert all(share["OMP_NUM_THREADS"] == "1" for share in shares)
    assert "CUDA_VISIBLE_DEVICES" not in executors.environment(specification, slot=0, parallel=1, local=False)
