// Exact earth mover's matching of two clouds of equal size.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernels.h"

namespace pointcmt {

// Finds the bijection of least total Euclidean distance. A forward auction with falling eps gets
// near, from prices that a smaller problem suggests where many rows want the same columns; shortest
// augmenting paths finish it exactly. Each row (point of x) looks at a short list of columns (points
// of y) and knows a lower bound on every column off the list. Prices only rise, in the auction and
// in the paths, so the bound stays true until the list is rebuilt.
//
// Whole units of a table decide while eps is far above one; after that float32 filters which columns
// may matter; the end is decided in float64. The workspace is kept between calls.
class Matcher {
 public:
  // Matches x[i] to y[match[i]]; x and y hold n points of three finite numbers. When `prices` is not
  // null it receives p with |x_i - y_match(i)| + p_match(i) <= |x_i - y_j| + p_j for all i and j, up
  // to rounding.
  template <typename Real>
  void solve(const Real* x, const Real* y, int64_t n, int64_t* match, double* prices);

 private:
  static constexpr int kList = kListRoom;  // the longest list
  static constexpr int kListStep = 8;      // lists are padded to a multiple with infinite costs
  static constexpr int kRank = 10;         // asks a scan for about 15 columns
  static constexpr int32_t kTable = 2048;  // the most points whose costs are all kept
  static constexpr int32_t kNone = -1;

  struct Choice {
    double first, second;  // the least and second least cost plus price over all columns
    int32_t column;        // where the least is
  };

  struct Entry {
    double value;
    int32_t index;
    bool operator<(const Entry& other) const {
      return value != other.value ? value < other.value : index < other.index;
    }
    bool operator>(const Entry& other) const { return other < *this; }
  };

  template <typename Real>
  bool load(const Real* x, const Real* y);  // false when all points coincide
  template <typename Real>
  bool approach(const Real* x, const Real* y, int32_t n, double last);
  void finish();
  void reduce_columns();
  void take_prices();
  double first_phase(double last);

  // emd_guess.cpp
  bool guess_prices();
  void gather_groups(const std::vector<float> (&of)[3], int32_t groups,
                     std::vector<double>& middles);

  // emd_auction.cpp
  bool auction(double eps, int64_t bids);
  void set_precision(double eps);
  void free_violators(double eps);
  void pass_without_eps();
  Choice choose(int32_t row);
  Choice best_of_all(int32_t row);
  Choice best_listed(int32_t row) const;
  void build_list(int32_t row);
  double keep_best(int32_t row, int64_t count);
  void raise(int32_t column, double by);
  int32_t assign(int32_t row, const Choice& choice);

  // emd_paths.cpp
  void augment();
  void find_twins();
  int32_t search(int32_t root);
  void enter(int32_t row, double offset);
  void widen(int32_t row, double offset);
  void relax(int32_t row, int32_t column, double label);

  double cost(int32_t row, int32_t column) const;
  Scan scan(int32_t row);
  double slack() const;
  // What sums of a cost and a price may be off by in float64, and equal all the same.
  double rounding() const { return 2e-15 * (diagonal_ + highest_); }
  Point point(int32_t row) const { return {xf_[0][row], xf_[1][row], xf_[2][row]}; }
  Planes columns() const { return {yf_[0].data(), yf_[1].data(), yf_[2].data()}; }

  const Kernels* kernels_ = nullptr;
  int32_t n_ = 0;
  double scale_ = 1, diagonal_ = 0;
  std::vector<double> x_, y_;         // (n, 3), scaled
  std::vector<float> xf_[3], yf_[3];  // the same about the middle of the box, by plane; y padded
  std::vector<int16_t> table_;        // of all rows in units, where there are at most kTable
  double unit_ = 1, units_ = 1;       // of the table: its length, and how many go into one

  std::vector<double> price_;          // of columns
  std::vector<float> price32_;         // the same rounded, padded with infinity; kept while fine
  std::vector<int16_t> price16_;       // the same in units, padded; kept while coarse_
  double highest_ = 0;                 // the greatest magnitude among them
  std::vector<int32_t> column_, row_;  // the pair of each row, of each column
  std::vector<int32_t> queue_;         // rows without a column, the first waiting_ of it
  int32_t waiting_ = 0;
  double near_ = 0;  // mean distance of a column to its nearest row
  bool coarse_ = false;  // eps is so large that whole units decide

  std::vector<int32_t> listed_;      // (n, kList) columns
  std::vector<double> listed_cost_;  // (n, kList)
  std::vector<int32_t> length_;      // of each list
  std::vector<double> bound_;        // cost plus price of every column off the list is no less
  std::vector<float> value_;         // of a scan
  std::vector<int32_t> found_;
  std::vector<Entry> entries_;

  std::unique_ptr<Matcher> rough_;              // of the middles of groups
  std::vector<double> middle_x_, middle_y_;     // (groups, 3)
  std::vector<std::pair<uint32_t, int32_t>> places_;  // of points along the curve

  // A search for the shortest path from a row without a column to a column without a row.
  std::vector<double> label_;           // of columns: the length of the best path so far
  std::vector<int32_t> from_;           // the row it comes through
  std::vector<int32_t> touched_;        // columns with a label
  std::vector<int32_t> settled_;        // columns whose label is final
  std::vector<uint8_t> final_;          // whether it is
  std::vector<Entry> open_;             // heap of labels
  std::vector<Entry> unseen_;           // heap of bounds on what rows may reach off their lists
  std::vector<double> offset_;          // of rows: label = offset + cost + price
  std::vector<int64_t> renewed_;        // the search in which the row's list was rebuilt
  std::vector<int32_t> twin_;           // of rows: one that stands for all at the same point
  std::vector<int64_t> followed_;       // the search that last followed the row, or a twin of it
  int64_t searches_ = 0;
  double reach_ = 0;    // the least label of a free column
  int32_t target_ = 0;  // that column
};

}  // namespace pointcmt
