// Reductions over the 32 lanes of a warp, and squared distances. Every lane must take part.
#pragma once
#include "device.cuh"

constexpr u64 kNever = ~0ull;  // above every key and every value

__device__ inline int lane_of_thread() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp_of_thread() { return static_cast<int>(threadIdx.x) / kWarp; }

__device__ inline u32 lanes_below(int lane) { return (1u << lane) - 1u; }

#if __CUDA_ARCH__ >= 800

__device__ inline u64 warp_min(u64 value) {
  const u32 high = static_cast<u32>(value >> 32);
  const u32 least_high = __reduce_min_sync(kAllLanes, high);
  const u32 low = high == least_high ? static_cast<u32>(value) : ~0u;
  const u32 least_low = __reduce_min_sync(kAllLanes, low);
  return static_cast<u64>(least_high) << 32 | least_low;
}

#else

__device__ inline u64 warp_min(u64 value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const u64 other = __shfl_xor_sync(kAllLanes, value, distance);
    value = other < value ? other : value;
  }
  return value;
}

#endif

__device__ inline u64 warp_max(u64 value) { return ~warp_min(~value); }

// The sum over the lanes, added in one fixed order.
__device__ inline double warp_sum(double value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

// dx*dx + dy*dy + dz*dz without fused multiply-add, as every backend computes it: a key made of these
// bits orders the points alike on every device. `a` and `b` are offsets of points of 3 numbers.
template <class A, class B>
__device__ inline float squared_distance(const A& p, i64 a, const B& q, i64 b) {
  const float dx = p[a] - q[b];
  const float dy = p[a + 1] - q[b + 1];
  const float dz = p[a + 2] - q[b + 2];
  return dx * dx + dy * dy + dz * dz;
}

// Orders by distance, then by index; distances are never negative, so their bits keep the order.
__device__ inline u64 distance_key(float distance, u32 index) {
  return static_cast<u64>(__float_as_uint(distance)) << 32 | index;
}

__device__ inline u32 key_index(u64 key) { return static_cast<u32>(key); }
