// As many numbers at a time as the processor's vectors hold, in the compiler's own type. Not more: g++ splits longer sums and
// products well, but takes every comparison of a longer vector apart, number by number.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else  // SSE, NEON
constexpr int LANES = 4;
#endif
typedef float V __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));

static inline V splat(float a) { return V{} + a; }
static inline V wide(V a) { return a; }
static inline V wide(float a) { return splat(a); }
static inline I wide(I a) { return a; }
static inline I wide(bool a) { return I{} - int32_t(a); }

static inline V larger(V a, V b) { return a > b ? a : b; }
static inline V smaller(V a, V b) { return a < b ? a : b; }
static inline V larger(V a, float b) { return larger(a, splat(b)); }
static inline V smaller(V a, float b) { return smaller(a, splat(b)); }
static inline V larger(float a, V b) { return larger(splat(a), b); }
static inline V smaller(float a, V b) { return smaller(splat(a), b); }
static inline float larger(float a, float b) { return a > b ? a : b; }
static inline float smaller(float a, float b) { return a < b ? a : b; }

// A function of one number, or two, on each lane.
template <class F>
static inline V each(F f, V a) {
  V y;
  for (int l = 0; l < LANES; ++l) y[l] = f(a[l]);
  return y;
}
template <class F>
static inline V each(F f, V a, V b) {
  V y;
  for (int l = 0; l < LANES; ++l) y[l] = f(a[l], b[l]);
  return y;
}

static inline float inverse_root(float a) { return 1.0f / std::sqrt(a); }
static inline V inverse_root(V a) {
#if defined(__AVX512F__)
  V y = (V)_mm512_maskz_rsqrt14_ps(0xFFFF, (__m512)a);  // unmasked, g++ 12 warns of what it leaves undefined
  return y * (1.5f - 0.5f * a * y * y);
#else
  return each([](float b) { return 1.0f / std::sqrt(b); }, a);
#endif
}
static inline float root(float a) { return std::sqrt(a); }
static inline V root(V a) {
  return each([](float b) { return std::sqrt(b); }, a);
}

// Cephes: 2^n times a polynomial; arguments are kept where the result is a normal number.
static inline float exponential(float x) { return std::exp(x); }
static inline V exponential(V x) {
  x = smaller(larger(x, -87.3f), 88.3f);
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

// exp(x) - 1 without cancellation near 0.
static inline float exponential_less_one(float x) { return std::expm1(x); }
static inline V exponential_less_one(V x) {
  V small = x * (1.0f + x * (0.5f + x * (0.16666667f + x * (0.041666668f + x * (8.3333338e-3f + x * 1.3888889e-3f)))));
  I near = larger(x, -x) < 0.25f;
  return near ? small : exponential(x) - 1.0f;
}

// The sum of all lanes, by halves.
static inline float total(V a) {
  float sums[LANES];
  std::memcpy(sums, &a, sizeof a);
  for (int half = LANES / 2; half; half /= 2)
    for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
  return sums[0];
}
