#include "pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define POINTCMT_HAS_FORK 1
#endif

namespace pointcmt {
namespace {

class Pool {
 public:
  // Returns false, with nothing done, when another caller holds the pool.
  bool run(int64_t count, int threads, const std::function<void(int64_t)>& task) {
    std::unique_lock<std::mutex> busy(busy_, std::try_to_lock);
    if (!busy) return false;
    grow(threads - 1);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      wanted_ = threads - 1;
      ++round_;
    }
    wake_.notify_all();
    work(task, count);
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_ = 0;  // who has not woken by now need not come
    done_.wait(lock, [this] { return running_ == 0; });
    return true;
  }

 private:
  // Starts threads until there are `helpers`; a system that refuses more is not an error.
  void grow(int helpers) {
    try {
      for (; workers_ < helpers; ++workers_) std::thread(&Pool::serve, this, round_).detach();
    } catch (const std::system_error&) {
    }
  }

  void serve(uint64_t seen) {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      if (wanted_ == 0) continue;
      --wanted_;
      ++running_;
      const auto* task = task_;
      const int64_t count = count_;
      lock.unlock();
      work(*task, count);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  void work(const std::function<void(int64_t)>& task, int64_t count) {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count;) task(i);
  }

  std::mutex busy_;   // held by the one caller the pool works for
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, done_;
  const std::function<void(int64_t)>* task_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  int workers_ = 0;  // threads started
  int wanted_ = 0;   // how many more may join this round
  int running_ = 0;  // how many have joined and not finished
  uint64_t round_ = 0;
};

std::atomic<Pool*> current{nullptr};

// Never destroyed: its threads may still wait on it while the process ends.
Pool& pool() {
  Pool* found = current.load(std::memory_order_acquire);
  if (found) return *found;
  Pool* fresh = new Pool;
  if (current.compare_exchange_strong(found, fresh)) {
#ifdef POINTCMT_HAS_FORK
    // The threads do not follow into a child, and a lock may be held there for ever.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current.store(nullptr); });
    (void)registered;
#endif
    return *fresh;
  }
  delete fresh;
  return *found;
}

}  // namespace

void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& task) {
  threads = static_cast<int>(std::min<int64_t>(threads, count));
  if (threads > 1 && pool().run(count, threads, task)) return;
  for (int64_t i = 0; i < count; ++i) task(i);
}

}  // namespace pointcmt
