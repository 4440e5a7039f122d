// What the kernels ask of the machine beside CUDA's own intrinsics. All memory is reached through
// Span, so that tests/ops/cuda/emulator/device.cuh, the checked twin of this file, sees each
// access.
#pragma once

using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

constexpr u32 kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

// An array of a known size. Elements are loaded and stored whole.
template <class T>
struct Span {
  T* data = nullptr;

  Span() = default;
  __device__ Span(T* data, i64 /*size*/) : data(data) {}

  template <class Index>
  __device__ T& operator[](Index i) const {
    return data[i];
  }
};

// Hands out arrays from one block of memory, one after the other, each aligned to 8 bytes.
struct Pool {
  unsigned char* base;
  i64 used = 0;

  template <class T>
  __device__ Span<T> take(i64 size) {
    T* start = reinterpret_cast<T*>(base + used);
    used += (size * static_cast<i64>(sizeof(T)) + 7) / 8 * 8;
    return Span<T>(start, size);
  }
};

__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char memory[];
  return memory;
}

__device__ inline void atomic_max(Span<u64> span, int i, u64 value) {
  atomicMax(span.data + i, value);
}

__device__ inline void atomic_add(Span<u64> span, int i, u64 value) {
  atomicAdd(span.data + i, value);
}

// Returns the value before the addition.
__device__ inline int atomic_add(Span<int> span, int i, int value) {
  return atomicAdd(span.data + i, value);
}
