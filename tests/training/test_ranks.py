"""Two and four processes solve together what one solves, each with its share of the Gram matrix: over gloo, on the CPU.

NCCL, on GPUs, is asked for the same two messages: the sum of all, and what the first has.
"""

import os
import socket

import pytest
import torch
from torch import distributed as dist

from lightning_gantk.architectures import MLP
from lightning_gantk.discriminators import NTKDiscriminator
from lightning_gantk.errors import TrainingDiverged
from lightning_gantk.losses import LSGAN, AdversarialLoss, Hinge, Vanilla
from lightning_gantk.processes import gathered

EACH = 96  # samples of all processes, real as well as fake, in four dimensions


class Bent(AdversarialLoss):
    """A loss of somebody's own, of which nothing is known."""

    def a(self, scores):
        return -((1 + scores**2) ** 0.5)

    def b(self, scores):
        return ((scores - 1) ** 2 + 1) ** 0.5

    def c(self, scores):
        return -scores


CASES = {"lsgan": (LSGAN(), 100.0), "vanilla": (Vanilla(), 10.0), "hinge": (Hinge(), 10.0), "own": (Bent(), 10.0)}


def _batch():
    return torch.randn(2, EACH, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor([[[0.5]], [[0.0]]])


def _solve(loss, time, real, fake):
    discriminator = NTKDiscriminator(MLP(1), loss, time, check_every=0)
    discriminator.fit(real, fake)
    return discriminator


def _outcome(discriminator):
    trained = discriminator._trained
    weights = torch.tensor(trained.weights.tolist(), dtype=torch.float64)
    return {"weights": weights, "error": float(trained.error), "products": int(trained.products)}


class Held:
    """The largest that is held of the Gram matrix while messages are sent, in bytes."""

    def __init__(self, monkeypatch):
        import jax

        from lightning_gantk.discriminators.messages import ProcessMessages

        total, self.most = ProcessMessages.total, 0

        def watched(messages, array):
            held = [a for a in jax.live_arrays() if a.ndim == 2 and a.dtype == "float32" and a.shape[1] > 4]
            self.most = max(self.most, sum(a.nbytes for a in held))
            return total(messages, array)

        monkeypatch.setattr(ProcessMessages, "total", watched)


def _work(number, folder, port, count):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=number, world_size=count)
    found, (real, fake) = {}, _batch()
    with pytest.MonkeyPatch.context() as monkeypatch:
        held = Held(monkeypatch)
        for name, (loss, t) in CASES.items():
            found[name] = _outcome(_solve(loss, t, real, fake))
        found["held"] = held.most
    # Batches of different lengths, whose sum is no multiple of the processes.
    lengths = [EACH - 1 - 3 * (count - 1), *[3] * (count - 1)]
    own = fake[: EACH - 1].split(lengths)[number]
    found["unequal"] = _outcome(_solve(*CASES["lsgan"], real, gathered(own)))
    # One fails; then all go on.
    from lightning_gantk.kernels.dynamics import part

    for name, culprit in (("hinge", count - 1), ("lsgan", 0), ("vanilla", 1)):
        with pytest.MonkeyPatch.context() as monkeypatch:
            if number == culprit:
                monkeypatch.setattr(part.shares, "build", lambda *_: 1 / 0)
            with pytest.raises(TrainingDiverged):
                _solve(*CASES[name], real, fake)
    broken = _solve(*CASES["lsgan"], real, fake)
    found["again"] = _outcome(broken)
    with pytest.raises(TrainingDiverged):
        broken.fit(real * float("nan"), fake)
    torch.save(found, folder / f"{number}.pt")
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_processes_solve_together_what_one_solves(count, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_work, args=(tmp_path, port, count), nprocs=count)
    found = [torch.load(tmp_path / f"{number}.pt") for number in range(count)]
    real, fake = _batch()
    points = torch.cat([fake, real])
    single, double = (NTKDiscriminator(MLP(1), LSGAN(), dtype=dtype).gram(points) for dtype in ("float32", "float64"))
    rounding = 4 * float((single - double).abs().max())  # two matrices, each worked out in tiles of its own
    cases = {**{name: (*case, fake) for name, case in CASES.items()}, "unequal": (*CASES["lsgan"], fake[: EACH - 1])}
    for name, (loss, t, fakes) in cases.items():
        alone, results = _outcome(_solve(loss, t, real, fakes)), [process[name] for process in found]
        for result in results:
            assert torch.equal(result["weights"], results[0]["weights"]), name
            assert result["products"] == results[0]["products"], name
        weights, size = results[0]["weights"], len(fakes) + len(real)
        assert not weights[size:].any()  # filling
        keep = torch.cat([torch.arange(len(fakes)), torch.arange(len(real)) + EACH])
        matrix, difference = double[keep][:, keep], weights[:size] - alone["weights"]
        distance = float((difference @ matrix @ difference).clamp(min=0).sqrt())
        bound = _bound(loss, t, alone["weights"], matrix, alone["error"] + results[0]["error"], rounding)
        assert distance <= bound, name
        assert bound <= 0.05 * float((weights[:size] @ matrix @ weights[:size]).sqrt()), name  # it says something
    for process in found:
        assert torch.equal(process["again"]["weights"], found[0]["lsgan"]["weights"])
        assert process["held"] == (2 * EACH) ** 2 * 4 * (count + 1) // (2 * count**2)


def _bound(loss, t, weights, matrix, error, rounding):
    """How far two solves are apart at most, as functions f in the kernel's norm.

    Two matrices that differ by dK in each entry differ by r = dK sum |w| in each score. Let e be the difference of the
    functions and J that of the slopes at a sample; slopes go down where scores go up, by c at most for each score.
    Then (|e|^2)'/2 = sum_p mass_p e_p J_p is at most c sum mass r^2 / 4, and at most r sum mass |J| where slopes jump.
    Masses are 2 together, and hinge jumps by 1. Solvers add their own errors, relative to |w| and for an ODE's to t.
    """
    reach = float(weights.abs().sum())
    r, root = rounding * reach, float(matrix.diagonal().max()) ** 0.5
    if loss.slopes == "piecewise":
        return (4 * t * r) ** 0.5 + (error + 6e-8) * reach * root
    steepest = {"affine": 2.0, "smooth": 0.25, "any": 1.0}[loss.slopes]
    return (steepest * t) ** 0.5 * r + ((error + 6e-8) * reach + 2 * error * t) * root
