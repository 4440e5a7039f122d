#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "clouds.h"
#include "kernels.h"

namespace pointcmt {

namespace {

constexpr int64_t kManyCoordinates = 9;  // from so many on, products are quicker than distances
constexpr int64_t kRanked = 64;          // so few are sorted by counting
constexpr double kUnit = 0x1p-24;        // what a float32 operation may be off by, relative
constexpr double kLeast = 1e-44;         // and absolute, where numbers are tiny

// In the order of the values, and of the indices where those are equal.
uint64_t key(float value, int32_t index) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  bits ^= bits >> 31 ? 0xffffffffu : 0x80000000u;
  return uint64_t{bits} << 32 | static_cast<uint32_t>(index);
}

}  // namespace

void Neighbours::find(const float* query, int64_t rows, const Searched& among, int64_t k,
                      int64_t* to) {
  const int64_t room = padded(among.n);
  const bool few = among.c < kManyCoordinates;
  const int64_t together = few ? kQueries : kMany;
  value_.resize(together * room), found_.resize(room + kSelectRoom), keys_.reserve(room);
  for (int64_t row = 0; row < rows; row += together) {
    const int64_t some = std::min(together, rows - row);
    if (few) {
      find_by_distances(query + row * among.c, some, among, k, to + row * k);
    } else {
      find_by_products(query + row * among.c, some, among, k, to + row * k);
    }
  }
}

void Neighbours::find_by_distances(const float* query, int64_t rows, const Searched& among,
                                   int64_t k, int64_t* to) {
  const int64_t room = padded(among.n);
  kernels().distances(query, rows, among.packed, room, among.c, value_.data());
  for (int64_t i = 0; i < rows; ++i) pick(&value_[i * room], among.n, k, to + i * k);
}

// |p|^2 - 2 q p orders the points as their distances do, up to rounding; only those which rounding
// leaves in doubt are computed as distances.
void Neighbours::find_by_products(const float* query, int64_t rows, const Searched& among,
                                  int64_t k, int64_t* to) {
  const int64_t room = padded(among.n), c = among.c;
  doubled_.assign(c * kMany, 0);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t axis = 0; axis < c; ++axis) doubled_[axis * kMany + i] = -2 * query[i * c + axis];
  }
  kernels().products(doubled_.data(), among.packed, among.squares, room, c, value_.data());
  for (int64_t i = 0; i < rows; ++i) {
    if (!pick_by_products(query + i * c, &value_[i * room], among, k, to + i * k)) {
      find_by_distances(query + i * c, 1, among, k, to + i * k);  // only the first row is written
    }
  }
}

// Returns false where rounding leaves too many in doubt.
bool Neighbours::pick_by_products(const float* query, float* value, const Searched& among,
                                  int64_t k, int64_t* to) {
  const int64_t room = padded(among.n);
  const double reach = std::sqrt(squared_norm(query, among.c)) + std::sqrt(among.largest);
  // By as much may a value, or a distance, differ from its true one.
  const double error = 1.2 * (among.c + 16) * (kUnit * reach * reach + kLeast);
  const float doubt = static_cast<float>(4 * error);
  std::fill(value + among.n, value + room, INFINITY);
  const float bar = kernels().bar(value, room, k);
  if (!std::isfinite(bar + doubt)) return false;
  const float limit = std::nextafter(bar + doubt, INFINITY);
  const int64_t count = kernels().select(value, room, limit, found_.data());
  if (count < k || count > 4 * k + kPad) return false;

  sort(value, count, count);
  for (int64_t first = 0, last; first < k; first = last) {
    for (last = first + 1; last < count; ++last) {
      if (value[found_[last]] - value[found_[last - 1]] > doubt) break;
    }
    if (last - first > 1) settle(query, among, first, last);
  }
  std::copy_n(found_.begin(), k, to);
  return true;
}

// Sorts some of the found points by distance.
void Neighbours::settle(const float* query, const Searched& among, int64_t first, int64_t last) {
  keys_.clear();
  for (int64_t i = first; i < last; ++i) {
    const float* point = among.rows + found_[i] * among.c;
    float sum = 0;
    for (int64_t axis = 0; axis < among.c; ++axis) {
      const float difference = query[axis] - point[axis];
      sum += difference * difference;
    }
    keys_.push_back(key(sum, found_[i]));
  }
  std::sort(keys_.begin(), keys_.end());
  for (int64_t i = first; i < last; ++i) found_[i] = static_cast<int32_t>(keys_[i - first]);
}

void Neighbours::pick(const float* value, int64_t n, int64_t k, int64_t* to) {
  const float bar = kernels().bar(value, padded(n), k);
  const float limit = std::nextafter(bar, INFINITY);
  int64_t count = std::isfinite(bar) ? kernels().select(value, padded(n), limit, found_.data()) : 0;
  if (count < k) {  // too many are asked for, or are not finite
    std::iota(found_.begin(), found_.begin() + n, 0);
    count = n;
  }
  sort(value, count, k);
  std::copy_n(found_.begin(), k, to);
}

// Sorts the found points, so far in order of their indices, by value; only the first k need be
// right.
void Neighbours::sort(const float* value, int64_t count, int64_t k) {
  if (count <= kRanked) {
    float near[kRanked];
    int32_t rank[kRanked], before[kRanked];
    std::copy_n(found_.begin(), count, before);
    for (int64_t i = 0; i < kRanked; ++i) near[i] = i < count ? value[before[i]] : INFINITY;
    kernels().ranks(near, padded(count), rank);
    for (int64_t i = 0; i < count; ++i) found_[rank[i]] = before[i];
    return;
  }
  keys_.clear();
  for (int64_t i = 0; i < count; ++i) keys_.push_back(key(value[found_[i]], found_[i]));
  if (count > 2 * k) std::nth_element(keys_.begin(), keys_.begin() + k, keys_.end());
  std::sort(keys_.begin(), count > 2 * k ? keys_.begin() + k : keys_.end());
  for (int64_t i = 0; i < k; ++i) found_[i] = static_cast<int32_t>(keys_[i]);
}

}  // namespace pointcmt
