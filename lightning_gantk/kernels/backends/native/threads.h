// Tasks on XLA's own threads.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

// Tasks 0 to count - 1, the caller's thread among those that work.
template <class F>
static void parallel(xla::ffi::ThreadPool pool, int64_t count, F task) {
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
