"""Dual weights in high precision, from a Gram matrix of python-flint's numbers, by other methods than the package's."""

from collections.abc import Callable

from flint import arb, arb_mat, ctx

from lightning_gantk.losses import IPM, LSGAN, AdversarialLoss, Hinge, Vanilla

Vector = list[arb]
_MOST_BITS = 20_000
_ENOUGH = arb("1e-25")


def exact_weights(loss: AdversarialLoss, time: float, matrix: arb_mat, fakes: int) -> Vector:
    """Dual weights of the flow from 0, the fakes first.

    Args:
        loss: One of the package's.
        time: t.
        matrix: ``(P, P)``.
        fakes: How many of the points are fakes.
    """
    reals = matrix.nrows() - fakes
    mass = [arb(1) / fakes] * fakes + [arb(1) / reals] * reals
    signs = [-1] * fakes + [1] * reals  # towards which a loss other than IPM moves a score
    if isinstance(loss, IPM):
        return [-m * s * arb(time) for m, s in zip(mass, signs, strict=True)]
    return _FLOWS[type(loss)](arb(time), matrix, mass, signs)


def _least_squares(time: arb, matrix: arb_mat, mass: Vector, signs: list[int]) -> Vector:
    """W' = 2 mass (sign - K w), as the exponential of one matrix more: exp t [[-A, b], [0, 0]] has w in its corner."""
    size, precision = len(mass), ctx.prec
    try:
        while ctx.prec < _MOST_BITS:
            whole = arb_mat(size + 1, size + 1)
            for i in range(size):
                for j in range(size):
                    whole[i, j] = -2 * mass[i] * matrix[i, j] * time
                whole[i, size] = 2 * mass[i] * signs[i] * time
            exponential = whole.exp()
            found = [exponential[i, size] for i in range(size)]
            if all(v.is_finite() and v.rad() <= _ENOUGH * (abs(v.mid()) + time * _ENOUGH) for v in found):
                return [v.mid() for v in found]
            ctx.prec *= 2  # squarings have eaten the digits
    finally:
        ctx.prec = precision
    return [arb(0).nan()] * size


def _hinge(time: arb, matrix: arb_mat, mass: Vector, signs: list[int]) -> Vector:
    """Event by event; a principal pivoting method finds which samples at their kinks slide.

    In margins g = sign f - 1, with weights w = sign mass u: u' = 1 where g < 0 and 0 where g > 0, g' = G u', and on
    g = 0 a sample slides with the u' in [0, 1] for which g' = 0. A ridge of 1e-60 makes slopes of equal samples unique.
    """
    size = len(mass)
    g_matrix = [[signs[i] * signs[j] * mass[j] * matrix[i, j] for j in range(size)] for i in range(size)]
    largest = max((abs(g_matrix[i][i]) for i in range(size)), key=float)
    for i in range(size):
        g_matrix[i][i] = (g_matrix[i][i] + largest * arb("1e-50")).mid()
    g, u, left = [arb(-1)] * size, [arb(0)] * size, time
    state = ["down"] * size  # below the kink, "slide" on it, "up" beyond
    kink: set[int] = set()
    for _ in range(60 * size):
        state = _pivot(g_matrix, state, kink)
        speed, velocity = _speeds(g_matrix, state)
        events = [
            ((-g[i] / velocity[i]).mid(), i)
            for i in range(size)
            if i not in kink and ((state[i] == "down" and velocity[i] > 0) or (state[i] == "up" and velocity[i] < 0))
        ]
        step = min((e[0] for e in events), key=lambda v: v, default=left)
        step = left if not step < left else step
        u = [(a + step * s).mid() for a, s in zip(u, speed, strict=True)]
        g = [(a + step * v).mid() for a, v in zip(g, velocity, strict=True)]
        left = (left - step).mid()
        if not left > 0:
            return [signs[i] * mass[i] * u[i] for i in range(size)]
        tiny = arb("1e-40")
        kink = {i for i in range(size) if state[i] == "slide" or abs(g[i]) < tiny}
        g = [arb(0) if i in kink else v for i, v in enumerate(g)]
    return [arb(0).nan()] * size


def _pivot(g_matrix: list[Vector], state: list[str], kink: set[int]) -> list[str]:
    """States of the samples at their kinks: Murty's rule of the least index, which ends where the block is definite."""
    state = list(state)
    for _ in range(100_000):
        speed, velocity = _speeds(g_matrix, state)
        tiny = arb("1e-30")
        scale = max((abs(v) for v in velocity), key=float, default=arb(1)) + arb("1e-200")
        for i in sorted(kink):
            if state[i] == "slide" and speed[i] > 1 + tiny:
                state[i] = "down"
            elif state[i] == "slide" and speed[i] < -tiny:
                state[i] = "up"
            elif (state[i] == "down" and velocity[i] > tiny * scale) or (
                state[i] == "up" and velocity[i] < -tiny * scale
            ):
                state[i] = "slide"
            else:
                continue
            break
        else:
            return state
    raise RuntimeError("The pivots go round in circles.")


def _speeds(g_matrix: list[Vector], state: list[str]) -> tuple[Vector, Vector]:
    """U' and g' for given states."""
    size = len(state)
    speed = [arb(1) if s == "down" else arb(0) for s in state]
    slide = [i for i, s in enumerate(state) if s == "slide"]
    push = [sum((g_matrix[i][j] for j in range(size) if state[j] == "down"), arb(0)).mid() for i in range(size)]
    if slide:
        block = arb_mat([[g_matrix[i][j] for j in slide] for i in slide])
        found = block.solve(arb_mat([[-push[i]] for i in slide]))
        for row, i in enumerate(slide):
            speed[i] = found[row, 0].mid()
    velocity = [(push[i] + sum((g_matrix[i][j] * speed[j] for j in slide), arb(0))).mid() for i in range(size)]
    for i in slide:
        velocity[i] = arb(0)
    return speed, velocity


def _vanilla(time: arb, matrix: arb_mat, mass: Vector, signs: list[int]) -> Vector:
    """U' = sigmoid(-g), g = G u in margins, by extrapolated linearly implicit Euler steps of order 12 (SEULEX)."""
    size, order = len(mass), 12
    g_matrix = [[(signs[i] * signs[j] * mass[j] * matrix[i, j]).mid() for j in range(size)] for i in range(size)]

    def slopes(u: Vector) -> Vector:
        margins = [sum((a * b for a, b in zip(row, u, strict=True)), arb(0)).mid() for row in g_matrix]
        return [(1 / (1 + g.exp())).mid() for g in margins]

    def attempt(u: Vector, step: arb) -> tuple[Vector, arb]:
        start = slopes(u)
        curve = [(s * (1 - s)).mid() for s in start]
        table: list[Vector] = []
        error = arb(1)
        for count in range(1, order + 1):
            h = step / count
            system = arb_mat([[int(i == j) + h * curve[i] * g_matrix[i][j] for j in range(size)] for i in range(size)])
            inverse = system.inv()
            y, field = list(u), start
            for index in range(count):
                if index:
                    field = slopes(y)
                move = inverse * arb_mat([[(h * f).mid()] for f in field])
                y = [(a + move[i, 0]).mid() for i, a in enumerate(y)]
            row = [y]
            for k in range(1, count):
                ratio = arb(count) / (count - k) - 1
                row.append([(a + (a - b) / ratio).mid() for a, b in zip(row[-1], table[k - 1], strict=True)])
            if count > 1:
                error = max((abs(a - b) for a, b in zip(row[-1], row[-2], strict=True)), key=float)
            table = row
        return table[-1], error

    u, done, step = (
        [arb(0)] * size,
        arb(0),
        min(time, 1 / (1 + max((r[i] for i, r in enumerate(g_matrix)), key=float)), key=float),
    )
    for _ in range(2000):
        step = step if done + step < time else time - done
        new, error = attempt(u, step)
        allowed = arb("1e-17") * (max((abs(v) for v in new), key=float) + arb("1e-12"))
        ratio = float(error / allowed) if error.is_finite() else 1e30
        if ratio <= 1:
            u, done = new, (done + step).mid()
            if not done < time:
                return [signs[i] * mass[i] * u[i] for i in range(size)]
        step = (step * arb(min(5.0, max(0.1, 0.7 * max(ratio, 1e-30) ** (-1 / order))))).mid()
    return [arb(0).nan()] * size


_FLOWS: dict[type, Callable[..., Vector]] = {LSGAN: _least_squares, Hinge: _hinge, Vanilla: _vanilla}
