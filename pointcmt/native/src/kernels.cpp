// Compiled several times with different instruction sets. It must not instantiate anything that
// other units share (no standard containers or algorithms): the linker might keep the copy that an
// old processor cannot run.
#include "kernels.h"

#include <math.h>

#include "lanes.h"

namespace pointcmt {
namespace {

inline Lanes squared(Point q, Planes to, int64_t j) {
  const Lanes dx = q.x - load(to.x + j), dy = q.y - load(to.y + j), dz = q.z - load(to.z + j);
  return dx * dx + dy * dy + dz * dz;
}

float nearest(Point q, Planes to, int64_t n) {
  Lanes least = squared(q, to, 0);
  for (int64_t j = kLanes; j < n; j += kLanes) least = smaller(least, squared(q, to, j));
  return smallest(least);
}

// Takes the least of each of kVectors * kLanes groups and returns the rank-th smallest of these: at
// least `rank` values do not exceed it, and with rank well below the number of groups not many more.
template <int kVectors>
float ranked(const Lanes (&least)[kVectors], int64_t rank) {
  typedef int32_t Counts __attribute__((vector_size(64)));
  float each[kVectors * kLanes];
  for (int i = 0; i < kVectors; ++i) store(each + i * kLanes, least[i]);
  Lanes best = splat(-INFINITY);
  for (const Lanes& lanes : least) {
    Counts under{};
    for (float other : each) under -= other < lanes;
    best = larger(under < static_cast<int32_t>(rank) ? lanes : splat(-INFINITY), best);
  }
  return largest(best);
}

Scan scan(Point q, Planes to, const float* price, int64_t n, int rank, float* value) {
  Lanes least[1] = {splat(INFINITY)};
  for (int64_t j = 0; j < n; j += kLanes) {
    const Lanes lanes = square_root(squared(q, to, j)) + load(price + j);
    store(value + j, lanes);
    least[0] = smaller(least[0], lanes);
  }
  return {smallest(least[0]), ranked(least, rank)};
}

template <int kVectors>
float ranked_minimum(const float* value, int64_t n, int64_t rank) {
  Lanes least[kVectors];
  for (Lanes& lanes : least) lanes = splat(INFINITY);
  for (int64_t j = 0; j < n; j += kPad) {
    Lanes* to = least + j / kLanes % kVectors;
    to[0] = smaller(to[0], load(value + j));
    to[1] = smaller(to[1], load(value + j + kLanes));
  }
  return ranked(least, rank);
}

int64_t select(const float* value, int64_t n, float limit, int32_t* to) {
  int32_t* end = to;
  for (int64_t j = 0; j < n; j += kLanes) {
    end = append(below(value + j, limit), static_cast<int32_t>(j), end);
  }
  return end - to;
}

void farthest(Planes of, int64_t n, int64_t m, float* distance, int64_t* to) {
  const int64_t end = padded(n);
  for (int64_t j = 0; j < end; ++j) distance[j] = j < n ? INFINITY : -1.0f;
  int64_t last = 0;
  to[0] = 0;
  for (int64_t i = 1; i < m; ++i) {
    const Point q{of.x[last], of.y[last], of.z[last]};
    Lanes best = splat(-1.0f);
    for (int64_t j = 0; j < end; j += kLanes) {
      const Lanes d = smaller(squared(q, of, j), load(distance + j));
      store(distance + j, d);
      best = larger(d, best);
    }
    const float bar = largest(best);
    for (last = 0; distance[last] != bar;) ++last;
    to[i] = last;
  }
}

void within(Point q, Planes to, int64_t n, float limit, int64_t k, int64_t* found) {
  int64_t count = 0;
  float block[kLanes];
  for (int64_t j = 0; j < n && count < k; j += kLanes) {
    store(block, squared(q, to, j));
    for (uint32_t mask = below(block, limit); mask && count < k; mask &= mask - 1) {
      found[count++] = j + __builtin_ctz(mask);
    }
  }
  if (count == 0) {
    const float least = nearest(q, to, n);
    int64_t j = 0;
    while (smallest(squared(q, to, j)) != least) j += kLanes;
    const Lanes there = squared(q, to, j);
    int lane = 0;
    while (there[lane] != least) ++lane;
    found[count++] = j + lane;
  }
  for (; count < k; ++count) found[count] = found[0];
}

// One block of kPad points against a few queries at once, so that each load serves them all.
template <int kRows>
void distances_of(const float* query, const float* packed, int64_t n, int64_t c, float* value) {
  for (int64_t j = 0; j < n; j += kPad, packed += c * kPad) {
    Lanes low[kRows]{}, high[kRows]{};
    for (int64_t axis = 0; axis < c; ++axis) {
      const Lanes a = load(packed + axis * kPad), b = load(packed + axis * kPad + kLanes);
      for (int row = 0; row < kRows; ++row) {
        const float q = query[row * c + axis];
        const Lanes da = q - a, db = q - b;
        low[row] += da * da;
        high[row] += db * db;
      }
    }
    for (int row = 0; row < kRows; ++row) {
      store(value + row * n + j, low[row]);
      store(value + row * n + j + kLanes, high[row]);
    }
  }
}

void distances(const float* query, int64_t rows, const float* packed, int64_t n, int64_t c,
               float* value) {
  if (rows == kQueries) return distances_of<kQueries>(query, packed, n, c, value);
  for (int64_t row = 0; row < rows; ++row) {
    distances_of<1>(query + row * c, packed, n, c, value + row * n);
  }
}

float bar(const float* value, int64_t n, int64_t k) {
  if (k <= 24) return ranked_minimum<2>(value, n, k);
  if (k <= 48) return ranked_minimum<4>(value, n, k);
  if (k <= 96) return ranked_minimum<8>(value, n, k);
  return INFINITY;
}

Least least(const double* cost, const int32_t* index, int64_t length, const double* price) {
  Wide value[kListRoom / kWide];
  Wide first = INFINITY - Wide{}, second = first;
  for (int64_t i = 0; i < length / kWide; ++i) {
    const Wide lanes = load(cost + i * kWide) + gather(price, index + i * kWide);
    value[i] = lanes;
    second = smaller(second, larger(first, lanes));
    first = smaller(first, lanes);
  }
  fold<4>(first, second);
  fold<2>(first, second);
  fold<1>(first, second);
  Least best{first[0], second[0], 0};
  int32_t i = 0;
  uint32_t mask;
  while (!(mask = equal(value[i], best.first))) ++i;
  best.position = i * kWide + __builtin_ctz(mask);
  return best;
}

}  // namespace

namespace POINTCMT_LEVEL {
extern const Kernels kernels;
const Kernels kernels{POINTCMT_LEVEL_NAME, nearest, scan,      select, farthest,
                      within,              distances, bar,
                      least};
}  // namespace POINTCMT_LEVEL

}  // namespace pointcmt
