// Kernel values of pairs of samples, their weighted sums and gradients: ../recursions.py for one training point against
// sixteen (times "blocks") test points at a time, every map of a pair in a core's cache, forward and then backward.
//
// A program is a list of layers between states; a state has a squared distance, an NTK and an exact difference of
// variances for each of its pixels and lanes. See ../native_products.py for the encoding.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "duals.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

enum Op { AFFINE = 0, ACTIVATE = 1, NORM = 2, MEAN = 3, ADD = 4 };

struct Step {
  int64_t op, in, in2, out, size, stride, tape, constants, fresh, fresh2;
};

struct State {
  int64_t height, width;
};

struct Program {
  bool ntk, exact;
  int64_t wide;      // blocks of lanes that stand where pixels do, for vectors; 0 for images
  int64_t units;     // numbers on the tape of a training point
  std::vector<State> states;
  std::vector<Step> steps;
  const float* constants;

  Program(ffi::Span<const int64_t> code, ffi::Span<const float> floats) {
    const int64_t* at = code.begin();
    ntk = *at++, exact = *at++, wide = *at++, units = *at++;
    states.resize(*at++), steps.resize(*at++);
    for (State& s : states) s.height = *at++, s.width = *at++;
    for (Step& s : steps) std::memcpy(&s, at, sizeof(Step)), at += sizeof(Step) / sizeof(int64_t);
    constants = floats.begin();
  }
  int64_t pixels(int64_t state) const { return states[state].height * states[state].width; }
  int64_t scale() const { return wide ? wide : 1; }
};

enum Want { VALUES = 0, ONE = 1, BOTH = 2 };  // derivatives: none, in the test points, in the training point too

// Memory of one thread. The adjoints of a state take the place of its values once the forward pass is over.
struct Work {
  const Program& g;
  Want want;
  std::vector<V*> v, theta, difference;  // by state
  std::vector<V*> kept;                  // by step: four maps for ACTIVATE (six for BOTH), five for NORM
  V* scratch;
  std::unique_ptr<char[]> memory;

  Work(const Program& program, Want want) : g(program), want(want) {
    int64_t total = 0, largest = 0, maps = want == BOTH ? 6 : 4;
    for (size_t i = 0; i < g.states.size(); ++i) {
      total += 3 * g.pixels(i);
      largest = std::max(largest, g.pixels(i));
    }
    for (const Step& s : g.steps)
      total += s.op == ACTIVATE ? maps * g.pixels(s.in) : s.op == NORM ? 5 * g.pixels(s.in) : 0;
    memory.reset(new char[(total + largest + 1) * sizeof(V)]);
    V* at = (V*)(((uintptr_t)memory.get() + sizeof(V) - 1) / sizeof(V) * sizeof(V));
    for (size_t i = 0; i < g.states.size(); ++i) {
      int64_t n = g.pixels(i);
      v.push_back(at), theta.push_back(at + n), difference.push_back(at + 2 * n), at += 3 * n;
    }
    for (const Step& s : g.steps) {
      kept.push_back(at);
      at += s.op == ACTIVATE ? maps * g.pixels(s.in) : s.op == NORM ? 5 * g.pixels(s.in) : 0;
    }
    scratch = at;
  }
};

// Means over windows, 'SAME': in (h, w) -> out (ho, wo). `before` is the padding above, as XLA has it.
static int64_t before(int64_t length, int64_t out, const Step& s) {
  return std::max<int64_t>((out - 1) * s.stride + s.size - length, 0) / 2;
}

static void box(const V* in, V* out, V* row, State i, State o, const Step& s, float scale) {
  const int64_t top = before(i.height, o.height, s), left = before(i.width, o.width, s);
  scale /= s.size * s.size;
  for (int64_t y = 0; y < o.height; ++y) {
    int64_t from = std::max<int64_t>(y * s.stride - top, 0), to = std::min(y * s.stride - top + s.size, i.height);
    for (int64_t x = 0; x < i.width; ++x) {
      V sum = in[from * i.width + x];
      for (int64_t r = from + 1; r < to; ++r) sum += in[r * i.width + x];
      row[x] = sum * scale;
    }
    for (int64_t x = 0; x < o.width; ++x) {
      int64_t a = std::max<int64_t>(x * s.stride - left, 0), b = std::min(x * s.stride - left + s.size, i.width);
      V sum = row[a];
      for (int64_t c = a + 1; c < b; ++c) sum += row[c];
      out[y * o.width + x] = sum;
    }
  }
}

// Row by row of `in`, each worked on in the first cache and written once: memory is what this costs.
static void box_transposed(const V* out, V* in, V* row, State i, State o, const Step& s, float scale, bool fresh) {
  const int64_t top = before(i.height, o.height, s), left = before(i.width, o.width, s);
  scale /= s.size * s.size;
  for (int64_t y = 0; y < i.height; ++y, in += i.width) {
    const int64_t shifted = y + top;  // the rows of `out` whose windows hold this one
    const int64_t from = shifted < s.size ? 0 : (shifted - s.size) / s.stride + 1;
    const int64_t to = std::min(shifted / s.stride + 1, o.height);
    if (fresh) std::memset((void*)in, 0, i.width * sizeof(V));
    if (from >= to) continue;
    for (int64_t x = 0; x < o.width; ++x) {
      V sum = out[from * o.width + x];
      for (int64_t r = from + 1; r < to; ++r) sum += out[r * o.width + x];
      row[x] = sum * scale;
    }
    for (int64_t x = 0; x < o.width; ++x) {
      const int64_t first = x * s.stride - left, a = std::max<int64_t>(first, 0), b = std::min(first + s.size, i.width);
      for (int64_t c = a; c < b; ++c) in[c] += row[x];
    }
  }
}

// A side's tape: entry e of pixel j stands at (offset + e * pixels + j). Derivatives are those of one kernel value; what a
// training point's weight makes of them is added to the adjoint of x's tape, and the same by the lanes' weights to p's.
struct Tapes {
  const V* x;
  const float* p;
  V* x_bar;
  float* p_bar;
  float weight;
  const V* weights;
};

// The adjoint of a unit of p's tape, of which wide programs have one for all their blocks of lanes.
template <Want WANT>
struct Unit {
  const Program& g;
  const Tapes& t;
  float* at;
  V sum = {};

  Unit(const Program& g, const Tapes& t, int64_t place) : g(g), t(t), at(WANT == BOTH ? t.p_bar + place : nullptr) {}
  ~Unit() {
    if (WANT == BOTH && g.wide) *at += total(sum);
  }
  void add(int64_t j, V value) {
    if (WANT != BOTH) return;
    if (g.wide)
      sum += value * t.weights[j];
    else
      at[j] += total(value * t.weights[0]);
  }
};

template <Want WANT, class F>
static void activate(const Program& g, const Step& s, Work& w, const Tapes& t, F dual, bool rectifier) {
  const int64_t n = g.pixels(s.in), np = g.wide ? 1 : n;
  const V *v = w.v[s.in], *theta = w.theta[s.in], *difference = w.difference[s.in];
  V *v_out = w.v[s.out], *theta_out = w.theta[s.out], *difference_out = w.difference[s.out];
  V* kept = w.kept[&s - g.steps.data()];
  const V* x_tape = t.x + s.tape * g.scale();
  const float* p_tape = t.p + s.tape;
  const float mean = g.constants[s.constants];
  for (int64_t j = 0; j < n; ++j) {
    const int64_t k = g.wide ? 0 : j;
    auto x = [&](int e) { return x_tape[(2 + e) * n + j]; };
    auto p = [&](int e) { return p_tape[(2 + e) * np + k]; };
    V sigma_x = x(-1), gap;
    const float sigma_p = p(-1);
    if (g.exact) {
      V d = difference[j];
      gap = d / vmax(sigma_x + sigma_p, splat(1e-37f));
      V q_x = x(0), q_p = splat(p(0));
      if (rectifier) {
        difference_out[j] = mean * d;
      } else {
        V trapezoid = 0.5f * (x(2) + p(2)) * d;
        difference_out[j] = vmax(d, -d) < 1e-2f * (q_x + q_p) ? trapezoid : x(1) - p(1);
      }
    } else {
      gap = sigma_x - sigma_p;
    }
    Expansion f = dual(g.constants + s.constants, v[j], gap, x, p);
    v_out[j] = f.distance;
    if (g.ntk) theta_out[j] = theta[j] * f.slope;
    if (WANT != VALUES) {
      kept[j] = f.slope, kept[n + j] = f.distance_q;
      if (g.ntk) kept[2 * n + j] = theta[j] * f.slope_v, kept[3 * n + j] = theta[j] * f.slope_q;
    }
    if (WANT == BOTH) {
      kept[4 * n + j] = f.distance_p;
      if (g.ntk) kept[5 * n + j] = theta[j] * f.slope_p;
    }
  }
}

template <Want WANT>
static void forward(const Program& g, Work& w, const Tapes& t) {
  for (const Step& s : g.steps) {
    const int64_t n = g.pixels(s.in), m = g.pixels(s.out);
    const float* c = g.constants + s.constants;
    V *v = w.v[s.out], *theta = w.theta[s.out], *difference = w.difference[s.out];
    const int64_t units = g.wide ? 1 : m;
    if (s.op == AFFINE) {
      auto mean = [&](const V* in, V* out) {
        if (s.size == 1 && s.stride == 1)
          for (int64_t j = 0; j < n; ++j) out[j] = in[j] * c[0];
        else
          box(in, out, w.scratch, g.states[s.in], g.states[s.out], s, c[0]);
      };
      mean(w.v[s.in], v);
      if (g.exact) mean(w.difference[s.in], difference);
      if (g.ntk) {
        const bool first = s.in == 0;
        if (!first) mean(w.theta[s.in], theta);
        const V* q_x = t.x + s.tape * g.scale();
        const float* q_p = t.p + s.tape;
        for (int64_t j = 0; j < m; ++j) {
          V k = 0.5f * (q_x[j] + q_p[units == 1 ? 0 : j] - v[j]);
          theta[j] = first ? k : theta[j] + k;
        }
      }
    } else if (s.op == ACTIVATE) {
      switch (s.size) {
        case RECTIFIER: activate<WANT>(g, s, w, t, [](auto... a) { return rectifier(a...); }, true); break;
        case ERF: activate<WANT>(g, s, w, t, [](auto... a) { return erf_dual(a...); }, false); break;
        case SIN: activate<WANT>(g, s, w, t, [](auto... a) { return sin_dual(a...); }, false); break;
        default: activate<WANT>(g, s, w, t, [](auto... a) { return gelu_dual(a...); }, false);
      }
    } else if (s.op == NORM) {
      const V* x = t.x + s.tape * g.scale();
      const float* p = t.p + s.tape;
      V* kept = w.kept[&s - g.steps.data()];
      const V *v_in = w.v[s.in], *theta_in = w.theta[s.in];
      for (int64_t j = 0; j < n; ++j) {
        const int64_t k = g.wide ? 0 : j, np = g.wide ? 1 : n;
        const float sigma_p = p[k], inverse_p = p[np + k], lack_p = p[2 * np + k];
        V sigma_x = x[j], inverse_x = x[n + j], lack = x[2 * n + j] - lack_p;
        V gap = g.exact ? w.difference[s.in][j] / vmax(sigma_x + sigma_p, splat(1e-37f)) : sigma_x - sigma_p;
        V rest = v_in[j] - gap * gap, both = inverse_x * inverse_p;
        V positive = rest > 0.0f ? splat(1.0f) : splat(0.0f);
        rest *= positive;
        v[j] = rest * both + lack * lack;
        if (g.ntk) theta[j] = theta_in[j] * both;
        if (g.exact) difference[j] = V{};
        if (WANT != VALUES) {
          kept[j] = both, kept[n + j] = positive * both, kept[2 * n + j] = -2.0f * gap * positive * both;
          kept[3 * n + j] = rest, kept[4 * n + j] = g.ntk ? theta_in[j] : V{};
        }
      }
    } else if (s.op == MEAN) {
      auto mean = [&](const V* in, V* out) {
        V sum = in[0];
        for (int64_t j = 1; j < n; ++j) sum += in[j];
        out[0] = sum * (1.0f / n);
      };
      mean(w.v[s.in], v);
      if (g.ntk) mean(w.theta[s.in], theta);
      if (g.exact) mean(w.difference[s.in], difference);
    } else {
      auto add = [&](const V* a, const V* b, V* out) {
        for (int64_t j = 0; j < m; ++j) out[j] = a[j] + b[j];
      };
      add(w.v[s.in], w.v[s.in2], v);
      if (g.ntk) add(w.theta[s.in], w.theta[s.in2], theta);
      if (g.exact) add(w.difference[s.in], w.difference[s.in2], difference);
    }
  }
}

// v and theta of the last state hold its adjoints; leaves those of the first in v[0] and adds to the tapes'.
template <Want WANT>
static void backward(const Program& g, Work& w, const Tapes& t) {
  for (size_t i = g.steps.size(); i-- > 0;) {
    const Step& s = g.steps[i];
    const int64_t n = g.pixels(s.in), m = g.pixels(s.out);
    const float* c = g.constants + s.constants;
    V *v = w.v[s.out], *theta = w.theta[s.out], *v_in = w.v[s.in], *theta_in = w.theta[s.in], *kept = w.kept[i];
    V* x_bar = t.x_bar + s.tape * g.scale();
    const bool fresh = s.fresh;
    auto put = [&](V* at, V value) { *at = fresh ? value : *at + value; };
    if (s.op == AFFINE) {
      if (g.ntk) {
        Unit<WANT> q_p(g, t, s.tape);
        for (int64_t j = 0; j < m; ++j) {
          V half = 0.5f * theta[j];
          x_bar[j] += t.weight * half, v[j] -= half;
          q_p.add(j, half);
        }
      }
      auto back = [&](const V* out, V* in) {
        if (s.size == 1 && s.stride == 1)
          for (int64_t j = 0; j < n; ++j) put(in + j, out[j] * c[0]);
        else
          box_transposed(out, in, w.scratch, g.states[s.in], g.states[s.out], s, c[0], fresh);
      };
      back(v, v_in);
      if (g.ntk && s.in != 0) back(theta, theta_in);
    } else if (s.op == ACTIVATE) {
      Unit<WANT> q_p(g, t, s.tape);
      for (int64_t j = 0; j < n; ++j) {
        V v_bar = v[j], sum_v = kept[j] * v_bar, sum_q = kept[n + j] * v_bar, sum_p = {};
        if (WANT == BOTH) sum_p = kept[4 * n + j] * v_bar;
        if (g.ntk) {
          V theta_bar = theta[j];
          sum_v += kept[2 * n + j] * theta_bar, sum_q += kept[3 * n + j] * theta_bar;
          if (WANT == BOTH) sum_p += kept[5 * n + j] * theta_bar;
          put(theta_in + j, kept[j] * theta_bar);
        }
        put(v_in + j, sum_v);
        x_bar[j] += t.weight * sum_q;
        q_p.add(j, sum_p);
      }
    } else if (s.op == NORM) {
      const V* x = t.x + s.tape * g.scale();
      const float* p = t.p + s.tape;
      const int64_t np = g.wide ? 1 : n;
      Unit<WANT> of_sigma(g, t, s.tape), of_inverse(g, t, s.tape + np), of_lack(g, t, s.tape + 2 * np);
      for (int64_t j = 0; j < n; ++j) {
        const int64_t k = g.wide ? 0 : j;
        V v_bar = v[j], theta_bar = g.ntk ? theta[j] : V{};
        put(v_in + j, kept[n + j] * v_bar);
        if (g.ntk) put(theta_in + j, kept[j] * theta_bar);
        V sigma = kept[2 * n + j] * v_bar, both = kept[3 * n + j] * v_bar + kept[4 * n + j] * theta_bar;
        V lack = 2.0f * (x[2 * n + j] - p[2 * np + k]) * v_bar;
        x_bar[j] += t.weight * sigma, x_bar[n + j] += t.weight * (both * p[np + k]), x_bar[2 * n + j] += t.weight * lack;
        of_sigma.add(j, -sigma), of_inverse.add(j, both * x[n + j]), of_lack.add(j, -lack);
      }
    } else if (s.op == MEAN) {
      for (int64_t j = 0; j < n; ++j) {
        put(v_in + j, v[0] * (1.0f / n));
        if (g.ntk) put(theta_in + j, theta[0] * (1.0f / n));
      }
    } else {
      V *v_two = w.v[s.in2], *theta_two = w.theta[s.in2];
      for (int64_t j = 0; j < m; ++j) {
        put(v_in + j, v[j]);
        if (g.ntk) put(theta_in + j, theta[j]);
        v_two[j] = s.fresh2 ? v[j] : v_two[j] + v[j];
        if (g.ntk) theta_two[j] = s.fresh2 ? theta[j] : theta_two[j] + theta[j];
      }
    }
  }
}

// The kernel values of the last state. The last unit of the tapes is the variance at the end.
static void values(const Program& g, Work& w, const Tapes& t, V* out) {
  const int64_t last = g.states.size() - 1, n = g.pixels(last);
  for (int64_t j = 0; j < n; ++j)
    out[j] = g.ntk ? w.theta[last][j]
                   : 0.5f * (t.x[(g.units - 1) * g.scale() + j] + t.p[g.units - 1] - w.v[last][j]);
}

template <Want WANT>
static void seed(const Program& g, Work& w, const Tapes& t) {
  const int64_t last = g.states.size() - 1, n = g.pixels(last);
  Unit<WANT> q_p(g, t, g.units - 1);
  for (int64_t j = 0; j < n; ++j) {
    if (g.ntk) {
      w.theta[last][j] = splat(1.0f), w.v[last][j] = V{};
    } else {
      w.v[last][j] = splat(-0.5f);
      t.x_bar[(g.units - 1) * g.scale() + j] += 0.5f * t.weight;
      q_p.add(j, splat(0.5f));
    }
  }
}

// A pair's values and derivatives, with the distances in state 0: values in `found`, the adjoint of the distance in v[0].
template <Want WANT>
static void differentiate(const Program& g, Work& w, const Tapes& t, V* found) {
  forward<WANT>(g, w, t);
  values(g, w, t, found);
  seed<WANT>(g, w, t);
  backward<WANT>(g, w, t);
}

static void flush(V* sum, std::vector<V>& recent) {
  for (size_t j = 0; j < recent.size(); ++j) sum[j] += recent[j], recent[j] = V{};
}

// Tasks 0 to count - 1 on XLA's own threads, the caller's among them.
template <class F>
static void parallel(ffi::ThreadPool pool, int64_t count, F task) {
  struct Shared {
    std::atomic<int64_t> next{0}, done{0};
    std::mutex mutex;
    std::condition_variable all;
  };
  auto shared = std::make_shared<Shared>();
  const F* run = &task;  // alive until every task is done; a thread that comes later finds none left and ends
  auto work = [shared, run, count] {
    for (int64_t i; (i = shared->next.fetch_add(1)) < count;) {
      (*run)(i);
      if (shared->done.fetch_add(1) + 1 == count) {
        std::lock_guard<std::mutex> lock(shared->mutex);
        shared->all.notify_all();
      }
    }
  };
  const int64_t helpers = std::min(pool.num_threads(), count) - 1;
  for (int64_t i = 0; i < helpers; ++i) pool.Schedule(decltype(work)(work));
  work();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all.wait(lock, [&] { return shared->done.load() == count; });
}

using F32 = ffi::Buffer<ffi::F32>;
using Out = ffi::Result<F32>;

// Mean squared differences of the channels, and means of (x - p) (x + p), into state 0.
static void differences(const Program& g, Work& w, const V* x, const float* p, int64_t channels) {
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n;
  V *v = w.v[0], *d = w.difference[0];
  const float scale = 1.0f / channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j < n; ++j) {
      const float other = p[c * np + (g.wide ? 0 : j)];
      V minus = (x[c * n + j] - other) * scale, square = minus * (x[c * n + j] - other);
      V cross = minus * (x[c * n + j] + other);
      v[j] = c ? v[j] + square : square;
      d[j] = c ? d[j] + cross : cross;
    }
}

// A symmetric matrix of values (P, rows) of which task after task writes points [begin, end) against `width` lanes from
// `first` on: up to the diagonal alone, and mirrored from there.
struct Symmetric {
  float* to;
  int64_t points, rows, first, width;

  int64_t count() const { return std::min(points, first + width); }

  void put(int64_t i, const float* found) const {
    const int64_t skip = std::max<int64_t>(0, i - first);  // below the diagonal
    std::memcpy(to + i * rows + first + skip, found + skip, (width - skip) * sizeof(float));
  }

  void mirror(int64_t begin, int64_t end) const {
    for (int64_t top = begin; top < end; top += LANES)  // a cache line of each mirrored row at a time
      for (int64_t j = std::max(first, top + 1); j < count(); ++j)
        for (int64_t i = top; i < std::min({end, top + LANES, j}); ++i) to[j * rows + i] = to[i * rows + j];
  }
};

// x (B, channels, pixels, LANES), its tape (B, units, LANES), p (P, channels, pixels), its tape (P, units)
// -> kernel values (P, B, LANES). Where both sides are the same samples (x filled up to whole blocks), half of the values
// are worked out and mirrored.
static ffi::Error values_of_samples(ffi::ThreadPool pool, F32 x, F32 x_tape, F32 p, F32 p_tape, Out out,
                                    ffi::Span<const int64_t> code, ffi::Span<const float> floats, bool symmetric) {
  const Program g(code, floats);
  const int64_t blocks = x.dimensions()[0], channels = x.dimensions()[1], points = p.dimensions()[0];
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n, last = g.pixels(g.states.size() - 1);
  const int64_t parts = std::min<int64_t>(points, std::max<int64_t>(1, 4 * pool.num_threads() / blocks + 1));
  parallel(pool, blocks * parts, [&](int64_t task) {
    const int64_t b = blocks - 1 - task / parts, part = task % parts, width = LANES * last;
    const Symmetric half{out->typed_data(), points, blocks * width, b * width, width};
    const int64_t count = symmetric ? half.count() : points, begin = count * part / parts, end = count * (part + 1) / parts;
    Work w(g, VALUES);
    std::vector<V> found(last);
    const V* xb = (const V*)x.typed_data() + b * channels * n;
    Tapes t{(const V*)x_tape.typed_data() + b * g.units * g.scale()};
    for (int64_t i = begin; i < end; ++i) {
      const float* pi = p.typed_data() + i * channels * np;
      t.p = p_tape.typed_data() + i * g.units;
      differences(g, w, xb, pi, channels);
      forward<VALUES>(g, w, t);
      if (!symmetric) {
        values(g, w, t, (V*)out->typed_data() + (i * blocks + b) * last);
        continue;
      }
      values(g, w, t, found.data());
      half.put(i, (const float*)found.data());
    }
    if (symmetric) half.mirror(begin, end);
  });
  return ffi::Error::Success();
}

// Adjoints of training points that are test points too, in the order of the points: score, differences, tape. Blocks of
// test points are dealt out to groups, which work side by side, each on a copy of its own; the sum of the copies does not
// depend on who was first.
struct Shares {
  int64_t groups, points, each;
  std::vector<float> all;

  Shares(int64_t groups, int64_t points, int64_t each)
      : groups(groups), points(points), each(each), all(groups * points * each) {}
  float* of(int64_t group, int64_t point) { return all.data() + (group * points + point) * each; }

  // Blocks with many points to go through and with few, in turns: all groups have as much to do.
  int64_t group_of(int64_t block) const {
    const int64_t place = block % (2 * groups);
    return place < groups ? place : 2 * groups - 1 - place;
  }

  // Adds entries [from, from + count) of a point, each to the lane of its test point; lanes of one entry stand together.
  void add(int64_t point, int64_t from, int64_t count, float* to, int64_t stride) {
    for (int64_t group = 0; group < groups; ++group) {
      const float* mine = of(group, point) + from;
      for (int64_t e = 0; e < count; ++e) to[e * stride] += mine[e];
    }
  }
};

constexpr int64_t MOST_SHARED = int64_t(1) << 27;  // bytes of all copies; beyond, every pair is worked out for both sides

// As above with weights -> scores (parts, B, LANES), gradient through v (parts, like x), adjoint of x's tape (parts, ...).
// Where the first `own` training points are the test points, pairs of them in different blocks are worked out once; `parts`
// must be 1 then.
static ffi::Error sums_of_samples(ffi::ThreadPool pool, F32 x, F32 x_tape, F32 p, F32 p_tape, F32 weights, Out scores,
                                  Out gradient, Out tape_bar, ffi::Span<const int64_t> code,
                                  ffi::Span<const float> floats, int64_t own) {
  const Program g(code, floats);
  const int64_t blocks = x.dimensions()[0], channels = x.dimensions()[1], points = p.dimensions()[0];
  const int64_t parts = scores->dimensions()[0], units = g.units * g.scale();
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n, last = g.pixels(g.states.size() - 1), width = LANES * last;
  const int64_t each = 1 + channels * np + g.units, groups = std::min(blocks, pool.num_threads());
  if (4 * groups * own * each > MOST_SHARED) own = 0;
  Shares shares(groups, own, each);
  std::vector<V> lanes(blocks * last, V{});  // the weights of the test points
  std::memcpy((void*)lanes.data(), weights.typed_data(), own * sizeof(float));
  auto run = [&](int64_t task) {
    const int64_t part = task / blocks, b = task % blocks;
    const int64_t first = std::min(own, b * width), skipped = own - std::min(own, first + width);
    Work w(g, own ? BOTH : ONE);
    const V* xb = (const V*)x.typed_data() + b * channels * n;
    V* sum = (V*)scores->typed_data() + task * last;
    V* x_bar = (V*)gradient->typed_data() + task * channels * n;
    Tapes t{(const V*)x_tape.typed_data() + b * units, nullptr, (V*)tape_bar->typed_data() + task * units};
    t.weights = lanes.data() + b * last;
    std::memset((void*)sum, 0, last * sizeof(V));
    std::memset((void*)x_bar, 0, channels * n * sizeof(V));
    std::memset((void*)t.x_bar, 0, units * sizeof(V));
    std::vector<V> found(last), recent(last, V{});  // scores are summed in two levels: a long float sum drifts
    for (int64_t turn = points * part / parts; turn < points * (part + 1) / parts - skipped; ++turn) {
      const int64_t i = turn < own - skipped ? turn : turn + skipped;  // later blocks have seen to what is skipped
      const float* pi = p.typed_data() + i * channels * np;
      const bool both = i < first;
      t.weight = weights.typed_data()[i];
      if (t.weight == 0 && !both) continue;
      t.p = p_tape.typed_data() + i * g.units;
      differences(g, w, xb, pi, channels);
      float* share = both ? shares.of(shares.group_of(b), i) : nullptr;
      if (both) {
        t.p_bar = share + 1 + channels * np;
        differentiate<BOTH>(g, w, t, found.data());
        for (int64_t j = 0; j < last; ++j) share[0] += total(found[j] * t.weights[j]);
      } else {
        differentiate<ONE>(g, w, t, found.data());
      }
      for (int64_t j = 0; j < last; ++j) recent[j] += t.weight * found[j];
      if (turn % 32 == 31) flush(sum, recent);
      const V* v_bar = w.v[0];
      for (int64_t c = 0; c < channels; ++c) {
        V across = {};
        for (int64_t j = 0; j < n; ++j) {
          V slope = (2.0f / channels) * v_bar[j] * (xb[c * n + j] - pi[c * np + (g.wide ? 0 : j)]);
          x_bar[c * n + j] += t.weight * slope;
          if (both && g.wide) across += slope * t.weights[j];
          if (both && !g.wide) share[1 + c * np + j] -= total(slope * t.weights[0]);
        }
        if (both && g.wide) share[1 + c] -= total(across);
      }
    }
    flush(sum, recent);
  };
  if (!own) {
    parallel(pool, blocks * parts, run);
    return ffi::Error::Success();
  }
  parallel(pool, groups, [&](int64_t group) {
    for (int64_t b = blocks - 1; b >= 0; --b)
      if (shares.group_of(b) == group) run(b);
  });
  parallel(pool, blocks, [&](int64_t b) {
    for (int64_t i = b * width; i < std::min(own, (b + 1) * width); ++i) {
      const int64_t lane = i - b * width, stride = g.wide ? width : LANES;
      shares.add(i, 0, 1, scores->typed_data() + b * width + lane, 1);
      shares.add(i, 1, channels * np, gradient->typed_data() + b * channels * n * LANES + lane, stride);
      shares.add(i, 1 + channels * np, g.units, tape_bar->typed_data() + b * units * LANES + lane, stride);
    }
  });
  return ffi::Error::Success();
}

// Where distances come from a matrix product: inner products (C, R) of centred samples with mean squares `centred_x`
// (R) and `centred_p` (C). Pairs closer than `near` times the sum of these (or 1e-3 of it,
// uncentred) are worked out from exact differences of the
// samples x (R, d), p (C, d) with mean squares q_x (R), q_p (C).
struct Distances {
  const float *inner, *centred_x, *centred_p, *x, *p, *q_x, *q_p;
  int64_t rows, dimensions;
  float near;

  // Of point i and block b, into state 0 of one of both; true where some pair is near, and `exact` was filled.
  bool fill(const Program& g, Work& plain, Work& exact, int64_t i, int64_t b, I* close) const {
    const int64_t n = g.wide;
    const V *u = (const V*)(inner + i * rows) + b * n, *c = (const V*)centred_x + b * n, *q = (const V*)q_x + b * n;
    const float twice = 2.0f / dimensions;
    I some = {};
    for (int64_t j = 0; j < n; ++j) {
      V sum = c[j] + centred_p[i], v = vmax(sum - twice * u[j], splat(0.0f));
      close[j] = v < vmax(near * sum, 1e-3f * near * (q[j] + q_p[i]));  // 1e-3: vectors.CLOSE over vectors.NEAR
      some |= close[j];
      plain.v[0][j] = v;
    }
    bool any = false;
    for (int l = 0; l < LANES; ++l) any |= some[l] != 0;
    if (!any) return false;
    for (int64_t j = 0; j < n; ++j) {
      V v = plain.v[0][j], difference = q[j] - q_p[i];
      for (int l = 0; l < LANES; ++l)
        if (close[j][l]) v[l] = pair(x + row(b, n, j, l) * dimensions, p + i * dimensions, &difference[l]);
      exact.v[0][j] = v, exact.difference[0][j] = difference;
    }
    return true;
  }

  static int64_t row(int64_t b, int64_t n, int64_t j, int l) { return (b * n + j) * LANES + l; }

  float pair(const float* a, const float* b, float* difference) const {
    typedef float U __attribute__((vector_size(4 * LANES), aligned(4)));
    V squares = {}, cross = {};
    float square = 0, rest = 0;
    int64_t c = 0;
    for (; c + LANES <= dimensions; c += LANES) {
      V s = *(const U*)(a + c), t = *(const U*)(b + c), minus = s - t;
      squares += minus * minus, cross += minus * (s + t);
    }
    for (; c < dimensions; ++c) square += (a[c] - b[c]) * (a[c] - b[c]), rest += (a[c] - b[c]) * (a[c] + b[c]);
    for (int l = 0; l < LANES; ++l) square += squares[l], rest += cross[l];
    *difference = rest / dimensions;
    return square / dimensions;
  }
};

// inner (C, R), centred mean squares (R) and (C), samples (R, d) and (C, d), mean squares (R) and (C), x tape (B, units,
// wide, LANES), p tape (C, units) -> kernel values (C, R). Where both sides are the same samples (R filled up to whole
// blocks), half of the values are worked out and mirrored.
static ffi::Error values_of_inner(ffi::ThreadPool pool, F32 inner, F32 centred_x, F32 centred_p, F32 x, F32 p, F32 q_x,
                                  F32 q_p, F32 x_tape, F32 p_tape, Out out, ffi::Span<const int64_t> code,
                                  ffi::Span<const float> floats, float near, bool symmetric) {
  const Program g(code, floats);
  Program careful = g;
  careful.exact = true;
  const int64_t points = inner.dimensions()[0], rows = inner.dimensions()[1], width = LANES * g.wide;
  const int64_t blocks = rows / width;
  const Distances d{inner.typed_data(), centred_x.typed_data(), centred_p.typed_data(), x.typed_data(), p.typed_data(),
                    q_x.typed_data(),   q_p.typed_data(),       rows,                   x.dimensions()[1], near};
  const int64_t parts = std::min<int64_t>(points, std::max<int64_t>(1, 4 * pool.num_threads() / blocks + 1));
  parallel(pool, blocks * parts, [&](int64_t task) {
    const int64_t b = blocks - 1 - task / parts, part = task % parts;
    const Symmetric half{out->typed_data(), points, rows, b * width, width};
    const int64_t count = symmetric ? half.count() : points;
    const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    Work plain(g, VALUES), exact(careful, VALUES);
    std::vector<I> close(g.wide);
    std::vector<V> found(g.wide);
    Tapes t{(const V*)x_tape.typed_data() + b * g.units * g.wide};
    for (int64_t i = begin; i < end; ++i) {
      t.p = p_tape.typed_data() + i * g.units;
      Work& w = d.fill(g, plain, exact, i, b, close.data()) ? exact : plain;
      forward<VALUES>(w.g, w, t);
      if (!symmetric) {
        values(g, w, t, (V*)(out->typed_data() + i * rows) + b * g.wide);
        continue;
      }
      values(g, w, t, found.data());
      half.put(i, (const float*)found.data());
    }
    if (symmetric) half.mirror(begin, end);
  });
  return ffi::Error::Success();
}

// As above with weights (C) -> scores (parts, R), F_v (C, R) but 0 where near, the sum of w F_v (x - p) over near pairs
// (R, d), adjoint of x's tape (parts, B, units, ...). Where both sides are the same samples, pairs of different blocks are
// worked out once.
static ffi::Error sums_of_inner(ffi::ThreadPool pool, F32 inner, F32 centred_x, F32 centred_p, F32 x, F32 p, F32 q_x,
                                F32 q_p, F32 x_tape, F32 p_tape, F32 weights, Out scores, Out slopes, Out direct,
                                Out tape_bar, ffi::Span<const int64_t> code, ffi::Span<const float> floats, float near,
                                bool symmetric) {
  const Program g(code, floats);
  Program careful = g;
  careful.exact = true;
  const int64_t points = inner.dimensions()[0], rows = inner.dimensions()[1], n = g.wide, width = LANES * n;
  const int64_t blocks = rows / width, parts = scores->dimensions()[0], tasks = blocks * parts;
  const int64_t units = g.units * n, dimensions = x.dimensions()[1];
  const Distances d{inner.typed_data(), centred_x.typed_data(), centred_p.typed_data(), x.typed_data(), p.typed_data(),
                    q_x.typed_data(),   q_p.typed_data(),       rows,                   dimensions,     near};
  struct Near {
    int64_t row, point;
    float slope;
  };
  std::vector<std::vector<Near>> of_rows(tasks), of_points(tasks);  // added up later, in the order of tasks
  Shares shares(symmetric ? tasks : 0, points, 1 + g.units);
  std::vector<V> lanes(rows / LANES, V{});  // the weights of the test points
  if (symmetric) std::memcpy((void*)lanes.data(), weights.typed_data(), points * sizeof(float));
  parallel(pool, tasks, [&](int64_t turn) {
    const int64_t task = tasks - 1 - turn, part = task / blocks, b = task % blocks;  // those with most points first
    const Symmetric half{slopes->typed_data(), points, rows, b * width, width};
    const int64_t count = symmetric ? half.count() : points, begin = count * part / parts, end = count * (part + 1) / parts;
    Work plain(g, symmetric ? BOTH : ONE), exact(careful, symmetric ? BOTH : ONE);
    std::vector<I> close(n);
    std::vector<V> found(n), recent(n, V{});
    Tapes t{(const V*)x_tape.typed_data() + b * units, nullptr, (V*)tape_bar->typed_data() + task * units};
    t.weights = lanes.data() + b * n;
    V* sum = (V*)(scores->typed_data() + part * rows) + b * n;
    std::memset((void*)sum, 0, n * sizeof(V));
    std::memset((void*)t.x_bar, 0, units * sizeof(V));
    for (int64_t i = begin; i < end; ++i) {
      const bool both = symmetric && i < b * width;
      V* slope = (V*)(slopes->typed_data() + i * rows) + b * n;
      t.weight = weights.typed_data()[i];
      if (t.weight == 0 && !symmetric) {
        std::memset((void*)slope, 0, n * sizeof(V));
        continue;
      }
      t.p = p_tape.typed_data() + i * g.units;
      const bool any = d.fill(g, plain, exact, i, b, close.data());
      Work& w = any ? exact : plain;
      if (both) {
        float* share = shares.of(task, i);
        t.p_bar = share + 1;
        differentiate<BOTH>(w.g, w, t, found.data());
        V across = {};
        for (int64_t j = 0; j < n; ++j) across += found[j] * t.weights[j];
        *share += total(across);
      } else {
        differentiate<ONE>(w.g, w, t, found.data());
      }
      for (int64_t j = 0; j < n; ++j) recent[j] += t.weight * found[j];
      if (i % 32 == 31) flush(sum, recent);
      if (any)
        for (int64_t j = 0; j < n; ++j)
          for (int l = 0; l < LANES; ++l)
            if (close[j][l]) {
              const Near pair{d.row(b, n, j, l), i, w.v[0][j][l]};
              of_rows[task].push_back(pair);
              if (both && pair.row < points) of_points[task].push_back(pair);
              w.v[0][j][l] = 0;
            }
      if (symmetric)
        half.put(i, (const float*)w.v[0]);
      else
        std::memcpy((void*)slope, (void*)w.v[0], n * sizeof(V));
    }
    flush(sum, recent);
    if (symmetric) half.mirror(begin, end);
  });
  parallel(pool, blocks, [&](int64_t b) {
    const int64_t first = b * width, last = first + width;
    float* to = direct->typed_data();
    std::memset(to + first * dimensions, 0, width * dimensions * sizeof(float));
    auto move = [&](int64_t row, int64_t point, float scale) {
      for (int64_t c = 0; c < dimensions; ++c)
        to[row * dimensions + c] += scale * (d.x[row * dimensions + c] - d.p[point * dimensions + c]);
    };
    for (int64_t task = 0; task < tasks; ++task) {
      if (task % blocks == b)
        for (const Near& pair : of_rows[task]) move(pair.row, pair.point, pair.slope * weights.typed_data()[pair.point]);
      for (const Near& pair : of_points[task])  // the same pair from the other side
        if (first <= pair.point && pair.point < last)
          move(pair.point, pair.row, pair.slope * weights.typed_data()[pair.row]);
    }
    if (!symmetric) return;
    for (int64_t i = first; i < std::min(points, last); ++i) {
      shares.add(i, 0, 1, scores->typed_data() + i, 1);
      shares.add(i, 1, g.units, tape_bar->typed_data() + b * units * LANES + i - first, width);
    }
  });
  return ffi::Error::Success();
}

// K (P, P) float and symmetric, v (P) double -> K v, rounded like double. Half of K is read, which is all the cost.
static ffi::Error product(ffi::ThreadPool pool, F32 matrix, ffi::Buffer<ffi::F64> vector,
                          ffi::Result<ffi::Buffer<ffi::F64>> out) {
  typedef double W __attribute__((vector_size(64), aligned(8)));
  typedef float H __attribute__((vector_size(32), aligned(4)));
  constexpr int ROWS = 4;
  const int64_t n = matrix.dimensions()[0], each = 64, tasks = (n + each - 1) / each;
  const float* k = matrix.typed_data();
  const double* v = vector.typed_data();
  double* y = out->typed_data();
  std::memset(y, 0, n * sizeof(double));
  std::mutex mutex;
  parallel(pool, (tasks + 1) / 2, [&](int64_t pair) {
    std::vector<double> mine(n, 0.0);
    auto rows = [&](int64_t block) {  // K_ij of these rows with j >= i, for y_i and for y_j
      const int64_t end = std::min(n, (block + 1) * each);
      int64_t i = block * each;
      for (; i + ROWS <= end; i += ROWS) {
        for (int r = 0; r < ROWS; ++r) {  // the corner, element by element
          const float* row = k + (i + r) * n;
          mine[i + r] += row[i + r] * v[i + r];
          for (int64_t j = i + r + 1; j < i + ROWS; ++j) mine[i + r] += row[j] * v[j], mine[j] += row[j] * v[i + r];
        }
        W sums[ROWS] = {};
        int64_t j = i + ROWS;
        for (; j + 8 <= n; j += 8) {
          W other = *(const W*)(v + j), across = *(W*)(mine.data() + j);
          for (int r = 0; r < ROWS; ++r) {
            W value = __builtin_convertvector(*(const H*)(k + (i + r) * n + j), W);
            sums[r] += value * other, across += value * v[i + r];
          }
          *(W*)(mine.data() + j) = across;
        }
        for (; j < n; ++j)
          for (int r = 0; r < ROWS; ++r) mine[i + r] += k[(i + r) * n + j] * v[j], mine[j] += k[(i + r) * n + j] * v[i + r];
        for (int r = 0; r < ROWS; ++r)
          for (int l = 0; l < 8; ++l) mine[i + r] += sums[r][l];
      }
      for (; i < end; ++i) {
        mine[i] += k[i * n + i] * v[i];
        for (int64_t j = i + 1; j < n; ++j) mine[i] += k[i * n + j] * v[j], mine[j] += k[i * n + j] * v[i];
      }
    };
    rows(pair);  // a long block of rows and a short one: every task has as much to do
    if (tasks - 1 - pair != pair) rows(tasks - 1 - pair);
    std::lock_guard<std::mutex> lock(mutex);
    for (int64_t i = pair * each; i < n; ++i) y[i] += mine[i];
  });
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_product, product,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<F32>().Arg<ffi::Buffer<ffi::F64>>()
                                  .Ret<ffi::Buffer<ffi::F64>>());
#define PROGRAM .Attr<ffi::Span<const int64_t>>("code").Attr<ffi::Span<const float>>("floats")
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_values_of_samples, values_of_samples,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Ret<F32>() PROGRAM.Attr<bool>("symmetric"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_sums_of_samples, sums_of_samples,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Arg<F32>().Ret<F32>().Ret<F32>().Ret<F32>() PROGRAM.Attr<int64_t>("own"));
#define INNER .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_values_of_inner, values_of_inner,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() INNER.Ret<F32>() PROGRAM.Attr<float>("near")
                                  .Attr<bool>("symmetric"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_sums_of_inner, sums_of_inner,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() INNER.Arg<F32>().Ret<F32>().Ret<F32>().Ret<F32>()
                                  .Ret<F32>() PROGRAM.Attr<float>("near").Attr<bool>("symmetric"));
