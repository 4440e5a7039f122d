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

void nearer(Point q, Planes to, int64_t n, int32_t source, float* least, int32_t* from,
            float unit, int16_t* cost) {
  const Lanes most = splat(float{INT16_MAX}), units = splat(1 / unit);
  for (int64_t j = 0; j < n; j += kLanes) {
    const Lanes before = load(least + j), lanes = squared(q, to, j);
    store(least + j, smaller(before, lanes));
    store(from + j, lanes < before ? splat(source) : load(from + j));
    if (cost) store(cost + j, smaller(square_root(lanes) * units, most));
  }
}

Scan scan(Point q, Planes to, const float* price, int64_t n, int rank, float* value) {
  Lanes group[kGroups / kLanes];
  for (Lanes& lanes : group) lanes = splat(INFINITY);
  for (int64_t j = 0; j < n;) {
    for (Lanes& lanes : group) {
      const Lanes reduced = square_root(squared(q, to, j)) + load(price + j);
      store(value + j, reduced);
      lanes = smaller(lanes, reduced);
      j += kLanes;
    }
  }
  Lanes least = group[0];
  for (const Lanes& lanes : group) least = smaller(least, lanes);
  return {smallest(least), ranked(group, rank)};
}

Least<int32_t> two_least(const int16_t* cost, const int16_t* price, int64_t n) {
  Steps first = splat(int16_t{INT16_MAX}), second = first, at{};  // at: where a lane saw its least
  Steps turn{};
  for (int64_t j = 0; j < n; j += kSteps, turn += splat(int16_t{1})) {
    const Steps value = sum(load(cost + j), load(price + j));
    at = value < first ? turn : at;
    second = smaller(second, larger(first, value));
    first = smaller(first, value);
  }
  // A value and its position as one number, so that the least of equals is the first.
  constexpr int32_t kPositions = 1 << 12;
  int16_t firsts[kSteps], seconds[kSteps], turns[kSteps];
  store(firsts, first), store(seconds, second), store(turns, at);
  Whole lane{};
  for (int32_t i = 0; i < kLanes; ++i) lane[i] = i;
  const auto key = [&](int half) {
    return load_whole(firsts + half) * kPositions + load_whole(turns + half) * kSteps + lane + half;
  };
  const auto next = [&](int half) { return load_whole(seconds + half) * kPositions; };
  const Whole a = key(0), b = key(kLanes), c = next(0), d = next(kLanes);
  const Whole loser = a < b ? b : a, lower = c < d ? c : d;
  int32_t best, after;
  least_two(a < b ? a : b, loser < lower ? loser : lower, &best, &after);
  return {best >> 12, after >> 12, best & (kPositions - 1)};
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

void products(const float* query, const float* packed, const float* start, int64_t n, int64_t c,
              float* value) {
  constexpr int kVectors = kLanes < 16 ? 1 : 2;  // as many as the registers hold
  for (int64_t j = 0; j < n; j += kVectors * kLanes) {
    const float* points = packed + j / kPad * kPad * c + j % kPad;
    const float* axes = query;
    Lanes sum[kMany][kVectors];
    for (auto& row : sum) {
      for (int i = 0; i < kVectors; ++i) row[i] = load(start + j + i * kLanes);
    }
    for (int64_t axis = 0; axis < c; ++axis, points += kPad, axes += kMany) {
      Lanes point[kVectors];
      for (int i = 0; i < kVectors; ++i) point[i] = load(points + i * kLanes);
      for (int row = 0; row < kMany; ++row) {
        const Lanes coordinate = splat(axes[row]);
        for (int i = 0; i < kVectors; ++i) {
          sum[row][i] = multiply_add(coordinate, point[i], sum[row][i]);
        }
      }
    }
    for (int row = 0; row < kMany; ++row) {
      for (int i = 0; i < kVectors; ++i) store(value + row * n + j + i * kLanes, sum[row][i]);
    }
  }
}

float bar(const float* value, int64_t n, int64_t k) {
  if (k <= 24) return ranked_minimum<32>(value, n, k);
  if (k <= 48) return ranked_minimum<64>(value, n, k);
  if (k <= 96) return ranked_minimum<128>(value, n, k);
  return INFINITY;
}

// A part of a row that registers hold.
template <int kVectors>
void greatest_part(const float* values, const int64_t* index, int64_t k, int64_t c, float* most) {
  Lanes best[kVectors];
  for (int v = 0; v < kVectors; ++v) best[v] = load(values + index[0] * c + v * kLanes);
  for (int64_t i = 1; i < k; ++i) {
    const float* row = values + index[i] * c;
    for (int v = 0; v < kVectors; ++v) best[v] = larger(best[v], load(row + v * kLanes));
  }
  for (int v = 0; v < kVectors; ++v) store(most + v * kLanes, best[v]);
}

void greatest(const float* values, const int64_t* index, int64_t k, int64_t c, float* most) {
  int64_t j = 0;
  for (; j + 4 * kLanes <= c; j += 4 * kLanes) greatest_part<4>(values + j, index, k, c, most + j);
  for (; j + kLanes <= c; j += kLanes) greatest_part<1>(values + j, index, k, c, most + j);
  for (; j < c; ++j) {
    most[j] = values[index[0] * c + j];
    for (int64_t i = 1; i < k; ++i) {
      const float value = values[index[i] * c + j];
      most[j] = value > most[j] ? value : most[j];
    }
  }
}

void ranks(const float* value, int64_t n, int32_t* rank) {
  Whole place{};
  for (int32_t i = 0; i < kLanes; ++i) place[i] = i;
  for (int64_t i = 0; i < n; i += kLanes, place += kLanes) {
    const Lanes lanes = load(value + i);
    Whole before{};
    for (int32_t j = 0; j < n; ++j) {
      const Lanes other = splat(value[j]);
      before -= (other < lanes) | ((other == lanes) & (j < place));
    }
    store(rank + i, before);
  }
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
const Kernels kernels{POINTCMT_LEVEL_NAME, nearest,  costs,  lower,     nearer,   scan,
                      two_least,           select,   farthest, within, distances, products,
                      bar,                 ranks,    two_least_listed,  greatest};
}  // namespace POINTCMT_LEVEL

}  // namespace pointcmt
