#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <tuple>

#include "emd.h"

namespace pointcmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int32_t kManySearches = 16;

template <typename Entry>
void push(std::vector<Entry>& heap, Entry entry) {
  heap.push_back(entry);
  std::push_heap(heap.begin(), heap.end(), std::greater<>{});
}

template <typename Entry>
Entry pop(std::vector<Entry>& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>{});
  const Entry least = heap.back();
  heap.pop_back();
  return least;
}

}  // namespace

// Gives every queued row a column along a shortest path; all pairs stay tight.
void Matcher::augment() {
  label_.assign(n_, kInfinity), from_.resize(n_), offset_.resize(n_), renewed_.assign(n_, 0);
  final_.assign(n_, 0);
  searches_ = 0;
  find_twins();
  for (; waiting_; --waiting_) {
    const int32_t root = queue_[waiting_ - 1];
    int32_t column = search(root);
    for (const int32_t j : settled_) {
      raise(j, std::max(0.0, reach_ - label_[j]));
      final_[j] = 0;
    }
    for (int32_t row = kNone; row != root;) {
      row = from_[column];
      const int32_t next = column_[row];
      row_[column] = row, column_[row] = column;
      column = next;
    }
    for (const int32_t j : touched_) label_[j] = kInfinity;
  }
}

// Where one point occurs many times, a search need only follow the first of them it reaches.
void Matcher::find_twins() {
  twin_.resize(n_), followed_.assign(n_, 0);
  std::iota(twin_.begin(), twin_.end(), 0);
  if (waiting_ <= kManySearches) return;
  std::vector<int32_t> order = twin_;
  const auto at = [&](int32_t row) {
    const double* x = &x_[3 * int64_t{row}];
    return std::make_tuple(x[0], x[1], x[2]);
  };
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return at(a) < at(b); });
  for (int32_t i = 1; i < n_; ++i) {
    if (at(order[i]) == at(order[i - 1])) twin_[order[i]] = twin_[order[i - 1]];
  }
}

// Dijkstra over reduced costs. Returns the free column that is nearest, at reach_.
int32_t Matcher::search(int32_t root) {
  ++searches_;
  touched_.clear(), settled_.clear(), open_.clear(), unseen_.clear();
  reach_ = kInfinity;
  enter(root, 0);
  for (;;) {
    while (!open_.empty() && open_.front().value > label_[open_.front().index]) pop(open_);
    const double least = open_.empty() ? kInfinity : open_.front().value;
    const double least_unseen = unseen_.empty() ? kInfinity : unseen_.front().value;
    if (reach_ <= least && reach_ <= least_unseen) return target_;
    if (least_unseen < least) {
      const int32_t row = pop(unseen_).index;
      widen(row, offset_[row]);
      continue;
    }
    const int32_t column = pop(open_).index;
    const int32_t row = row_[column];
    settled_.push_back(column);
    final_[column] = 1;  // rounding must not bring it back, the path would close on itself
    if (followed_[twin_[row]] != searches_) enter(row, least - cost(row, column) - price_[column]);
  }
}

// Follows the list of a row that the search has reached.
void Matcher::enter(int32_t row, double offset) {
  offset_[row] = offset;
  followed_[twin_[row]] = searches_;
  for (int32_t i = 0; i < length_[row]; ++i) {
    const int64_t at = int64_t{row} * kList + i;
    relax(row, listed_[at], offset + listed_cost_[at] + price_[listed_[at]]);
  }
  if (offset + bound_[row] < reach_) push(unseen_, Entry{offset + bound_[row], row});
}

// Looks beyond the list of a row: first at a list rebuilt with today's prices, then at all columns.
void Matcher::widen(int32_t row, double offset) {
  if (renewed_[row] != searches_) {
    renewed_[row] = searches_;
    const double bound = bound_[row];
    build_list(row);
    if (bound_[row] > bound) return enter(row, offset);
  }
  const int64_t room = padded(n_);
  scan(row);
  const float limit = static_cast<float>(reach_ - offset + 2 * slack());
  const int64_t count = kernels_->select(value_.data(), room, limit, found_.data());
  for (int64_t i = 0; i < count; ++i) {
    relax(row, found_[i], offset + cost(row, found_[i]) + price_[found_[i]]);
  }
}

void Matcher::relax(int32_t row, int32_t column, double label) {
  if (label >= label_[column] || label >= reach_ || final_[column]) return;
  if (label_[column] == kInfinity) touched_.push_back(column);
  label_[column] = label;
  from_[column] = row;
  if (row_[column] == kNone) reach_ = label, target_ = column;
  push(open_, Entry{label, column});
}

}  // namespace pointcmt
