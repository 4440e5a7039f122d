// Ball query: one warp a centre reads the points 32 at a time in index order and stops at the k-th.
#include "warp.cuh"

// The index of the point nearest to a centre, the lowest of equals.
__device__ inline int nearest_point(Span<const float> points, int n, Span<const float> centers,
                                    i64 center) {
  u64 best = kNever;
  for (int i = lane_of_thread(); i < n; i += kWarp) {
    const u64 key = distance_key(squared_distance(centers, center, points, i * 3ll), i);
    best = key < best ? key : best;
  }
  return static_cast<int>(key_index(warp_min(best)));
}

extern "C" __global__ void __launch_bounds__(256)
    ball_query(const float* xyz, const float* queries, i64* found, i64 rows, int n, int m, int k,
               float radius_squared) {
  const i64 row = static_cast<i64>(blockIdx.x) * (blockDim.x / kWarp) + warp_of_thread();
  if (row >= rows) return;  // a whole warp leaves together
  Span<const float> points(xyz + row / m * n * 3, static_cast<i64>(n) * 3);
  Span<const float> centers(queries, rows * 3);
  Span<i64> out(found + row * k, k);
  const int lane = lane_of_thread();

  int count = 0;
  int first = -1;
  for (int base = 0; base < n && count < k; base += kWarp) {
    const int i = base + lane;
    const bool inside =
        i < n && squared_distance(centers, row * 3, points, i * 3ll) < radius_squared;
    const u32 mask = __ballot_sync(kAllLanes, inside);
    if (mask == 0) continue;
    if (count == 0) first = base + __ffs(static_cast<int>(mask)) - 1;
    const int slot = count + __popc(mask & lanes_below(lane));
    if (inside && slot < k) out[slot] = i;
    count += __popc(mask);
  }
  if (count == 0) first = nearest_point(points, n, centers, row * 3);
  for (int slot = count + lane; slot < k; slot += kWarp) out[slot] = first;
}
