// Blocks of test points against the training points: what samples.cc and inner.cc share.
#pragma once
#include "passes.h"
#include "threads.h"

using F32 = ffi::Buffer<ffi::F32>;
using Out = ffi::Result<F32>;

static inline ffi::Error unknown_layer() {
  return ffi::Error(ffi::ErrorCode::kFailedPrecondition, "a layer of this program has not been loaded in this process");
}

// Scores are summed in two levels: a long sum in float drifts.
static inline void flush(V* sum, std::vector<V>& recent) {
  for (size_t j = 0; j < recent.size(); ++j) sum[j] += recent[j], recent[j] = V{};
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
    constexpr int64_t LINE = 16;  // a cache line of each mirrored row at a time
    for (int64_t top = begin; top < end; top += LINE)
      for (int64_t j = std::max(first, top + 1); j < count(); ++j)
        for (int64_t i = top; i < std::min({end, top + LINE, j}); ++i) to[j * rows + i] = to[i * rows + j];
  }
};
