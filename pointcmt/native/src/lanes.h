// One vector register of float32 (Lanes), float64 (Wide) or int16 (Steps), as wide as the translation
// unit is compiled for. GCC and Clang give vectors the arithmetic operators; the rest is below.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace pointcmt {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kWide = kLanes / 2;
constexpr int kSteps = kLanes * 2;

typedef float Lanes __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int32_t Whole __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef int16_t Steps __attribute__((vector_size(kLanes * 4), aligned(2), may_alias));
typedef int16_t HalfSteps __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));
typedef double Wide __attribute__((vector_size(kWide * 8), aligned(8), may_alias));

inline Lanes load(const float* from) { return *reinterpret_cast<const Lanes*>(from); }
inline Wide load(const double* from) { return *reinterpret_cast<const Wide*>(from); }
inline Whole load(const int32_t* from) { return *reinterpret_cast<const Whole*>(from); }
inline Steps load(const int16_t* from) { return *reinterpret_cast<const Steps*>(from); }
inline Whole load_whole(const int16_t* from) {
  return __builtin_convertvector(*reinterpret_cast<const HalfSteps*>(from), Whole);
}
inline void store(int16_t* to, Steps value) { *reinterpret_cast<Steps*>(to) = value; }
inline void store(int16_t* to, Lanes value) {
  const Whole whole = __builtin_convertvector(value, Whole);
  *reinterpret_cast<HalfSteps*>(to) = __builtin_convertvector(whole, HalfSteps);
}
inline void store(int32_t* to, Whole value) { *reinterpret_cast<Whole*>(to) = value; }
inline void store(float* to, Lanes value) { *reinterpret_cast<Lanes*>(to) = value; }
inline void store(double* to, Wide value) { *reinterpret_cast<Wide*>(to) = value; }
inline Lanes splat(float value) { return value - Lanes{}; }
inline Steps splat(int16_t value) { return value - Steps{}; }
inline Wide splat(double value) { return value - Wide{}; }
inline Whole splat(int32_t value) { return value - Whole{}; }

#if defined(__AVX512F__)

inline Lanes smaller(Lanes a, Lanes b) { return (Lanes)_mm512_min_ps((__m512)a, (__m512)b); }
inline Lanes larger(Lanes a, Lanes b) { return (Lanes)_mm512_max_ps((__m512)a, (__m512)b); }
inline Wide smaller(Wide a, Wide b) { return (Wide)_mm512_min_pd((__m512d)a, (__m512d)b); }
inline Wide larger(Wide a, Wide b) { return (Wide)_mm512_max_pd((__m512d)a, (__m512d)b); }
inline Lanes square_root(Lanes a) { return (Lanes)_mm512_sqrt_ps((__m512)a); }
inline Steps smaller(Steps a, Steps b) { return (Steps)_mm512_min_epi16((__m512i)a, (__m512i)b); }
inline Steps larger(Steps a, Steps b) { return (Steps)_mm512_max_epi16((__m512i)a, (__m512i)b); }
inline Steps sum(Steps a, Steps b) { return (Steps)_mm512_adds_epi16((__m512i)a, (__m512i)b); }

// Bit i is set where a[i] < b[i], or where they are equal.
inline uint32_t below(Lanes a, Lanes b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
}
inline uint32_t equal(Lanes a, Lanes b) {
  return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
}
inline uint32_t equal(Wide a, Wide b) {
  return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
}

inline Wide gather(const double* from, const int32_t* index) {
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  return (Wide)_mm512_i32gather_pd(at, from, 8);
}

#elif defined(__AVX2__)

inline Lanes smaller(Lanes a, Lanes b) { return (Lanes)_mm256_min_ps((__m256)a, (__m256)b); }
inline Lanes larger(Lanes a, Lanes b) { return (Lanes)_mm256_max_ps((__m256)a, (__m256)b); }
inline Wide smaller(Wide a, Wide b) { return (Wide)_mm256_min_pd((__m256d)a, (__m256d)b); }
inline Wide larger(Wide a, Wide b) { return (Wide)_mm256_max_pd((__m256d)a, (__m256d)b); }
inline Lanes square_root(Lanes a) { return (Lanes)_mm256_sqrt_ps((__m256)a); }
inline Steps smaller(Steps a, Steps b) { return (Steps)_mm256_min_epi16((__m256i)a, (__m256i)b); }
inline Steps larger(Steps a, Steps b) { return (Steps)_mm256_max_epi16((__m256i)a, (__m256i)b); }
inline Steps sum(Steps a, Steps b) { return (Steps)_mm256_adds_epi16((__m256i)a, (__m256i)b); }

inline uint32_t below(Lanes a, Lanes b) {
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_LT_OQ));
}
inline uint32_t equal(Lanes a, Lanes b) {
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_EQ_OQ));
}
inline uint32_t equal(Wide a, Wide b) {
  return _mm256_movemask_pd(_mm256_cmp_pd((__m256d)a, (__m256d)b, _CMP_EQ_OQ));
}

inline Wide gather(const double* from, const int32_t* index) {
  const __m128i at = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  return (Wide)_mm256_i32gather_pd(from, at, 8);
}

#elif defined(__SSE2__)

inline Lanes smaller(Lanes a, Lanes b) { return (Lanes)_mm_min_ps((__m128)a, (__m128)b); }
inline Lanes larger(Lanes a, Lanes b) { return (Lanes)_mm_max_ps((__m128)a, (__m128)b); }
inline Wide smaller(Wide a, Wide b) { return (Wide)_mm_min_pd((__m128d)a, (__m128d)b); }
inline Wide larger(Wide a, Wide b) { return (Wide)_mm_max_pd((__m128d)a, (__m128d)b); }
inline Lanes square_root(Lanes a) { return (Lanes)_mm_sqrt_ps((__m128)a); }
inline Steps smaller(Steps a, Steps b) { return (Steps)_mm_min_epi16((__m128i)a, (__m128i)b); }
inline Steps larger(Steps a, Steps b) { return (Steps)_mm_max_epi16((__m128i)a, (__m128i)b); }
inline Steps sum(Steps a, Steps b) { return (Steps)_mm_adds_epi16((__m128i)a, (__m128i)b); }

inline uint32_t below(Lanes a, Lanes b) {
  return _mm_movemask_ps(_mm_cmplt_ps((__m128)a, (__m128)b));
}
inline uint32_t equal(Lanes a, Lanes b) {
  return _mm_movemask_ps(_mm_cmpeq_ps((__m128)a, (__m128)b));
}
inline uint32_t equal(Wide a, Wide b) {
  return _mm_movemask_pd(_mm_cmpeq_pd((__m128d)a, (__m128d)b));
}

inline Wide gather(const double* from, const int32_t* index) {
  return Wide{from[index[0]], from[index[1]]};
}

#else

inline Lanes smaller(Lanes a, Lanes b) { return a < b ? a : b; }
inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }
inline Wide smaller(Wide a, Wide b) { return a < b ? a : b; }
inline Wide larger(Wide a, Wide b) { return a > b ? a : b; }
inline Lanes square_root(Lanes a) {
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
}

inline Steps smaller(Steps a, Steps b) { return a < b ? a : b; }
inline Steps larger(Steps a, Steps b) { return a > b ? a : b; }
inline Steps sum(Steps a, Steps b) {
  for (int i = 0; i < kSteps; ++i) {
    const int32_t whole = a[i] + b[i];
    a[i] = static_cast<int16_t>(whole > INT16_MAX ? INT16_MAX : whole < INT16_MIN ? INT16_MIN : whole);
  }
  return a;
}

template <typename Vector>
inline uint32_t bits(Vector mask) {
  uint32_t all = 0;
  for (uint32_t i = 0; i < sizeof mask / sizeof mask[0]; ++i) all |= uint32_t(mask[i] != 0) << i;
  return all;
}
inline uint32_t below(Lanes a, Lanes b) { return bits(a < b); }
inline uint32_t equal(Lanes a, Lanes b) { return bits(a == b); }
inline uint32_t equal(Wide a, Wide b) { return bits(a == b); }

inline Wide gather(const double* from, const int32_t* index) {
  return Wide{from[index[0]], from[index[1]]};
}

#endif

// a * b + c, rounded once or twice.
inline Lanes multiply_add(Lanes a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
  return (Lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

inline float smallest(Lanes a) {
#if defined(__AVX512F__)
  return _mm512_reduce_min_ps((__m512)a);
#else
  float best = a[0];
  for (int i = 1; i < kLanes; ++i) best = a[i] < best ? a[i] : best;
  return best;
#endif
}

inline float largest(Lanes a) {
#if defined(__AVX512F__)
  return _mm512_reduce_max_ps((__m512)a);
#else
  float best = a[0];
  for (int i = 1; i < kLanes; ++i) best = a[i] > best ? a[i] : best;
  return best;
#endif
}

// The two least numbers, when `second` holds the second least that each lane of `first` has seen.
inline void least_two(Wide first, Wide second, double* least, double* next) {
#if defined(__AVX512F__)
  const auto fold = [&](Wide other_first, Wide other_second) {
    second = smaller(smaller(second, other_second), larger(first, other_first));
    first = smaller(first, other_first);
  };
  fold((Wide)_mm512_shuffle_f64x2((__m512d)first, (__m512d)first, 0x4e),
       (Wide)_mm512_shuffle_f64x2((__m512d)second, (__m512d)second, 0x4e));
  fold((Wide)_mm512_shuffle_f64x2((__m512d)first, (__m512d)first, 0xb1),
       (Wide)_mm512_shuffle_f64x2((__m512d)second, (__m512d)second, 0xb1));
  fold((Wide)_mm512_permute_pd((__m512d)first, 0x55), (Wide)_mm512_permute_pd((__m512d)second, 0x55));
  *least = first[0], *next = second[0];
#else
  *least = first[0], *next = second[0];
  for (int i = 1; i < kWide; ++i) {
    const double loser = first[i] > *least ? first[i] : *least;
    const double lower = second[i] < *next ? second[i] : *next;
    *least = first[i] < *least ? first[i] : *least;
    *next = loser < lower ? loser : lower;
  }
#endif
}

inline void least_two(Whole first, Whole second, int32_t* least, int32_t* next) {
#if defined(__AVX512F__)
  const auto fold = [&](__m512i other_first, __m512i other_second) {
    const __m512i loser = _mm512_max_epi32((__m512i)first, other_first);
    second = (Whole)_mm512_min_epi32(_mm512_min_epi32((__m512i)second, other_second), loser);
    first = (Whole)_mm512_min_epi32((__m512i)first, other_first);
  };
  fold(_mm512_shuffle_i32x4((__m512i)first, (__m512i)first, 0x4e),
       _mm512_shuffle_i32x4((__m512i)second, (__m512i)second, 0x4e));
  fold(_mm512_shuffle_i32x4((__m512i)first, (__m512i)first, 0xb1),
       _mm512_shuffle_i32x4((__m512i)second, (__m512i)second, 0xb1));
  fold(_mm512_shuffle_epi32((__m512i)first, _MM_PERM_BADC),
       _mm512_shuffle_epi32((__m512i)second, _MM_PERM_BADC));
  fold(_mm512_shuffle_epi32((__m512i)first, _MM_PERM_CDAB),
       _mm512_shuffle_epi32((__m512i)second, _MM_PERM_CDAB));
  *least = first[0], *next = second[0];
#else
  *least = first[0], *next = second[0];
  for (int i = 1; i < kLanes; ++i) {
    const int32_t loser = first[i] > *least ? first[i] : *least;
    const int32_t lower = second[i] < *next ? second[i] : *next;
    *least = first[i] < *least ? first[i] : *least;
    *next = loser < lower ? loser : lower;
  }
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

}  // namespace
}  // namespace pointcmt
