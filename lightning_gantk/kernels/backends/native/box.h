// Means over windows of the pixels, 'SAME', and the same transposed.
#pragma once
#include "program.h"

// Zeros above (to the left of) the first pixel, as XLA has them.
static inline int64_t before(int64_t length, int64_t out, const Step& s) {
  return std::max<int64_t>((out - 1) * s.stride + s.size - length, 0) / 2;
}

static inline void box(const V* in, V* out, V* row, State i, State o, const Step& s, float scale) {
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
static inline void box_transposed(const V* out, V* in, V* row, State i, State o, const Step& s, float scale, bool fresh) {
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
