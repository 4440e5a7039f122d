// Sixteen float32 lanes: one AVX-512 register, two of AVX2, four of SSE2 or NEON.
// GCC and Clang lower the operators to what the translation unit is compiled for.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pointcmt {
namespace {

constexpr int kLanes = 16;

typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));

inline Lanes splat(float value) { return value - Lanes{}; }

inline Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }

inline void store(float* to, Lanes value) { *reinterpret_cast<Lanes*>(to) = value; }

inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }

inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

inline Lanes square_root(Lanes a) {
#if defined(__AVX512F__)
  return reinterpret_cast<Lanes>(_mm512_sqrt_ps(reinterpret_cast<__m512>(a)));
#else
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
#endif
}

inline float smallest(Lanes a) {
#if defined(__AVX512F__)
  return _mm512_reduce_min_ps(reinterpret_cast<__m512>(a));
#else
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a[i] = a[i] < a[i + half] ? a[i] : a[i + half];
  }
  return a[0];
#endif
}

inline float largest(Lanes a) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps(reinterpret_cast<__m512>(a));
#else
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
  }
  return a[0];
#endif
}

// Bit i is set where value[i] < limit.
inline uint32_t below(const float* value, float limit) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(value), _mm512_set1_ps(limit), _CMP_LT_OQ);
#elif defined(__AVX2__)
  const __m256 bar = _mm256_set1_ps(limit);
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(value), bar, _CMP_LT_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(value + 8), bar, _CMP_LT_OQ));
  return static_cast<uint32_t>(low | high << 8);
#elif defined(__SSE2__)
  uint32_t mask = 0;
  for (int i = 0; i < kLanes; i += 4) {
    const __m128 under = _mm_cmplt_ps(_mm_loadu_ps(value + i), _mm_set1_ps(limit));
    mask |= static_cast<uint32_t>(_mm_movemask_ps(under)) << i;
  }
  return mask;
#else
  uint32_t mask = 0;
  for (int i = 0; i < kLanes; ++i) mask |= static_cast<uint32_t>(value[i] < limit) << i;
  return mask;
#endif
}

// Writes first + i for every bit i of the mask, in order; returns the end. May write kLanes numbers
// whatever the mask.
inline int32_t* append(uint32_t mask, int32_t first, int32_t* to) {
#if defined(__AVX512F__)
  const __m512i step = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i index = _mm512_add_epi32(_mm512_set1_epi32(first), step);
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), index));
  return to + __builtin_popcount(mask);
#else
  for (; mask; mask &= mask - 1) *to++ = first + __builtin_ctz(mask);
  return to;
#endif
}

// Eight float64 lanes.
constexpr int kWide = 8;

typedef double Wide __attribute__((vector_size(64), aligned(8), may_alias));

inline Wide load(const double* from) { return *reinterpret_cast<const Wide*>(from); }

inline Wide gather(const double* from, const int32_t* index) {
#if defined(__AVX512F__)
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  return reinterpret_cast<Wide>(_mm512_i32gather_pd(at, from, sizeof(double)));
#else
  Wide values;
  for (int i = 0; i < kWide; ++i) values[i] = from[index[i]];
  return values;
#endif
}

inline Wide smaller(Wide a, Wide b) { return a < b ? a : b; }

inline Wide larger(Wide a, Wide b) { return a > b ? a : b; }

// Lane i exchanged with lane i ^ kDistance.
template <int kDistance>
inline Wide exchange(Wide a) {
#if defined(__AVX512F__)
  const __m512d from = reinterpret_cast<__m512d>(a);
  if constexpr (kDistance == 4) return reinterpret_cast<Wide>(_mm512_shuffle_f64x2(from, from, 0x4e));
  if constexpr (kDistance == 2) return reinterpret_cast<Wide>(_mm512_shuffle_f64x2(from, from, 0xb1));
  return reinterpret_cast<Wide>(_mm512_permute_pd(from, 0x55));
#else
  Wide to;
  for (int i = 0; i < kWide; ++i) to[i] = a[i ^ kDistance];
  return to;
#endif
}

// Folds the least and second least of every pair of lanes into both.
template <int kDistance>
inline void fold(Wide& first, Wide& second) {
  const Wide other = exchange<kDistance>(first);
  second = smaller(smaller(second, exchange<kDistance>(second)), larger(first, other));
  first = smaller(first, other);
}

// Bit i is set where a[i] == value.
inline uint32_t equal(Wide a, double value) {
#if defined(__AVX512F__)
  return _mm512_cmpeq_pd_mask(reinterpret_cast<__m512d>(a), _mm512_set1_pd(value));
#else
  uint32_t mask = 0;
  for (int i = 0; i < kWide; ++i) mask |= static_cast<uint32_t>(a[i] == value) << i;
  return mask;
#endif
}

}  // namespace
}  // namespace pointcmt
