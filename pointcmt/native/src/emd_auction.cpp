#include <algorithm>
#include <limits>

#include "emd.h"

namespace pointcmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kCoarseEps = 5e-4;  // of the diagonal
constexpr double kMostPrice = 1.9;   // of the diagonal, in units of the table

}  // namespace

// What a float32 value of a scan may be off by, with room to spare: a few roundings of coordinates
// and distances (at most about 2e-7 of the diagonal), one of the price and one of the sum.
double Matcher::slack() const { return 1e-6 * diagonal_ + 2.5e-7 * highest_; }

// Writes cost plus price of every column for a row, in float32.
Scan Matcher::scan(int32_t row) {
  return kernels_->scan(point(row), columns(), price32_.data(), padded(n_), kRank, value_.data());
}

void Matcher::build_list(int32_t row) {
  const double slack = this->slack();
  const Scan scan = this->scan(row);
  // Even when all values tie, the least of them gets onto the list.
  const float limit = std::max(scan.limit, static_cast<float>(scan.least + 4 * slack));
  const int64_t count = kernels_->select(value_.data(), padded(n_), limit, found_.data());
  double bound = limit - slack;
  if (count > kList) bound = std::min(bound, keep_best(row, count));
  int32_t* index = &listed_[int64_t{row} * kList];
  double* cost = &listed_cost_[int64_t{row} * kList];
  const int32_t length = static_cast<int32_t>(std::min<int64_t>(count, kList));
  for (int32_t i = 0; i < length; ++i) {
    index[i] = found_[i];
    cost[i] = this->cost(row, found_[i]);
  }
  for (int32_t i = length; i % kListStep; ++i) index[i] = 0, cost[i] = kInfinity;
  bound_[row] = bound;
  length_[row] = (length + kListStep - 1) / kListStep * kListStep;
}

// Moves the kList best of the found columns to the front; returns the least value of the rest.
double Matcher::keep_best(int32_t row, int64_t count) {
  entries_.clear();
  for (int64_t i = 0; i < count; ++i) {
    entries_.push_back({cost(row, found_[i]) + price_[found_[i]], found_[i]});
  }
  std::nth_element(entries_.begin(), entries_.begin() + kList, entries_.end());
  for (int32_t i = 0; i < kList; ++i) found_[i] = entries_[i].index;
  return entries_[kList].value;
}

Matcher::Choice Matcher::best_listed(int32_t row) const {
  const int32_t* index = &listed_[int64_t{row} * kList];
  const double* cost = &listed_cost_[int64_t{row} * kList];
  const Least<double> best =
      kernels_->two_least_listed(cost, index, length_[row], price_.data());
  return {best.first, best.second, index[best.position]};
}

Matcher::Choice Matcher::best_of_all(int32_t row) {
  const int64_t room = padded(n_);
  const Least<int32_t> best = kernels_->two_least(&table_[row * room], price16_.data(), room);
  return {best.first * unit_, best.second * unit_, best.position};
}

Matcher::Choice Matcher::choose(int32_t row) {
  if (coarse_) return best_of_all(row);
  if (length_[row] == 0) build_list(row);
  Choice best = best_listed(row);
  if (best.first > bound_[row]) {
    build_list(row);
    best = best_listed(row);
  }
  best.second = std::min(best.second, bound_[row]);
  return best;
}

void Matcher::raise(int32_t column, double by) {
  const double price = price_[column] += by;
  highest_ = std::max(highest_, price);
  if (coarse_ && highest_ >= kMostPrice * diagonal_) {
    set_precision(0);
  } else if (coarse_) {
    price16_[column] = static_cast<int16_t>(price * units_);
  } else {
    price32_[column] = static_cast<float>(price);
  }
}

// Returns the row that loses the column, or kNone.
int32_t Matcher::assign(int32_t row, const Choice& choice) {
  const int32_t loser = row_[choice.column];
  if (loser != kNone) column_[loser] = kNone;
  row_[choice.column] = row;
  column_[row] = choice.column;
  return loser;
}

// Gauss-Seidel bidding, first in, first out; ends with every row assigned within eps of its best,
// or after so many bids; returns whether all are assigned.
bool Matcher::auction(double eps, int64_t bids) {
  set_precision(eps);
  int32_t head = 0, tail = waiting_ % n_;
  for (; waiting_ && bids; --bids) {
    const int32_t row = queue_[head];
    head = head + 1 == n_ ? 0 : head + 1;
    --waiting_;
    const Choice best = choose(row);
    // A column nobody held need not rise by all it may; of equal ones each must rise by something.
    const double margin = best.second - best.first;
    raise(best.column, row_[best.column] == kNone ? std::max(margin, eps) : margin + eps);
    const int32_t loser = assign(row, best);
    if (loser != kNone) {
      queue_[tail] = loser;
      tail = tail + 1 == n_ ? 0 : tail + 1;
      ++waiting_;
    }
  }
  std::rotate(queue_.begin(), queue_.begin() + head, queue_.end());
  return waiting_ == 0;
}

// Whole units decide while eps is far above one, and costs and prices fit.
void Matcher::set_precision(double eps) {
  const bool was_coarse = coarse_;
  coarse_ = n_ <= kTable && eps > kCoarseEps * diagonal_ && highest_ < kMostPrice * diagonal_;
  if (coarse_) {
    price16_.assign(padded(n_), INT16_MAX);
    for (int32_t j = 0; j < n_; ++j) price16_[j] = static_cast<int16_t>(price_[j] * units_);
  } else if (was_coarse) {
    for (int32_t j = 0; j < n_; ++j) price32_[j] = static_cast<float>(price_[j]);
  }
}

// Queues the rows whose column costs them more than eps above their best.
void Matcher::free_violators(double eps) {
  set_precision(eps);
  const double most = eps + (coarse_ ? 2 * unit_ : rounding());
  for (int32_t row = 0; row < n_; ++row) {
    const int32_t column = column_[row];
    if (cost(row, column) + price_[column] <= choose(row).first + most) continue;
    row_[column] = kNone;
    column_[row] = kNone;
    queue_[waiting_++] = row;
  }
}

// Lets every queued row bid once without eps, which keeps all pairs tight; queues who lost.
void Matcher::pass_without_eps() {
  const int32_t bidders = waiting_;
  waiting_ = 0;
  for (int32_t i = 0; i < bidders; ++i) {
    const int32_t row = queue_[i];
    const Choice best = choose(row);
    int32_t loser = row;
    if (best.second > best.first + rounding() || row_[best.column] == kNone) {
      raise(best.column, best.second - best.first);
      loser = assign(row, best);
    }
    if (loser != kNone) queue_[waiting_++] = loser;
  }
}

}  // namespace pointcmt
