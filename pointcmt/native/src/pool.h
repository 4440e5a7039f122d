// A small pool of threads that lives as long as the process.
#pragma once

#include <cstdint>
#include <functional>

namespace pointcmt {

// Calls task(i) for every i in [0, count) on at most `threads` threads, this one among them, and
// returns when all are done. Tasks must not throw. When the pool is already at work for another
// caller, or after a fork, the work is done all the same.
void parallel_for(int64_t count, int threads, const std::function<void(int64_t)>& task);

}  // namespace pointcmt
