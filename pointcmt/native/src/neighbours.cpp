#include "neighbours.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels.h"

namespace pointcmt {

void Neighbours::find(const float* query, int64_t rows, const float* packed, int64_t n, int64_t c,
                      int64_t k, int64_t* to) {
  const int64_t room = padded(n);
  value_.resize(kQueries * room), found_.resize(room + kSelectRoom), keys_.reserve(room);
  for (int64_t row = 0; row < rows; row += kQueries) {
    const int64_t some = std::min(kQueries, rows - row);
    kernels().distances(query + row * c, some, packed, room, c, value_.data());
    for (int64_t i = 0; i < some; ++i) pick(&value_[i * room], n, k, to + (row + i) * k);
  }
}

// Squared distances are not negative, so their bits are in the order of their values.
void Neighbours::pick(const float* value, int64_t n, int64_t k, int64_t* to) {
  const float bar = kernels().bar(value, padded(n), k);
  int64_t count = n;
  if (std::isfinite(bar)) {
    count = kernels().select(value, padded(n), std::nextafter(bar, INFINITY), found_.data());
  } else {
    std::iota(found_.begin(), found_.begin() + n, 0);
  }
  keys_.clear();
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &value[found_[i]], sizeof bits);
    keys_.push_back(uint64_t{bits} << 32 | static_cast<uint32_t>(found_[i]));
  }
  if (count > 2 * k) std::nth_element(keys_.begin(), keys_.begin() + k, keys_.end());
  std::sort(keys_.begin(), count > 2 * k ? keys_.begin() + k : keys_.end());
  for (int64_t i = 0; i < k; ++i) to[i] = static_cast<int64_t>(keys_[i] & 0xffffffff);
}

}  // namespace pointcmt
