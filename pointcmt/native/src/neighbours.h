// Nearest neighbours of a few queries among packed points.
#pragma once

#include <cstdint>
#include <vector>

namespace pointcmt {

// A cloud of n points to search.
struct Searched {
  const float* rows;     // (n, c)
  const float* packed;   // by `pack`
  const float* squares;  // (padded(n)) their squared norms
  float largest;         // of the squares
  int64_t n, c;
};

class Neighbours {
 public:
  // For each of `rows` queries (rows, c) writes the k nearest points, nearest first, the lower index
  // first where distances are equal.
  void find(const float* query, int64_t rows, const Searched& among, int64_t k, int64_t* to);

 private:
  void find_by_distances(const float* query, int64_t rows, const Searched& among, int64_t k,
                         int64_t* to);
  void find_by_products(const float* query, int64_t rows, const Searched& among, int64_t k,
                        int64_t* to);
  bool pick_by_products(const float* query, float* value, const Searched& among, int64_t k,
                        int64_t* to);
  void settle(const float* query, const Searched& among, int64_t first, int64_t last);
  void pick(const float* value, int64_t n, int64_t k, int64_t* to);
  void sort(const float* value, int64_t count, int64_t k);

  std::vector<float> value_, doubled_;
  std::vector<int32_t> found_;
  std::vector<uint64_t> keys_;
};

}  // namespace pointcmt
