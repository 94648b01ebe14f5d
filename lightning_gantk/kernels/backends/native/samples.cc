// Kernel values of pairs of samples, their weighted sums and gradients, where coordinates are compared one by one: images,
// and vectors of few dimensions. One training point against LANES (times "wide") test points at a time, every map of a pair
// in a core's cache, forward and then backward.
#include "blocks.h"

// Channel c of x - p, of pixels (or blocks) j.
static inline V gap(const Program& g, const V* x, const float* p, int64_t channels, int64_t c, int64_t j) {
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n, k = g.wide ? 0 : j, rest = c + channels;
  V minus = x[c * n + j] - p[c * np + k];
  return g.rests ? minus + (x[rest * n + j] - p[rest * np + k]) : minus;
}

// Mean squared differences of the channels, and means of (x - p) (x + p), into state 0.
static void differences(const Program& g, Work& w, const V* x, const float* p, int64_t channels) {
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n;
  V *v = w.v[0], *d = w.difference[0];
  const float scale = 1.0f / channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t j = 0; j < n; ++j) {
      const float other = p[c * np + (g.wide ? 0 : j)];
      V minus = gap(g, x, p, channels, c, j), square = minus * scale * minus;
      V cross = minus * scale * (x[c * n + j] + other);
      v[j] = c ? v[j] + square : square;
      d[j] = c ? d[j] + cross : cross;
    }
}

// x (B, channels, pixels, LANES), its tape (B, units, LANES), p (P, channels, pixels), its tape (P, units); with rests there
// are twice the channels -> kernel values (P, B, LANES). Where both sides are the same samples (x filled up to whole
// blocks), half of the values are worked out and mirrored.
static ffi::Error values_of_samples(ffi::ThreadPool pool, F32 x, F32 x_tape, F32 p, F32 p_tape, Out out,
                                    ffi::Span<const int64_t> code, ffi::Span<const float> floats, bool symmetric) {
  const Program g(code, floats, true);
  if (!g.complete()) return unknown_layer();
  const int64_t blocks = x.dimensions()[0], numbers = x.dimensions()[1], points = p.dimensions()[0];
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n, last = g.pixels(g.last()), channels = g.coordinates(numbers);
  const int64_t parts = std::min<int64_t>(points, std::max<int64_t>(1, 4 * pool.num_threads() / blocks + 1));
  parallel(pool, blocks * parts, [&](int64_t task) {
    const int64_t b = blocks - 1 - task / parts, part = task % parts, width = LANES * last;
    const Symmetric half{out->typed_data(), points, blocks * width, b * width, width};
    const int64_t count = symmetric ? half.count() : points, begin = count * part / parts, end = count * (part + 1) / parts;
    Work w(g, VALUES);
    std::vector<V> found(last);
    const V* xb = (const V*)x.typed_data() + b * numbers * n;
    Tapes t{(const V*)x_tape.typed_data() + b * g.units * g.scale()};
    for (int64_t i = begin; i < end; ++i) {
      const float* pi = p.typed_data() + i * numbers * np;
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

// Pairs of test points (training asks for the fakes, which are training points too) are worked out once, with derivatives
// in both: a fifth to a quarter of the time of a convolutional kernel.

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
  const Program g(code, floats, true);
  if (!g.complete()) return unknown_layer();
  const int64_t blocks = x.dimensions()[0], numbers = x.dimensions()[1], points = p.dimensions()[0];
  const int64_t parts = scores->dimensions()[0], units = g.units * g.scale(), channels = g.coordinates(numbers);
  const int64_t n = g.pixels(0), np = g.wide ? 1 : n, last = g.pixels(g.last()), width = LANES * last;
  const int64_t each = 1 + channels * np + g.units, groups = std::min(blocks, pool.num_threads());
  if (4 * groups * own * each > MOST_SHARED) own = 0;
  Shares shares(groups, own, each);
  std::vector<V> lanes(blocks * last, V{});  // the weights of the test points
  std::memcpy((void*)lanes.data(), weights.typed_data(), own * sizeof(float));
  auto run = [&](int64_t task) {
    const int64_t part = task / blocks, b = task % blocks;
    const int64_t first = std::min(own, b * width), skipped = own - std::min(own, first + width);
    Work w(g, own ? BOTH : ONE);
    const V* xb = (const V*)x.typed_data() + b * numbers * n;
    V* sum = (V*)scores->typed_data() + task * last;
    V* x_bar = (V*)gradient->typed_data() + task * channels * n;
    Tapes t{(const V*)x_tape.typed_data() + b * units, nullptr, (V*)tape_bar->typed_data() + task * units};
    t.weights = lanes.data() + b * last;
    std::memset((void*)sum, 0, last * sizeof(V));
    std::memset((void*)x_bar, 0, channels * n * sizeof(V));
    std::memset((void*)t.x_bar, 0, units * sizeof(V));
    std::vector<V> found(last), recent(last, V{});
    for (int64_t turn = points * part / parts; turn < points * (part + 1) / parts - skipped; ++turn) {
      const int64_t i = turn < own - skipped ? turn : turn + skipped;  // later blocks have seen to what is skipped
      const float* pi = p.typed_data() + i * numbers * np;
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
          V slope = (2.0f / channels) * v_bar[j] * gap(g, xb, pi, channels, c, j);
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

#define PROGRAM .Attr<ffi::Span<const int64_t>>("code").Attr<ffi::Span<const float>>("floats")
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_values_of_samples, values_of_samples,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Ret<F32>() PROGRAM.Attr<bool>("symmetric"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_sums_of_samples, sums_of_samples,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
                                  .Arg<F32>().Ret<F32>().Ret<F32>().Ret<F32>() PROGRAM.Attr<int64_t>("own"));
