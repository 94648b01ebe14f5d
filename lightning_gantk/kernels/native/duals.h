// Activations at pairs of Gaussian pre-activations: the same formulas as ../duals.py, sixteen pairs at a time.
#pragma once
#include <cstdint>
#include <cmath>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

constexpr int LANES = 16;
typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));

static inline V splat(float a) { return V{} + a; }
static inline V vmax(V a, V b) { return a > b ? a : b; }
static inline V vmin(V a, V b) { return a < b ? a : b; }

static inline V rsqrt(V a) {
#if defined(__AVX512F__)
  V y = (V)_mm512_rsqrt14_ps((__m512)a);
  return y * (1.5f - 0.5f * a * y * y);
#else
  V y;
  for (int l = 0; l < LANES; ++l) y[l] = 1.0f / std::sqrt(a[l]);
  return y;
#endif
}

// Cephes: 2^n times a polynomial; arguments are kept where the result is a normal number.
static inline V vexp(V x) {
  x = vmin(vmax(x, splat(-87.3f)), splat(88.3f));
  const V magic = splat(12582912.0f);  // rounds to the nearest integer
  V n = (x * 1.44269504f + magic) - magic;
  V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V y = splat(1.9875691500e-4f);
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  y = y * r * r + r + 1.0f;
  I bits = (__builtin_convertvector(n, I) + 127) << 23;
  return y * (V)bits;
}

// exp(x) - 1 for x <= 0 without cancellation near 0.
static inline V vexpm1(V x) {
  V small = x * (1.0f + x * (0.5f + x * (0.16666667f + x * (0.041666668f + x * (8.3333338e-3f + x * 1.3888889e-3f)))));
  return x > splat(-0.25f) ? small : vexp(x) - 1.0f;
}

struct Angle {
  V angle, lune, sine, cosecant;
};

constexpr float PI = 3.14159265358979f;

static inline Angle angle_of(V e) {
  e = vmin(e, splat(2.0f));  // more is rounding, where one norm dwarfs the other
  V folded = vmin(e, 2.0f - e), square = folded * (2.0f - folded);
  V cosecant = square > 1e-30f ? rsqrt(vmax(square, splat(1e-30f))) : splat(0.0f);
  V sine = square * cosecant, cosine = 1.0f - e;
  V s = splat(0.00847798499f);
  s = s * folded - 0.020842956f;
  s = s * folded + 0.029655125f;
  s = s * folded - 0.0128145542f;
  s = s * folded + 0.0183957566f;
  s = s * folded + 0.0239754679f;
  s = s * folded + 0.0572884324f;
  s = s * folded + 0.13332765f;
  s = s * folded + 0.33333337f;
  V angle = sine * (1.0f + folded * s);
  V lune = sine * folded * (1.0f - (1.0f - folded) * s) + PI * vmax(-cosine, splat(0.0f));
  return {cosine < 0.0f ? PI - angle : angle, lune, sine, cosecant};
}

// The fields of ../duals.py, and the last two again for the variance of p; what a caller does not use costs nothing.
struct Expansion {
  V distance, slope, distance_q, slope_v, slope_q, distance_p, slope_p;
};

static inline float total(V a) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)a);
#else
  float sum = 0;
  for (int l = 0; l < LANES; ++l) sum += a[l];
  return sum;
#endif
}

static inline V excess(V v, V gap) { return 0.5f * vmax(v - gap * gap * (1.0f + 4.8e-7f), splat(0.0f)); }

// A smooth activation at near pairs to second order: there v' and its derivative in q are cancelled differences.
template <class X, class P>
static inline Expansion near_or(Expansion far, V v, V gap, X x, P p) {
  I near = v < 3e-4f * (x(0) + p(0));
  far.distance = near ? far.slope * v + 0.5f * (x(3) + p(3)) * gap * gap : far.distance;
  far.distance_q = near ? x(4) * gap : far.distance_q;
  far.distance_p = near ? -p(4) * gap : far.distance_p;
  return far;
}

struct Covariance {
  V kernel, slope, second, kernel_q, mixed_q, kernel_p, mixed_p;
};

template <class X, class P>
static inline Expansion from_covariance(V v, V gap, X x, P p, Covariance c) {
  return near_or({x(1) + p(1) - 2.0f * c.kernel, c.slope, x(2) - c.slope - 2.0f * c.kernel_q, -0.5f * c.second,
                  0.5f * c.second + c.mixed_q, p(2) - c.slope - 2.0f * c.kernel_p, 0.5f * c.second + c.mixed_p},
                 v, gap, x, p);
}

// Sides: X(i) is entry i of the test points' tape, sixteen of them; P(i) of the training point's.
#define SIDES template <class X, class P> static inline Expansion
enum Kind { RECTIFIER = 0, ERF = 1, SIN = 2, GELU = 3 };

SIDES rectifier(const float* c, V v, V gap, X x, P p) {
  const float mean = c[0], jump = c[1] / PI;
  V sigma_x = x(0), inverse_x = x(1);
  float sigma_p = p(0), inverse_p = p(1);
  // Products of both sides first: the same to the last bit for (x, p) and (p, x), so that equal samples have equal rows.
  V e = vmax(vmax(excess(v, gap) * (inverse_x * inverse_p), x(2)), splat(p(2)));
  Angle a = angle_of(e);
  V steep = 0.25f * jump * a.cosecant * (inverse_x * inverse_p);
  return {mean * v - jump * ((sigma_x * sigma_p) * a.lune), mean - 0.5f * jump * a.angle,
          0.5f * jump * (a.angle - a.sine * (sigma_p * inverse_x)), -steep,
          steep * ((gap + sigma_p * e) * inverse_x),
          0.5f * jump * (a.angle - a.sine * (sigma_x * inverse_p)),
          steep * ((sigma_x * e - gap) * inverse_p)};
}

template <class X, class P>
static inline V shifted_excess(V excess, X x, P p) {
  V inverse_x = x(5), root_x = x(6);
  float inverse_p = p(5), root_p = p(6), share_p = p(7);
  V bottom = inverse_p * inverse_p + share_p * inverse_x * inverse_x;
  return bottom / (1.0f + root_x * root_p) + excess * inverse_x * inverse_p;
}

SIDES erf_dual(const float* c, V v, V gap, X x, P p) {
  const float beta = c[2], scale = c[0] / PI;
  V inverse_x = x(5), inverse_p = splat(p(5));
  V e = shifted_excess(beta * excess(v, gap), x, p);
  Angle a = angle_of(e);
  V i = a.cosecant, cosine = 1.0f - e, both = inverse_x * inverse_p;
  V slope = 2.0f * scale * beta * both * i, second = slope * beta * cosine * i * i * both;
  V kernel = 2.0f * scale * (PI / 2 - a.angle) + c[1];
  V each = -scale * beta * cosine * i, turn = -0.5f * slope * beta * i * i;
  return from_covariance(v, gap, x, p, {kernel, slope, second, each * inverse_x * inverse_x, turn * inverse_x * inverse_x,
                                        each * inverse_p * inverse_p, turn * inverse_p * inverse_p});
}

SIDES sin_dual(const float* c, V v, V gap, X x, P p) {
  const float a2 = c[0], b2 = c[1], odd = c[2];
  v = vmax(v, splat(0.0f));
  V minus = -vexpm1(-0.5f * b2 * v);
  V distance = a2 * minus, slope = 0.5f * a2 * b2 * (1.0f - minus);
  const V none = splat(0.0f);
  if (odd == 0.0f) return {distance, slope, none, -0.5f * b2 * slope, none, none, none};
  V plus = odd * vexp(b2 * (0.5f * v - (x(0) + p(0))));
  const float half = 0.5f * a2 * b2;
  distance -= a2 * (0.5f * odd * (x(5) + p(5)) - plus);
  V turn = -b2 * half * plus;
  return near_or({distance, slope + half * plus, a2 * b2 * (odd * x(5) - plus), -0.5f * b2 * (slope - half * plus), turn,
                  a2 * b2 * (odd * p(5) - plus), turn}, v, gap, x, p);
}

SIDES gelu_dual(const float*, V v, V gap, X x, P p) {
  V q_x = x(0), r_x = x(5), share_x = x(7), root_x = x(8);
  float q_p = p(0), r_p = p(5), share_p = p(7), root_p = p(8);
  V e = shifted_excess(excess(v, gap), x, p);
  Angle t = angle_of(e);
  const float turn = 2 * PI;
  V i = t.cosecant, c = 1.0f - e, rr = r_x * r_p, rho = share_x * share_p, a = r_x * r_x;
  V arc = PI / 2 - t.angle, k = 0.5f * (q_x + q_p - v), i2 = i * i, lack = rr * rr + a + share_x * r_p * r_p;
  V kernel = 0.25f * k + (c * c * rr * i + rho * t.sine * root_x * root_p + k * arc) / turn;
  V slope = 0.25f + (arc + c * i * ((i2 * rr) * rr + lack)) / turn;
  V second = rr * i * (1.0f + (i2 * rr) * rr * (1.0f + 3.0f * c * c * i2) + lack * i2) / turn;
  auto kernel_of = [&](V r, V share, V q_other, V r_other, V root_other) {
    V found = -r * r * c * c * rr * i * (0.5f * i2 + 1.0f) - 0.5f * c * c * i * r * root_other;
    return (found + q_other * r_other * r * (t.sine * r * r + 0.5f * share * i)) / turn;
  };
  auto mixed_of = [&](V r, V share_other) {
    V bend = 0.5f + 1.5f * (i2 * rr) * (i2 * rr) + 0.5f * i2 * lack + lack - 1.0f;
    return (-r * r * c * i * bend - c * i * share_other * r * r) / turn;
  };
  return from_covariance(v, gap, x, p, {kernel, slope, second,
                                        kernel_of(r_x, share_x, splat(q_p), splat(r_p), splat(root_p)),
                                        mixed_of(r_x, splat(share_p)),
                                        kernel_of(splat(r_p), splat(share_p), q_x, r_x, root_x),
                                        mixed_of(splat(r_p), share_x)});
}
