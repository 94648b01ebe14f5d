"""Launches and bytes of a compiled program, counted in its text.

Bytes are operands plus results of every kernel, times the trips of the loops around it: one where these are not known
beforehand. Of a condition's branches the one with the fewest launches counts. Hits in the L2 cache and what autotuning
changes on the GPU are not seen: a time made of them is a floor of bandwidth, no prediction.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

_SIZES = {"pred": 1, "s8": 1, "u8": 1, "s16": 2, "f16": 2, "bf16": 2, "s32": 4, "u32": 4, "f32": 4}
_SIZES |= {"s64": 8, "u64": 8, "f64": 8, "c64": 8, "c128": 16}
_FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "iota", "after-all", "partition-id"}
_SLICES = ("dynamic-slice", "slice", "gather")
_HEAD = re.compile(r"^(ENTRY )?%([\w\.\-]+) \(.*\{\s*$")
_INSTRUCTION = re.compile(r"^\s*(ROOT )?%([\w\.\-]+) = (.+?) ([a-z][\w\-]*)\((.*)$")


@dataclass(frozen=True)
class Cost:
    """What a program costs.

    Attributes:
        launches: Kernels launched.
        read: Bytes that they read.
        written: Bytes that they write.
        temporaries: Bytes of memory besides arguments and results.
        kinds: Launches by kind of kernel.
    """

    launches: int
    read: int
    written: int
    temporaries: int
    kinds: dict[str, int]


class _Instruction(NamedTuple):
    name: str
    shape: str
    op: str
    operands: list[str]
    rest: str
    root: bool


class _Launch(NamedTuple):
    times: int
    kind: str
    read: int
    written: int


_Bodies = dict[str, list[_Instruction]]


def cost(program: Any) -> Cost:
    """The cost of what ``compiled`` gave."""
    bodies, entry = _parsed(program.as_text())
    launches = _launches(bodies, entry, 1)
    kinds: Counter[str] = Counter()
    for launch in launches:
        kinds[launch.kind] += launch.times
    return Cost(
        sum(launch.times for launch in launches),
        sum(launch.times * launch.read for launch in launches),
        sum(launch.times * launch.written for launch in launches),
        program.memory_analysis().temp_size_in_bytes,
        dict(kinds.most_common()),
    )


def _parsed(text: str) -> tuple[_Bodies, str]:
    """The computations of a program by name, and the name of the first."""
    bodies, current, entry = {}, None, ""
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = head.group(2)
            bodies[current], entry = [], current if head.group(1) else entry
        elif line.startswith("}"):
            current = None
        elif current is not None and (found := _INSTRUCTION.match(line)):
            root, name, shape, op, rest = found.groups()
            end = _end_of_operands(rest)
            operands = re.findall(r"%([\w\.\-]+)", rest[:end])
            bodies[current].append(_Instruction(name, shape, op, operands, rest[end:], bool(root)))
    return bodies, entry


def _end_of_operands(rest: str) -> int:
    depth = 1
    for place, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return place
    return len(rest)


def _launches(bodies: _Bodies, name: str, times: int) -> list[_Launch]:
    """Kernels of a computation that runs so many times, those of the computations that it calls included."""
    shapes = {i.name: i.shape for i in bodies[name]}
    found = []
    for instruction in bodies[name]:
        op, rest = instruction.op, instruction.rest
        if op == "while":
            trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', rest)
            found += _launches(bodies, _called(rest, "body"), times * (int(trips.group(1)) if trips else 1))
        elif op == "conditional":
            names = re.search(r"branch_computations=\{([^}]*)\}|(true_computation=.*false_computation=\S+)", rest)
            branches = [
                _launches(bodies, name, times) for name in re.findall(r"%([\w\.\-]+)", names[0] if names else "")
            ]
            found += min(branches, key=lambda branch: sum(launch.times for launch in branch), default=[])
        elif op == "call":
            found += _launches(bodies, _called(rest, "to_apply"), times)
        elif op not in _FREE and not op.endswith("-done"):
            target = re.search(r'custom_call_target="([^"]+)"', rest)
            kind = target.group(1) if target else op
            if op == "fusion" and (of := re.search(r"kind=(\w+)", rest)):
                kind += f":{of.group(1)}"
            found.append(_Launch(times, kind, *_traffic(bodies, instruction, shapes)))
    return found


def _called(rest: str, how: str) -> str:
    found = re.search(rf"{how}=%([\w\.\-]+)", rest)
    assert found is not None, rest
    return found.group(1)


def _traffic(bodies: _Bodies, instruction: _Instruction, shapes: dict[str, str]) -> tuple[int, int]:
    """Bytes read and written; of a fusion's operands that are only sliced, the slices."""
    written = _bytes(instruction.shape)
    if instruction.op == "dynamic-slice":
        return written, written
    if instruction.op == "dynamic-update-slice":
        update = _bytes(shapes.get(instruction.operands[1], ""))
        return update, update
    if instruction.op != "fusion":
        return sum(_bytes(shapes.get(operand, "")) for operand in instruction.operands), written
    body = bodies[_called(instruction.rest, "calls")]
    users: dict[str, list[_Instruction]] = defaultdict(list)
    for inner in body:
        for operand in inner.operands:
            users[operand].append(inner)
    read = sum(_read_of(parameter, users[parameter.name]) for parameter in body if parameter.op == "parameter")
    root = next(inner for inner in body if inner.root)
    if root.op == "dynamic-update-slice":
        written = _bytes(next(inner.shape for inner in body if inner.name == root.operands[1]))
    return read, written


def _read_of(parameter: _Instruction, uses: list[_Instruction]) -> int:
    first = [use for use in uses if use.operands[0] == parameter.name]
    if uses and len(first) == len(uses):
        if all(use.op in _SLICES for use in uses):
            return sum(_bytes(use.shape) for use in uses)
        if all(use.op == "dynamic-update-slice" for use in uses):
            return 0
    return _bytes(parameter.shape)


def _bytes(shape: str) -> int:
    total = 0
    for dtype, lengths in re.findall(r"\b([a-z]+\d*[a-z0-9]*)\[([\d,]*)\]", shape):
        count = _SIZES.get(dtype, 0)
        for length in filter(None, lengths.split(",")):
            count *= int(length)
        total += count
    return total
