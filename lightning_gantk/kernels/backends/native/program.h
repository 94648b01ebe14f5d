// A program is a list of steps between states; a state has a squared distance, an NTK and an exact difference of variances
// for each of its pixels and lanes. Op and Step are generated from layout.py.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "layout.h"
#include "pixelwise.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

const Pixelwise* find_layer(int64_t number);  // registered by Python, see layers.cc

struct State {
  int64_t height, width;
};

enum Want { VALUES = 0, ONE = 1, BOTH = 2 };  // derivatives: none, in the test points, in the training point too

struct Program {
  bool ntk, exact;  // exact: with differences of variances
  bool rests;       // whether vectors have 2 d numbers: coordinates, and what rounding left out of them
  int64_t wide;   // blocks of lanes that stand where pixels do, for vectors; 0 for images
  int64_t units;  // numbers on the tape of a training point
  std::vector<State> states;
  std::vector<Step> steps;
  std::vector<const Pixelwise*> layers;  // by step; null where it is none
  const float* floats;

  Program(ffi::Span<const int64_t> code, ffi::Span<const float> floats, bool exact) : exact(exact), floats(floats.begin()) {
    const int64_t* at = code.begin();
    ntk = *at++, rests = *at++, wide = *at++, units = *at++;
    states.resize(*at++), steps.resize(*at++);
    for (State& s : states) s.height = *at++, s.width = *at++;
    for (Step& s : steps) std::memcpy(&s, at, sizeof(Step)), at += sizeof(Step) / sizeof(int64_t);
    for (const Step& s : steps) layers.push_back(s.op == PIXELWISE ? find_layer(exact ? s.exact : s.plain) : nullptr);
  }
  int64_t pixels(int64_t state) const { return states[state].height * states[state].width; }
  int64_t coordinates(int64_t numbers) const { return rests ? numbers / 2 : numbers; }
  int64_t scale() const { return wide ? wide : 1; }
  int64_t last() const { return states.size() - 1; }
  bool complete() const {  // whether every layer has been registered
    for (size_t i = 0; i < steps.size(); ++i)
      if (steps[i].op == PIXELWISE && !layers[i]) return false;
    return true;
  }
};

// Memory of one thread. The adjoints of a state take the place of its values once the forward pass is over.
struct Work {
  const Program& g;
  std::vector<V*> v, theta, difference;  // by state
  std::vector<V*> kept;                  // by step
  V* scratch;
  std::unique_ptr<char[]> memory;

  Work(const Program& program, Want want) : g(program) {
    auto maps = [&](size_t step) {
      const Pixelwise* layer = g.layers[step];
      return !layer || want == VALUES ? 0 : want == ONE ? layer->kept_one : layer->kept_both;
    };
    int64_t count = 0, largest = 0;
    for (size_t i = 0; i < g.states.size(); ++i) {
      count += 3 * g.pixels(i);
      largest = std::max(largest, g.pixels(i));
    }
    for (size_t i = 0; i < g.steps.size(); ++i) count += maps(i) * g.pixels(g.steps[i].in);
    memory.reset(new char[(count + largest + 1) * sizeof(V)]);
    V* at = (V*)(((uintptr_t)memory.get() + sizeof(V) - 1) / sizeof(V) * sizeof(V));
    for (size_t i = 0; i < g.states.size(); ++i) {
      int64_t n = g.pixels(i);
      v.push_back(at), theta.push_back(at + n), difference.push_back(at + 2 * n), at += 3 * n;
    }
    for (size_t i = 0; i < g.steps.size(); ++i) kept.push_back(at), at += maps(i) * g.pixels(g.steps[i].in);
    scratch = at;
  }
};

// Tapes of the test points and of a training point, and adjoints of one kernel value: what the training point's weight
// makes of them is added to the adjoint of x's tape, and the same by the lanes' weights to p's.
struct Tapes {
  const V* x;
  const float* p = nullptr;
  V* x_bar = nullptr;
  float* p_bar = nullptr;
  float weight = 0;
  const V* weights = nullptr;
};
