// Farthest point sampling: one block a cloud. Each pick costs one pass over the points and one
// barrier; a thread keeps its points in registers (POINTS_PER_THREAD > 0) or, for clouds too large
// for that, their distances in global memory (POINTS_PER_THREAD == 0).
#include "warp.cuh"

constexpr int kMaxWarps = 32;

// The largest key of the block. `best` alternates between two halves, so that one barrier is
// enough: a half is written again only after the barrier of the other.
__device__ inline u64 block_max(u64 key, Span<u64> best, int half) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int lane = lane_of_thread();
  key = warp_max(key);
  if (lane == 0) best[half * kMaxWarps + warp_of_thread()] = key;
  __syncthreads();
  return warp_max(lane < warps ? static_cast<u64>(best[half * kMaxWarps + lane]) : 0);
}

// Larger for farther points and, at equal distances, for lower indices.
__device__ inline u64 farthest_key(float distance, int index) {
  return distance_key(distance, ~static_cast<u32>(index));
}

#if POINTS_PER_THREAD > 0

extern "C" __global__ void __launch_bounds__(1024)
    farthest_point_sample(const float* xyz, i64* picks, int n, int m) {
  Span<const float> points(xyz + static_cast<i64>(blockIdx.x) * n * 3, static_cast<i64>(n) * 3);
  Span<i64> chosen(picks + static_cast<i64>(blockIdx.x) * m, m);
  Span<u64> best = Pool{dynamic_shared()}.take<u64>(2 * kMaxWarps);
  const int threads = static_cast<int>(blockDim.x);
  const int me = static_cast<int>(threadIdx.x);

  float own[POINTS_PER_THREAD][3];
  float distance[POINTS_PER_THREAD];
#pragma unroll
  for (int s = 0; s < POINTS_PER_THREAD; ++s) {
    const int i = me + s * threads;
    for (int axis = 0; axis < 3; ++axis) own[s][axis] = i < n ? points[i * 3ll + axis] : 0.0f;
    distance[s] = __uint_as_float(0x7f800000u);  // infinity
  }

  int pick = 0;
  for (int step = 0;; ++step) {
    if (me == 0) chosen[step] = pick;
    if (step == m - 1) return;
    const float x = points[pick * 3ll];
    const float y = points[pick * 3ll + 1];
    const float z = points[pick * 3ll + 2];
    u64 key = 0;
#pragma unroll
    for (int s = 0; s < POINTS_PER_THREAD; ++s) {
      const int i = me + s * threads;
      const float dx = own[s][0] - x, dy = own[s][1] - y, dz = own[s][2] - z;
      distance[s] = fminf(distance[s], dx * dx + dy * dy + dz * dz);
      const u64 mine = i < n ? farthest_key(distance[s], i) : 0;
      key = mine > key ? mine : key;
    }
    pick = static_cast<int>(~key_index(block_max(key, best, step % 2)));
  }
}

#else

extern "C" __global__ void __launch_bounds__(1024)
    farthest_point_sample(const float* xyz, i64* picks, float* workspace, int n, int m) {
  Span<const float> points(xyz + static_cast<i64>(blockIdx.x) * n * 3, static_cast<i64>(n) * 3);
  Span<i64> chosen(picks + static_cast<i64>(blockIdx.x) * m, m);
  Span<float> distance(workspace + static_cast<i64>(blockIdx.x) * n, n);
  Span<u64> best = Pool{dynamic_shared()}.take<u64>(2 * kMaxWarps);
  const int threads = static_cast<int>(blockDim.x);
  const int me = static_cast<int>(threadIdx.x);

  for (int i = me; i < n; i += threads) distance[i] = __uint_as_float(0x7f800000u);  // infinity
  int pick = 0;
  for (int step = 0;; ++step) {
    if (me == 0) chosen[step] = pick;
    if (step == m - 1) return;
    u64 key = 0;
    for (int i = me; i < n; i += threads) {  // a thread reads and writes its own distances only
      const float squared = squared_distance(points, i * 3ll, points, pick * 3ll);
      const float nearest = fminf(distance[i], squared);
      distance[i] = nearest;
      const u64 mine = farthest_key(nearest, i);
      key = mine > key ? mine : key;
    }
    pick = static_cast<int>(~key_index(block_max(key, best, step % 2)));
  }
}

#endif
