// Kernel values of vectors, their weighted sums and gradients, with distances from a matrix product but for near pairs.
#include "blocks.h"

// Distances from inner products (C, R) of centred samples with mean squares `centred_x` (R) and `centred_p` (C). Near pairs
// (../near.py says which: closer than `near` times the sum of these and `close` times that of q_x (R) and q_p (C), and the
// first sum above `floor`) are worked out from exact differences of the samples x (R, d), p (C, d), or (R, 2 d) and (C, 2 d)
// with rests.
struct Distances {
  const float *inner, *centred_x, *centred_p, *x, *p, *q_x, *q_p;
  int64_t rows, dimensions;
  bool rests;
  float near, close, floor;

  // Of point i and block b, into state 0 of one of both; true where some pair is near, and `exact` was filled.
  bool fill(const Program& g, Work& plain, Work& exact, int64_t i, int64_t b, I* marked) const {
    const int64_t n = g.wide;
    const V *u = (const V*)(inner + i * rows) + b * n, *c = (const V*)centred_x + b * n, *q = (const V*)q_x + b * n;
    const float twice = 2.0f / dimensions;
    I some = {};
    for (int64_t j = 0; j < n; ++j) {
      V sum = c[j] + centred_p[i], v = larger(sum - twice * u[j], 0.0f);
      marked[j] = (v < larger(near * sum, close * (q[j] + q_p[i]))) & (sum > floor);
      some |= marked[j];
      plain.v[0][j] = v;
    }
    bool any = false;
    for (int l = 0; l < LANES; ++l) any |= some[l] != 0;
    if (!any) return false;
    for (int64_t j = 0; j < n; ++j) {
      V v = plain.v[0][j], difference = q[j] - q_p[i];
      for (int l = 0; l < LANES; ++l)
        if (marked[j][l]) {
          const Pair exactly = pair(x + row(b, n, j, l) * numbers(), p + i * numbers());
          v[l] = exactly.square, difference[l] = exactly.cross;
        }
      exact.v[0][j] = v, exact.difference[0][j] = difference;
    }
    return true;
  }

  int64_t numbers() const { return rests ? 2 * dimensions : dimensions; }
  static int64_t row(int64_t b, int64_t n, int64_t j, int l) { return (b * n + j) * LANES + l; }

  struct Pair {
    float square, cross;  // means of (x - p)^2 and of (x - p) (x + p)
  };

  float gap(const float* a, const float* b, int64_t c) const {
    const float minus = a[c] - b[c];
    return rests ? minus + (a[dimensions + c] - b[dimensions + c]) : minus;
  }

  Pair pair(const float* a, const float* b) const {
    typedef float U __attribute__((vector_size(4 * LANES), aligned(4)));
    V squares = {}, crosses = {};
    float square = 0, cross = 0;
    int64_t c = 0;
    for (; c + LANES <= dimensions; c += LANES) {
      V s = *(const U*)(a + c), t = *(const U*)(b + c), minus = s - t;
      if (rests) minus += *(const U*)(a + dimensions + c) - *(const U*)(b + dimensions + c);
      squares += minus * minus, crosses += minus * (s + t);
    }
    for (; c < dimensions; ++c) {
      const float minus = gap(a, b, c);
      square += minus * minus, cross += minus * (a[c] + b[c]);
    }
    return {(square + total(squares)) / dimensions, (cross + total(crosses)) / dimensions};
  }
};

// inner (C, R), centred mean squares (R) and (C), samples (R, d) and (C, d), mean squares (R) and (C), x tape (B, units,
// wide, LANES), p tape (C, units) -> kernel values (C, R). Where both sides are the same samples (R filled up to whole
// blocks), half of the values are worked out and mirrored.
static ffi::Error values_of_inner(ffi::ThreadPool pool, F32 inner, F32 centred_x, F32 centred_p, F32 x, F32 p, F32 q_x,
                                  F32 q_p, F32 x_tape, F32 p_tape, Out out, ffi::Span<const int64_t> code,
                                  ffi::Span<const float> floats, float near, float close, float floor, bool symmetric) {
  const Program g(code, floats, false), careful(code, floats, true);
  if (!g.complete() || !careful.complete()) return unknown_layer();
  const int64_t points = inner.dimensions()[0], rows = inner.dimensions()[1], width = LANES * g.wide;
  const int64_t blocks = rows / width;
  const Distances d{inner.typed_data(), centred_x.typed_data(), centred_p.typed_data(), x.typed_data(), p.typed_data(),
                    q_x.typed_data(),   q_p.typed_data(),       rows,                   g.coordinates(x.dimensions()[1]),
                    g.rests,            near,                   close,                  floor};
  const int64_t parts = std::min<int64_t>(points, std::max<int64_t>(1, 4 * pool.num_threads() / blocks + 1));
  parallel(pool, blocks * parts, [&](int64_t task) {
    const int64_t b = blocks - 1 - task / parts, part = task % parts;
    const Symmetric half{out->typed_data(), points, rows, b * width, width};
    const int64_t count = symmetric ? half.count() : points;
    const int64_t begin = count * part / parts, end = count * (part + 1) / parts;
    Work plain(g, VALUES), exact(careful, VALUES);
    std::vector<I> marked(g.wide);
    std::vector<V> found(g.wide);
    Tapes t{(const V*)x_tape.typed_data() + b * g.units * g.wide};
    for (int64_t i = begin; i < end; ++i) {
      t.p = p_tape.typed_data() + i * g.units;
      Work& w = d.fill(g, plain, exact, i, b, marked.data()) ? exact : plain;
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
// (R, d), adjoint of x's tape (parts, B, units, ...).
static ffi::Error sums_of_inner(ffi::ThreadPool pool, F32 inner, F32 centred_x, F32 centred_p, F32 x, F32 p, F32 q_x,
                                F32 q_p, F32 x_tape, F32 p_tape, F32 weights, Out scores, Out slopes, Out direct,
                                Out tape_bar, ffi::Span<const int64_t> code, ffi::Span<const float> floats, float near,
                                float close, float floor) {
  const Program g(code, floats, false), careful(code, floats, true);
  if (!g.complete() || !careful.complete()) return unknown_layer();
  const int64_t points = inner.dimensions()[0], rows = inner.dimensions()[1], n = g.wide, width = LANES * n;
  const int64_t blocks = rows / width, parts = scores->dimensions()[0], tasks = blocks * parts;
  const int64_t units = g.units * n, dimensions = g.coordinates(x.dimensions()[1]);
  const Distances d{inner.typed_data(), centred_x.typed_data(), centred_p.typed_data(), x.typed_data(), p.typed_data(),
                    q_x.typed_data(),   q_p.typed_data(),       rows,                   dimensions,     g.rests,
                    near,               close,                  floor};
  struct Near {
    int64_t row, point;
    float slope;
  };
  std::vector<std::vector<Near>> found_near(tasks);  // added up later, in the order of tasks
  parallel(pool, tasks, [&](int64_t task) {
    const int64_t part = task / blocks, b = task % blocks;
    const int64_t begin = points * part / parts, end = points * (part + 1) / parts;
    Work plain(g, ONE), exact(careful, ONE);
    std::vector<I> marked(n);
    std::vector<V> found(n), recent(n, V{});
    Tapes t{(const V*)x_tape.typed_data() + b * units, nullptr, (V*)tape_bar->typed_data() + task * units};
    V* sum = (V*)(scores->typed_data() + part * rows) + b * n;
    std::memset((void*)sum, 0, n * sizeof(V));
    std::memset((void*)t.x_bar, 0, units * sizeof(V));
    for (int64_t i = begin; i < end; ++i) {
      V* slope = (V*)(slopes->typed_data() + i * rows) + b * n;
      t.weight = weights.typed_data()[i];
      if (t.weight == 0) {
        std::memset((void*)slope, 0, n * sizeof(V));
        continue;
      }
      t.p = p_tape.typed_data() + i * g.units;
      const bool any = d.fill(g, plain, exact, i, b, marked.data());
      Work& w = any ? exact : plain;
      differentiate<ONE>(w.g, w, t, found.data());
      for (int64_t j = 0; j < n; ++j) recent[j] += t.weight * found[j];
      if (i % 32 == 31) flush(sum, recent);
      V* v_bar = w.v[0];
      if (any)
        for (int64_t j = 0; j < n; ++j)
          for (int l = 0; l < LANES; ++l)
            if (marked[j][l]) {
              found_near[task].push_back({d.row(b, n, j, l), i, v_bar[j][l]});
              v_bar[j][l] = 0;
            }
      std::memcpy((void*)slope, (void*)v_bar, n * sizeof(V));
    }
    flush(sum, recent);
  });
  parallel(pool, blocks, [&](int64_t b) {
    float* to = direct->typed_data();
    std::memset(to + b * width * dimensions, 0, width * dimensions * sizeof(float));
    for (int64_t task = b; task < tasks; task += blocks)
      for (const Near& pair : found_near[task]) {
        const float scale = pair.slope * weights.typed_data()[pair.point];
        const float *a = d.x + pair.row * d.numbers(), *b = d.p + pair.point * d.numbers();
        for (int64_t c = 0; c < dimensions; ++c) to[pair.row * dimensions + c] += scale * d.gap(a, b, c);
      }
  });
  return ffi::Error::Success();
}

#define PROGRAM .Attr<ffi::Span<const int64_t>>("code").Attr<ffi::Span<const float>>("floats")
#define INNER .Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>().Arg<F32>()
#define THRESHOLDS .Attr<float>("near").Attr<float>("close").Attr<float>("floor")
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_values_of_inner, values_of_inner,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() INNER.Ret<F32>() PROGRAM THRESHOLDS
                                  .Attr<bool>("symmetric"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_sums_of_inner, sums_of_inner,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>() INNER.Arg<F32>().Ret<F32>().Ret<F32>().Ret<F32>()
                                  .Ret<F32>() PROGRAM THRESHOLDS);
