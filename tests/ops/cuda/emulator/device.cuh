// The checked twin of pointcmt/kernels/sources/device.cuh: the same names for the CPU emulator.
#pragma once
#include <type_traits>
#include <utility>

#include "machine.h"

using u32 = unsigned int;
using u64 = unsigned long long;
using i64 = long long;

constexpr u32 kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

// An element that reports what is done to it.
template <class T>
struct Cell {
  T* element;
  emulator::Memory* memory;

  operator T() const {
    emulator::check(*memory, element, emulator::Access::read);
    return *element;
  }
  T operator=(T value) const {
    emulator::check(*memory, element, emulator::Access::write);
    return *element = value;
  }
  T operator=(const Cell& other) const { return *this = static_cast<T>(other); }
};

template <class T>
struct Span {
  T* data = nullptr;
  i64 size = 0;
  emulator::Memory* memory = nullptr;

  Span() = default;
  Span(T* data, i64 size) : data(data), size(size) {
    memory = emulator::memory_of(data, size * sizeof(T));
    if (reinterpret_cast<uintptr_t>(data) % sizeof(T)) emulator::fail("a misaligned array");
  }

  T* at(i64 i) const {
    if (i < 0 || i >= size) {
      emulator::fail("index " + std::to_string(i) + " of an array of " + std::to_string(size));
    }
    return data + i;
  }

  auto operator[](i64 i) const {
    if constexpr (std::is_const_v<T>) {
      return *at(i);
    } else {
      return Cell<T>{at(i), memory};
    }
  }
};

struct Pool {
  unsigned char* base;
  i64 used = 0;

  template <class T>
  Span<T> take(i64 size) {
    T* start = reinterpret_cast<T*>(base + used);
    used += (size * static_cast<i64>(sizeof(T)) + 7) / 8 * 8;
    return Span<T>(start, size);
  }
};

inline unsigned char* dynamic_shared() {
  return reinterpret_cast<unsigned char*>(emulator::machine.shared.data());
}

template <class T, class Change>
T atomic(Span<T> span, i64 i, Change change) {
  if (emulator::machine.schedule == emulator::Schedule::random) emulator::to_scheduler();
  T* element = span.at(i);
  emulator::check(*span.memory, element, emulator::Access::atomic);
  const T before = *element;
  *element = change(before);
  return before;
}

inline void atomic_max(Span<u64> span, int i, u64 value) {
  atomic(span, i, [=](u64 old) { return old > value ? old : value; });
}
inline void atomic_add(Span<u64> span, int i, u64 value) {
  atomic(span, i, [=](u64 old) { return old + value; });
}
inline int atomic_add(Span<int> span, int i, int value) {
  return atomic(span, i, [=](int old) { return old + value; });
}

inline void __syncthreads(int line = __builtin_LINE()) { emulator::sync_block(line); }
inline void __syncwarp(u32 mask = kAllLanes, int line = __builtin_LINE()) {
  emulator::sync_warp(0, line, mask, 0);
}

template <class T>
u64 to_bits(T value) {
  u64 bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}
template <class T>
T from_bits(u64 bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline u32 __ballot_sync(u32 mask, bool vote, int line = __builtin_LINE()) {
  const uint64_t* votes = emulator::sync_warp(1, line, mask, vote);
  u32 result = 0;
  for (int lane = 0; lane < kWarp; ++lane) result |= static_cast<u32>(votes[lane]) << lane;
  return result;
}
template <class T>
T __shfl_sync(u32 mask, T value, int source, int line = __builtin_LINE()) {
  if (source < 0 || source >= kWarp) emulator::fail("a shuffle from no lane");
  return from_bits<T>(emulator::sync_warp(2, line, mask, to_bits(value))[source]);
}
template <class T>
T __shfl_xor_sync(u32 mask, T value, int distance, int line = __builtin_LINE()) {
  const int lane = emulator::machine.current % kWarp;
  return from_bits<T>(emulator::sync_warp(3, line, mask, to_bits(value))[lane ^ distance]);
}
inline u32 __reduce_min_sync(u32 mask, u32 value, int line = __builtin_LINE()) {
  const uint64_t* values = emulator::sync_warp(4, line, mask, value);
  u32 least = value;
  for (int lane = 0; lane < kWarp; ++lane) least = values[lane] < least ? values[lane] : least;
  return least;
}

inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __popc(u32 bits) { return __builtin_popcount(bits); }
inline u32 __float_as_uint(float value) { return static_cast<u32>(to_bits(value)); }
inline float __uint_as_float(u32 bits) { return from_bits<float>(bits); }
inline i64 __float2ll_rn(float value) { return llrintf(value); }
inline i64 __double2ll_rn(double value) { return llrint(value); }
inline float __ull2float_rn(u64 value) { return static_cast<float>(value); }

using std::fmin;
using std::isfinite;
using std::sqrt;
