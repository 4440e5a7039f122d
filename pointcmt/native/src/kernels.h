// The inner loops, compiled once for each instruction set and chosen at run time.
#pragma once

#include <cstdint>

namespace pointcmt {

// Rows of points are padded to a multiple of kPad, with coordinates of infinity.
constexpr int64_t kPad = 32;
constexpr int64_t kSelectRoom = 16;
constexpr int64_t kQueries = 4;  // of distances at once
constexpr int64_t kMany = 12;    // of products
constexpr int64_t kListRoom = 32;

inline int64_t padded(int64_t n) { return (n + kPad - 1) / kPad * kPad; }

struct Point {
  float x, y, z;
};

// Coordinates by plane.
struct Planes {
  const float *x, *y, *z;
};

struct Scan {
  float least;  // the least value
  float limit;  // at least `rank` values are not above it, and seldom many more
};

template <typename Real>
struct Least {
  Real first, second;
  int32_t position;  // of the first
};

// In all that follows n is a multiple of kPad.
struct Kernels {
  const char* name;

  // The nearest to q of n points, the first of equals.
  int64_t (*nearest)(Point q, Planes to, int64_t n);

  // cost[j] = |q - to[j]| for j < n.
  void (*costs)(Point q, Planes to, int64_t n, float* cost);

  // least[j] = min(least[j], value[j] - by) for j < n; where that lowers it, from[j] = source.
  void (*lower)(const float* value, int64_t n, float by, int32_t source, float* least,
                int32_t* from);

  // least[j] = min(least[j], |q - to[j]|^2) for j < n; where that lowers it, from[j] = source. Where
  // cost is not null, cost[j] = |q - to[j]| in whole units, rounded down, at most INT16_MAX.
  void (*nearer)(Point q, Planes to, int64_t n, int32_t source, float* least, int32_t* from,
                 float unit, int16_t* cost);

  // value[j] = |q - to[j]| + price[j] for j < n; 1 <= rank <= 16.
  Scan (*scan)(Point q, Planes to, const float* price, int64_t n, int rank, float* value);

  // The two least of cost[j] + price[j] for j < n, of equal ones the first; n <= 4096.
  Least<int32_t> (*two_least)(const int16_t* cost, const int16_t* price, int64_t n);

  // Writes every j < n with value[j] < limit, in order, and returns how many. `to` needs room for
  // n + kSelectRoom.
  int64_t (*select)(const float* value, int64_t n, float limit, int32_t* to);

  // Writes m points, each the farthest from those before, starting with 0. `distance` has room for
  // padded(n) numbers; here n need not be a multiple.
  void (*farthest)(Planes of, int64_t n, int64_t m, float* distance, int64_t* to);

  // Writes the first k points with a squared distance below `limit`; then repeats the first of
  // them, or, when there is none, the nearest.
  void (*within)(Point q, Planes to, int64_t n, float limit, int64_t k, int64_t* found);

  // Squared distances (rows, n) of 1 to kQueries queries (rows, c) to points packed as
  // (n / kPad, c, kPad).
  void (*distances)(const float* query, int64_t rows, const float* packed, int64_t n, int64_t c,
                    float* value);

  // start + query * point (kMany, n) for kMany queries (c, kMany) and points packed so; sums are
  // rounded in any way.
  void (*products)(const float* query, const float* packed, const float* start, int64_t n,
                   int64_t c, float* value);

  // A number that at least k of n values do not exceed, and seldom many more than k.
  float (*bar)(const float* value, int64_t n, int64_t k);

  // The place of each of n values in their order, the first of equals first.
  void (*ranks)(const float* value, int64_t n, int32_t* rank);

  // The two least of cost[i] + price[index[i]] for i < length, a multiple of 8 from 8 up to
  // kListRoom.
  Least<double> (*two_least_listed)(const double* cost, const int32_t* index, int64_t length,
                                    const double* price);

  // most[j] = the greatest values[index[i] * c + j] for i < k, for j < c, neither a multiple.
  void (*greatest)(const float* values, const int64_t* index, int64_t k, int64_t c, float* most);
};

namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}

// The best set for this processor, or the one asked for by `choose_kernels`.
const Kernels& kernels();

// Chooses by name among those this processor runs; returns false when there is none such.
bool choose_kernels(const char* name);

}  // namespace pointcmt
