// Compiled several times with different instruction sets. It must not instantiate anything that
// other units share (no standard containers or algorithms): the linker might keep the copy that an
// old processor cannot run.
#include "kernels.h"

#include <math.h>

#include "lanes.h"

namespace pointcmt {
namespace {

constexpr int kGroups = 16;  // lots of values whose least is kept, at the least

inline Lanes squared(Point q, Planes to, int64_t j) {
  const Lanes dx = q.x - load(to.x + j), dy = q.y - load(to.y + j), dz = q.z - load(to.z + j);
  return dx * dx + dy * dy + dz * dz;
}

int64_t nearest(Point q, Planes to, int64_t n) {
  Lanes least = squared(q, to, 0);
  for (int64_t j = kLanes; j < n; j += kLanes) least = smaller(least, squared(q, to, j));
  const Lanes bar = splat(smallest(least));
  int64_t j = 0;
  uint32_t mask;
  while (!(mask = equal(squared(q, to, j), bar))) j += kLanes;
  return j + __builtin_ctz(mask);
}

// The rank-th smallest of the least of every group: at least `rank` values do not exceed it, and
// with rank well below the number of groups not many more.
template <int kVectors>
float ranked(const Lanes (&least)[kVectors], int64_t rank) {
  float each[kVectors * kLanes];
  for (int i = 0; i < kVectors; ++i) store(each + i * kLanes, least[i]);
  Lanes best = splat(-INFINITY);
  for (const Lanes& lanes : least) {
    Whole under{};
    for (float other : each) under -= splat(other) < lanes;
    best = larger(best, under < static_cast<int32_t>(rank) ? lanes : splat(-INFINITY));
  }
  return largest(best);
}

template <int kSize>
float ranked_minimum(const float* value, int64_t n, int64_t rank) {
  Lanes least[kSize / kLanes];
  for (Lanes& lanes : least) lanes = splat(INFINITY);
  for (int64_t j = 0; j < n; j += kPad) {
    Lanes* to = least + j % kSize / kLanes;
    for (int i = 0; i < kPad / kLanes; ++i) to[i] = smaller(to[i], load(value + j + i * kLanes));
  }
  return ranked(least, rank);
}

void costs(Point q, Planes to, int64_t n, float* cost) {
  for (int64_t j = 0; j < n; j += kLanes) store(cost + j, square_root(squared(q, to, j)));
}

void lower(const float* value, int64_t n, float by, int32_t source, float* least,
           int32_t* from) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const Lanes before = load(least + j), lanes = load(value + j) - by;
    store(least + j, smaller(before, lanes));
    store(from + j, lanes < before ? splat(source) : load(from + j));
  }
}

Scan scan(const float* cost, const float* price, int64_t n, int rank, float* value) {
  Lanes group[kGroups / kLanes];
  for (Lanes& lanes : group) lanes = splat(INFINITY);
  for (int64_t j = 0; j < n;) {
    for (Lanes& lanes : group) {
      const Lanes reduced = load(cost + j) + load(price + j);
      store(value + j, reduced);
      lanes = smaller(lanes, reduced);
      j += kLanes;
    }
  }
  Lanes least = group[0];
  for (const Lanes& lanes : group) least = smaller(least, lanes);
  return {smallest(least), ranked(group, rank)};
}

// Keeps several minima side by side, so that none waits for the one before.
Least<float> two_least(const float* cost, const float* price, int64_t n) {
  constexpr int kSide = 2;
  Lanes first[kSide], second[kSide];
  Whole at[kSide];  // the vector in which a lane saw its least
  for (int i = 0; i < kSide; ++i) {
    first[i] = second[i] = splat(INFINITY);
    at[i] = splat(int32_t{0});
  }
  for (int64_t j = 0; j < n; j += kSide * kLanes) {
    for (int i = 0; i < kSide; ++i) {
      const int64_t from = j + i * kLanes;
      const Lanes value = load(cost + from) + load(price + from);
      at[i] = value < first[i] ? splat(static_cast<int32_t>(from)) : at[i];
      second[i] = smaller(second[i], larger(first[i], value));
      first[i] = smaller(first[i], value);
    }
  }
  for (int i = 1; i < kSide; ++i) {
    at[0] = first[i] < first[0] ? at[i] : at[0];
    second[0] = smaller(smaller(second[0], second[i]), larger(first[0], first[i]));
    first[0] = smaller(first[0], first[i]);
  }
  const float least = smallest(first[0]);
  const int lane = __builtin_ctz(equal(first[0], splat(least)));
  const int32_t position = at[0][lane] + lane;
  first[0][lane] = second[0][lane];
  return {least, smallest(first[0]), position};
}

int64_t select(const float* value, int64_t n, float limit, int32_t* to) {
  const Lanes bar = splat(limit);
  int32_t* end = to;
  for (int64_t j = 0; j < n; j += kLanes) {
    end = append(below(load(value + j), bar), static_cast<int32_t>(j), end);
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
    const Lanes bar = splat(largest(best));
    int64_t j = 0;
    uint32_t mask;
    while (!(mask = equal(load(distance + j), bar))) j += kLanes;
    to[i] = last = j + __builtin_ctz(mask);
  }
}

void within(Point q, Planes to, int64_t n, float limit, int64_t k, int64_t* found) {
  const Lanes bar = splat(limit);
  int64_t count = 0;
  for (int64_t j = 0; j < n && count < k; j += kLanes) {
    for (uint32_t mask = below(squared(q, to, j), bar); mask && count < k; mask &= mask - 1) {
      found[count++] = j + __builtin_ctz(mask);
    }
  }
  if (count == 0) found[count++] = nearest(q, to, n);
  for (; count < k; ++count) found[count] = found[0];
}

// One block of kPad points against a few queries at once, so that each load serves them all.
template <int kRows>
void distances_of(const float* query, const float* packed, int64_t n, int64_t c, float* value) {
  constexpr int kVectors = kLanes < 8 ? 1 : 2;  // as many as the registers hold
  for (int64_t j = 0; j < n; j += kVectors * kLanes) {
    const float* points = packed + j / kPad * kPad * c + j % kPad;
    Lanes sum[kRows][kVectors]{};
    for (int64_t axis = 0; axis < c; ++axis) {
      for (int i = 0; i < kVectors; ++i) {
        const Lanes point = load(points + axis * kPad + i * kLanes);
        for (int row = 0; row < kRows; ++row) {
          const Lanes difference = query[row * c + axis] - point;
          sum[row][i] += difference * difference;
        }
      }
    }
    for (int row = 0; row < kRows; ++row) {
      for (int i = 0; i < kVectors; ++i) store(value + row * n + j + i * kLanes, sum[row][i]);
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
  if (k <= 24) return ranked_minimum<32>(value, n, k);
  if (k <= 48) return ranked_minimum<64>(value, n, k);
  if (k <= 96) return ranked_minimum<128>(value, n, k);
  return INFINITY;
}

Least<double> two_least_listed(const double* cost, const int32_t* index, int64_t length,
                               const double* price) {
  Wide value[kListRoom / kWide];
  Wide first = splat(double{INFINITY}), second = first;
  for (int64_t i = 0; i < length / kWide; ++i) {
    const Wide lanes = load(cost + i * kWide) + gather(price, index + i * kWide);
    value[i] = lanes;
    second = smaller(second, larger(first, lanes));
    first = smaller(first, lanes);
  }
  Least<double> best;
  least_two(first, second, &best.first, &best.second);
  const Wide bar = splat(best.first);
  int32_t i = 0;
  uint32_t mask;
  while (!(mask = equal(value[i], bar))) ++i;
  best.position = i * kWide + __builtin_ctz(mask);
  return best;
}

}  // namespace

namespace POINTCMT_LEVEL {
extern const Kernels kernels;
const Kernels kernels{POINTCMT_LEVEL_NAME, nearest,  costs,  lower,     scan, two_least,
                      select,              farthest, within, distances, bar,  two_least_listed};
}  // namespace POINTCMT_LEVEL

}  // namespace pointcmt
