"""Launches and bytes are counted as they stand in the text of a compiled program."""

from types import SimpleNamespace

from benchmarks.cuda.cost import cost

_PROGRAM = """
%fused (a: f32[8,4], i: s32[]) -> f32[4] {
  %a = f32[8,4]{1,0} parameter(0)
  %i = s32[] parameter(1)
  %row = f32[1,4]{1,0} dynamic-slice(%a, %i), dynamic_slice_sizes={1,4}
  ROOT %r = f32[4]{0} bitcast(%row)
}

%body (s: (s32[], f32[8,4])) -> (s32[], f32[8,4]) {
  %s = (s32[], f32[8,4]) parameter(0)
  %i.1 = s32[] get-tuple-element(%s), index=0
  %a.1 = f32[8,4]{1,0} get-tuple-element(%s), index=1
  %f = f32[4]{0} fusion(%a.1, %i.1), kind=kLoop, calls=%fused
  ROOT %t = (s32[], f32[8,4]) tuple(%i.1, %a.1)
}

%many (x: f32[8,4]) -> f32[8,4] {
  %x = f32[8,4]{1,0} parameter(0)
  %y = f32[8,4]{1,0} custom-call(%x), custom_call_target="one"
  ROOT %z = f32[8,4]{1,0} custom-call(%y), custom_call_target="two"
}

%few (w: f32[8,4]) -> f32[8,4] {
  %w = f32[8,4]{1,0} parameter(0)
  ROOT %v = f32[8,4]{1,0} custom-call(%w), custom_call_target="one"
}

ENTRY %main (p: f32[8,4], q: pred[]) -> f32[8,4] {
  %p = f32[8,4]{1,0} parameter(0)
  %q = pred[] parameter(1)
  %n = (s32[], f32[8,4]) while(%s0), condition=%c, body=%body, backend_config={"known_trip_count":{"n":"3"}}
  %o = f32[8,4]{1,0} get-tuple-element(%n), index=1
  ROOT %e = f32[8,4]{1,0} conditional(%q, %o, %o), true_computation=%many, false_computation=%few
}
"""


def test_loops_slices_and_conditions_are_counted():
    memory = SimpleNamespace(temp_size_in_bytes=7)
    program = SimpleNamespace(as_text=lambda: _PROGRAM, memory_analysis=lambda: memory)
    found = cost(program)
    assert found.kinds == {"fusion:kLoop": 3, "one": 1}  # the loop thrice, and the branch with the fewest launches
    assert (found.launches, found.temporaries) == (4, 7)
    assert found.read == 3 * (4 * 4 + 4) + 8 * 4 * 4  # a row of the slice and its index each time, and one whole array
    assert found.written == 3 * 4 * 4 + 8 * 4 * 4
