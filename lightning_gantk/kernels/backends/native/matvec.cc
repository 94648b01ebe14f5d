// Products of a Gram matrix, or of a block of one, with vectors, which the solvers of ../../dynamics live on.
#include <algorithm>
#include <cstring>
#include <vector>

#include "threads.h"

namespace ffi = xla::ffi;

typedef double W __attribute__((vector_size(64), aligned(8)));
typedef float H __attribute__((vector_size(32), aligned(4)));
static constexpr int ROWS = 4;

// K (P, P) float and symmetric, v (P) double -> K v, rounded like double. Half of K is read, which is all the cost.
static ffi::Error matvec(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> matrix, ffi::Buffer<ffi::F64> vector,
                          ffi::Result<ffi::Buffer<ffi::F64>> out) {
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

XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_matvec, matvec,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F64>>().Ret<ffi::Buffer<ffi::F64>>());

// A (N, M) float, v (M) and u (N) double -> A v and A' u, rounded like double, in one pass over A.
static ffi::Error both_ways(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> matrix, ffi::Buffer<ffi::F64> vector,
                            ffi::Buffer<ffi::F64> other, ffi::Result<ffi::Buffer<ffi::F64>> out,
                            ffi::Result<ffi::Buffer<ffi::F64>> across_out) {
  const int64_t n = matrix.dimensions()[0], m = matrix.dimensions()[1], each = 64;
  const float* k = matrix.typed_data();
  const double *v = vector.typed_data(), *u = other.typed_data();
  double *y = out->typed_data(), *z = across_out->typed_data();
  std::memset(z, 0, m * sizeof(double));
  std::mutex mutex;
  parallel(pool, (n + each - 1) / each, [&](int64_t task) {
    std::vector<double> mine(m, 0.0);
    const int64_t end = std::min(n, (task + 1) * each);
    for (int64_t i = task * each; i < end; i += ROWS) {
      const int rows = int(std::min<int64_t>(ROWS, end - i));
      W sums[ROWS] = {};
      double rest[ROWS] = {};
      int64_t j = 0;
      if (rows == ROWS)
        for (; j + 8 <= m; j += 8) {
          W along = *(const W*)(v + j), across = *(W*)(mine.data() + j);
          for (int r = 0; r < ROWS; ++r) {
            W value = __builtin_convertvector(*(const H*)(k + (i + r) * m + j), W);
            sums[r] += value * along, across += value * u[i + r];
          }
          *(W*)(mine.data() + j) = across;
        }
      for (; j < m; ++j)
        for (int r = 0; r < rows; ++r) rest[r] += k[(i + r) * m + j] * v[j], mine[j] += k[(i + r) * m + j] * u[i + r];
      for (int r = 0; r < rows; ++r) {
        for (int l = 0; l < 8; ++l) rest[r] += sums[r][l];
        y[i + r] = rest[r];
      }
    }
    std::lock_guard<std::mutex> lock(mutex);
    for (int64_t j = 0; j < m; ++j) z[j] += mine[j];
  });
  return ffi::Error::Success();
}

XLA_FFI_DEFINE_HANDLER_SYMBOL(gantk_both_ways, both_ways,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F64>>().Arg<ffi::Buffer<ffi::F64>>()
                                  .Ret<ffi::Buffer<ffi::F64>>().Ret<ffi::Buffer<ffi::F64>>());
