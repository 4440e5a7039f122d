// Nearest neighbours of a few queries among packed points.
#pragma once

#include <cstdint>
#include <vector>

namespace pointcmt {

class Neighbours {
 public:
  // For each of `rows` queries (rows, c) writes the k nearest of n points packed by `pack`, nearest
  // first, the lower index first where distances are equal.
  void find(const float* query, int64_t rows, const float* packed, int64_t n, int64_t c, int64_t k,
            int64_t* to);

 private:
  void pick(const float* value, int64_t n, int64_t k, int64_t* to);

  std::vector<float> value_;
  std::vector<int32_t> found_;
  std::vector<uint64_t> keys_;
};

}  // namespace pointcmt
