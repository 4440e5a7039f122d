// Clouds laid out for the kernels.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels.h"

namespace pointcmt {

// Points (n, c), row-major, as (padded(n) / kPad, c, kPad) with infinity where there is no point.
inline void pack(const float* points, int64_t n, int64_t c, float* packed) {
  for (int64_t block = 0; block < padded(n); block += kPad, packed += c * kPad) {
    for (int64_t axis = 0; axis < c; ++axis) {
      for (int64_t i = 0; i < kPad; ++i) {
        const int64_t j = block + i;
        packed[axis * kPad + i] = j < n ? points[j * c + axis] : INFINITY;
      }
    }
  }
}

// The squared norm of a point (c), rounded in any way.
inline float squared_norm(const float* point, int64_t c) {
  constexpr int64_t kParts = 16;
  float part[kParts] = {}, sum = 0;
  int64_t axis = 0;
  for (; axis + kParts <= c; axis += kParts) {
    for (int64_t i = 0; i < kParts; ++i) part[i] += point[axis + i] * point[axis + i];
  }
  for (; axis < c; ++axis) sum += point[axis] * point[axis];
  for (float each : part) sum += each;
  return sum;
}

// Three coordinates (n, 3) as three padded planes.
class Cloud {
 public:
  void load(const float* points, int64_t n) {
    room_ = padded(n);
    planes_.assign(3 * room_, INFINITY);
    for (int64_t i = 0; i < n; ++i) {
      for (int axis = 0; axis < 3; ++axis) planes_[axis * room_ + i] = points[3 * i + axis];
    }
  }
  Planes planes() const {
    const float* x = planes_.data();
    return {x, x + room_, x + 2 * room_};
  }
  int64_t size() const { return room_; }

 private:
  int64_t room_ = 0;
  std::vector<float> planes_;
};

}  // namespace pointcmt
