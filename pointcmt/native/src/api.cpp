// The C ABI. Arrays are dense and row-major; the caller has checked shapes and numbers.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "clouds.h"
#include "emd.h"
#include "kernels.h"
#include "neighbours.h"
#include "pool.h"

#define POINTCMT_API extern "C" __attribute__((visibility("default")))

using namespace pointcmt;

namespace {

enum Status : int32_t { kOk = 0, kOutOfMemory = 1 };

// Runs task(b) for each cloud of the batch; an allocation that fails is a status, not a crash.
template <typename Task>
int32_t for_each(int64_t count, int32_t threads, const Task& task) {
  std::atomic<int32_t> status{kOk};
  parallel_for(count, threads, [&](int64_t b) {
    try {
      task(b);
    } catch (const std::bad_alloc&) {
      status.store(kOutOfMemory, std::memory_order_relaxed);
    }
  });
  return status.load(std::memory_order_relaxed);
}

template <typename Real>
int32_t match(const Real* x, const Real* y, int64_t batch, int64_t n, int64_t* matching,
              double* prices, int32_t threads) {
  return for_each(batch, threads, [&](int64_t b) {
    thread_local Matcher matcher;
    matcher.solve(x + b * n * 3, y + b * n * 3, n, matching + b * n,
                  prices ? prices + b * n : nullptr);
  });
}

// Splits the m queries of each cloud, so that one large cloud also keeps every thread at work.
struct Chunks {
  int64_t m, size, per_cloud;
  explicit Chunks(int64_t m) : m(m), size(128), per_cloud((m + size - 1) / size) {}
  int64_t cloud(int64_t i) const { return i / per_cloud; }
  int64_t first(int64_t i) const { return i % per_cloud * size; }
  int64_t last(int64_t i) const { return std::min(m, first(i) + size); }
};

}  // namespace

POINTCMT_API const char* pointcmt_kernels() { return kernels().name; }

// Chooses the instruction set by name, for tests; returns 0 when this processor does not run it.
POINTCMT_API int32_t pointcmt_choose_kernels(const char* name) { return choose_kernels(name); }

// x, y: (batch, n, 3); matching: (batch, n); prices: (batch, n) or null.
POINTCMT_API int32_t pointcmt_match_float(const float* x, const float* y, int64_t batch, int64_t n,
                                          int64_t* matching, double* prices, int32_t threads) {
  return match(x, y, batch, n, matching, prices, threads);
}

POINTCMT_API int32_t pointcmt_match_double(const double* x, const double* y, int64_t batch,
                                           int64_t n, int64_t* matching, double* prices,
                                           int32_t threads) {
  return match(x, y, batch, n, matching, prices, threads);
}

// xyz: (batch, n, 3); chosen: (batch, m) with 1 <= m <= n.
POINTCMT_API int32_t pointcmt_farthest_point_sample(const float* xyz, int64_t batch, int64_t n,
                                                    int64_t m, int64_t* chosen, int32_t threads) {
  return for_each(batch, threads, [&](int64_t b) {
    thread_local Cloud cloud;
    thread_local std::vector<float> distance;
    cloud.load(xyz + b * n * 3, n);
    distance.resize(cloud.size());
    kernels().farthest(cloud.planes(), n, m, distance.data(), chosen + b * m);
  });
}

// xyz: (batch, n, 3); centers: (batch, m, 3); found: (batch, m, k) with n, k >= 1.
POINTCMT_API int32_t pointcmt_ball_query(const float* xyz, const float* centers, int64_t batch,
                                         int64_t n, int64_t m, float radius, int64_t k,
                                         int64_t* found, int32_t threads) {
  const Chunks chunks(m);
  const float limit = radius * radius;
  return for_each(batch * chunks.per_cloud, threads, [&](int64_t i) {
    thread_local Cloud cloud;
    const int64_t b = chunks.cloud(i);
    cloud.load(xyz + b * n * 3, n);
    for (int64_t row = b * m + chunks.first(i); row < b * m + chunks.last(i); ++row) {
      const float* q = centers + row * 3;
      kernels().within({q[0], q[1], q[2]}, cloud.planes(), cloud.size(), limit, k, found + row * k);
    }
  });
}

// query: (batch, m, c); points: (batch, n, c); found: (batch, m, k) with 1 <= k <= n and c >= 1.
POINTCMT_API int32_t pointcmt_knn(const float* query, const float* points, int64_t batch, int64_t m,
                                  int64_t n, int64_t c, int64_t k, int64_t* found,
                                  int32_t threads) {
  const Chunks chunks(m);
  const int64_t size = padded(n) * (c + 1);  // of a packed cloud and its squared norms
  std::unique_ptr<float[]> packed(new (std::nothrow) float[batch * size]);
  std::unique_ptr<Searched[]> clouds(new (std::nothrow) Searched[batch]);
  if (!packed || !clouds) return kOutOfMemory;
  for_each(batch, threads, [&](int64_t b) {
    const float* rows = points + b * n * c;
    float *own = &packed[b * size], *squares = own + padded(n) * c;
    pack(rows, n, c, own);
    for (int64_t i = 0; i < padded(n); ++i) squares[i] = i < n ? squared_norm(rows + i * c, c) : 0;
    clouds[b] = {rows, own, squares, *std::max_element(squares, squares + n), n, c};
  });
  return for_each(batch * chunks.per_cloud, threads, [&](int64_t i) {
    thread_local Neighbours neighbours;
    const int64_t row = chunks.cloud(i) * m + chunks.first(i);
    neighbours.find(query + row * c, chunks.last(i) - chunks.first(i), clouds[chunks.cloud(i)], k,
                    found + row * k);
  });
}

// values: (rows, c); index: (groups, k) of rows, k >= 1; most: (groups, c).
POINTCMT_API int32_t pointcmt_gathered_maximum(const float* values, const int64_t* index,
                                               int64_t groups, int64_t k, int64_t c, float* most,
                                               int32_t threads) {
  const Chunks chunks(groups);
  return for_each(chunks.per_cloud, threads, [&](int64_t i) {
    for (int64_t group = chunks.first(i); group < chunks.last(i); ++group) {
      kernels().greatest(values, index + group * k, k, c, most + group * c);
    }
  });
}
