// A program run forward over one training point and a block of test points, and backward: layers in JAX are ../../recursions.
#pragma once
#include "box.h"

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

// theta grows by the new covariance (q_x + q_p - v) / 2, 0 with what has no variance; the bias moves no distance.
static inline void affine(const Program& g, const Step& s, Work& w, const Tapes& t) {
  const int64_t n = g.pixels(s.in), m = g.pixels(s.out);
  const float scale = g.floats[s.factor];
  auto mean = [&](const V* in, V* out) {
    if (s.size == 1 && s.stride == 1)
      for (int64_t j = 0; j < n; ++j) out[j] = in[j] * scale;
    else
      box(in, out, w.scratch, g.states[s.in], g.states[s.out], s, scale);
  };
  V *v = w.v[s.out], *theta = w.theta[s.out];
  mean(w.v[s.in], v);
  if (g.exact) mean(w.difference[s.in], w.difference[s.out]);
  if (!g.ntk) return;
  if (!s.first) mean(w.theta[s.in], theta);
  const V* q_x = t.x + s.tape * g.scale();
  const float* q_p = t.p + s.tape;
  for (int64_t j = 0; j < m; ++j) {
    const float other = q_p[g.wide ? 0 : j];
    V k = other == 0.0f ? splat(0.0f) : 0.5f * (q_x[j] + other - v[j]);
    k = q_x[j] == 0.0f ? splat(0.0f) : k;  // NaN stays
    theta[j] = s.first ? k : theta[j] + k;
  }
}

static inline void mean(const Program& g, const Step& s, Work& w) {
  const int64_t n = g.pixels(s.in);
  auto of = [&](const V* in, V* out) {
    V sum = in[0];
    for (int64_t j = 1; j < n; ++j) sum += in[j];
    out[0] = sum * (1.0f / n);
  };
  of(w.v[s.in], w.v[s.out]);
  if (g.ntk) of(w.theta[s.in], w.theta[s.out]);
  if (g.exact) of(w.difference[s.in], w.difference[s.out]);
}

static inline void add(const Program& g, const Step& s, Work& w) {
  const int64_t n = g.pixels(s.out);
  auto of = [&](const std::vector<V*>& maps) {
    const V *a = maps[s.in], *b = maps[s.two];
    for (int64_t j = 0; j < n; ++j) maps[s.out][j] = a[j] + b[j];
  };
  of(w.v);
  if (g.ntk) of(w.theta);
  if (g.exact) of(w.difference);
}

template <Want WANT>
static void forward(const Program& g, Work& w, const Tapes& t) {
  for (size_t i = 0; i < g.steps.size(); ++i) {
    const Step& s = g.steps[i];
    switch (s.op) {
      case AFFINE: affine(g, s, w, t); break;
      case MEAN: mean(g, s, w); break;
      case ADD: add(g, s, w); break;
      default: {
        const int64_t n = g.pixels(s.in);
        const Pixels a{n, g.wide ? 1 : n, w.v[s.in], w.theta[s.in], w.difference[s.in], w.v[s.out], w.theta[s.out],
                       w.difference[s.out], w.kept[i], t.x + s.tape * g.scale(), t.p + s.tape};
        const Pixelwise& layer = *g.layers[i];
        WANT == VALUES ? layer.values(a) : WANT == ONE ? layer.one(a) : layer.both(a);
      }
    }
  }
}

template <Want WANT>
static inline void affine_back(const Program& g, const Step& s, Work& w, const Tapes& t) {
  const int64_t n = g.pixels(s.in), m = g.pixels(s.out);
  const float scale = g.floats[s.factor];
  V *v = w.v[s.out], *theta = w.theta[s.out], *x_bar = t.x_bar + s.tape * g.scale();
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
      for (int64_t j = 0; j < n; ++j) in[j] = s.fresh ? out[j] * scale : in[j] + out[j] * scale;
    else
      box_transposed(out, in, w.scratch, g.states[s.in], g.states[s.out], s, scale, s.fresh);
  };
  back(v, w.v[s.in]);
  if (g.ntk && !s.first) back(theta, w.theta[s.in]);
}

static inline void mean_back(const Program& g, const Step& s, Work& w) {
  const int64_t n = g.pixels(s.in);
  auto of = [&](const std::vector<V*>& maps) {
    const V each = maps[s.out][0] * (1.0f / n);
    for (int64_t j = 0; j < n; ++j) maps[s.in][j] = s.fresh ? each : maps[s.in][j] + each;
  };
  of(w.v);
  if (g.ntk) of(w.theta);
}

static inline void add_back(const Program& g, const Step& s, Work& w) {
  const int64_t n = g.pixels(s.out);
  auto of = [&](const std::vector<V*>& maps) {
    const V* out = maps[s.out];
    V *one = maps[s.in], *two = maps[s.two];
    for (int64_t j = 0; j < n; ++j) {
      one[j] = s.fresh ? out[j] : one[j] + out[j];
      two[j] = s.fresh_two ? out[j] : two[j] + out[j];
    }
  };
  of(w.v);
  if (g.ntk) of(w.theta);
}

// v and theta of the last state hold its adjoints; leaves those of the first in v[0] and adds to the tapes'.
template <Want WANT>
static void backward(const Program& g, Work& w, const Tapes& t) {
  for (size_t i = g.steps.size(); i-- > 0;) {
    const Step& s = g.steps[i];
    switch (s.op) {
      case AFFINE: affine_back<WANT>(g, s, w, t); break;
      case MEAN: mean_back(g, s, w); break;
      case ADD: add_back(g, s, w); break;
      default: {
        const int64_t n = g.pixels(s.in);
        const Adjoints a{n, g.wide ? 1 : n, w.v[s.out], w.theta[s.out], w.v[s.in], w.theta[s.in], s.fresh != 0, w.kept[i],
                         t.x_bar + s.tape * g.scale(), t.weight, WANT == BOTH ? t.p_bar + s.tape : nullptr, t.weights};
        WANT == BOTH ? g.layers[i]->back_both(a) : g.layers[i]->back_one(a);
      }
    }
  }
}

// The kernel values of the last state. The last unit of the tapes is the variance at the end.
static inline void values(const Program& g, Work& w, const Tapes& t, V* out) {
  const int64_t n = g.pixels(g.last());
  const V *v = w.v[g.last()], *theta = w.theta[g.last()], *q_x = t.x + (g.units - 1) * g.scale();
  for (int64_t j = 0; j < n; ++j) out[j] = g.ntk ? theta[j] : 0.5f * (q_x[j] + t.p[g.units - 1] - v[j]);
}

template <Want WANT>
static void seed(const Program& g, Work& w, const Tapes& t) {
  const int64_t last = g.last(), n = g.pixels(last);
  Unit<WANT> q_p(g, t, g.units - 1);
  for (int64_t j = 0; j < n; ++j) {
    w.theta[last][j] = splat(1.0f), w.v[last][j] = splat(g.ntk ? 0.0f : -0.5f);
    if (g.ntk) continue;
    t.x_bar[(g.units - 1) * g.scale() + j] += 0.5f * t.weight;
    q_p.add(j, splat(0.5f));
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
