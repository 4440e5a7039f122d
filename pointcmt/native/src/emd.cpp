#include "emd.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pointcmt {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Each eps is a share of the diagonal, but for kNearEps.
constexpr double kNearEps = 0.3;       // the first, a share of the mean distance to the nearest
constexpr double kFirstEps = 0.015;    // but no more than this
constexpr double kGuessedEps = 0.076;  // the first after a guess, over the cube root of n
constexpr double kLastEps = 1e-4;
constexpr double kSmall = 2048;  // below so many points the last eps is larger, in proportion
constexpr double kEpsRatio = 5;
constexpr double kNearLast = 3;     // so near the last eps there is no other before it
constexpr double kEpsGrowth = 4;    // when a phase takes more than kPatience bids a row
constexpr int kPatience = 16;
constexpr int kFirstPatience = 3;    // bids a row before prices are guessed,
constexpr double kContested = 0.05;  // if more rows than this share still have no column
constexpr int kPassesWithoutEps = 8;
constexpr double kDiagonal = 16000;  // in units of the table: prices may be twice as large

}  // namespace

template <typename Real>
void Matcher::solve(const Real* x, const Real* y, int64_t n, int64_t* match, double* prices) {
  if (approach(x, y, static_cast<int32_t>(n), kLastEps)) {
    finish();
    std::copy_n(column_.begin(), n, match);
    if (prices) {
      std::transform(price_.begin(), price_.end(), prices, [&](double p) { return p / scale_; });
    }
  } else {
    std::iota(match, match + n, int64_t{0});
    if (prices) std::fill_n(prices, n, 0.0);
  }
}

template void Matcher::solve(const float*, const float*, int64_t, int64_t*, double*);
template void Matcher::solve(const double*, const double*, int64_t, int64_t*, double*);

// Scales by a power of two, which is exact, so that the diagonal of the common box lies in [1, 2).
template <typename Real>
bool Matcher::load(const Real* x, const Real* y) {
  double low[3], high[3], largest = 0;
  for (int axis = 0; axis < 3; ++axis) {
    low[axis] = kInfinity, high[axis] = -kInfinity;
    for (const Real* of : {x, y}) {
      for (int32_t i = 0; i < n_; ++i) {
        const double value = of[3 * i + axis];
        low[axis] = std::min(low[axis], value), high[axis] = std::max(high[axis], value);
      }
    }
    largest = std::max({largest, std::abs(low[axis]), std::abs(high[axis])});
  }
  if (largest == 0) return false;
  const auto power = [](double of) { return std::clamp(-std::ilogb(of), -1021, 1021); };
  const double coarse = std::ldexp(1.0, power(largest));
  diagonal_ = std::hypot(high[0] * coarse - low[0] * coarse, high[1] * coarse - low[1] * coarse,
                         high[2] * coarse - low[2] * coarse);
  if (diagonal_ == 0) return false;
  const int fine = power(diagonal_);
  diagonal_ = std::ldexp(diagonal_, fine);
  scale_ = std::ldexp(1.0, std::clamp(power(largest) + fine, -1021, 1021));

  const int64_t room = padded(n_);
  x_.resize(3 * n_), y_.resize(3 * n_);
  for (int axis = 0; axis < 3; ++axis) {
    const double middle = (low[axis] / 2 + high[axis] / 2) * scale_;
    xf_[axis].assign(room, INFINITY), yf_[axis].assign(room, INFINITY);
    for (int32_t i = 0; i < n_; ++i) {
      x_[3 * i + axis] = x[3 * i + axis] * scale_, y_[3 * i + axis] = y[3 * i + axis] * scale_;
      xf_[axis][i] = static_cast<float>(x_[3 * i + axis] - middle);
      yf_[axis][i] = static_cast<float>(y_[3 * i + axis] - middle);
    }
  }
  return true;
}

// Matches every row within eps of its best, `last` times the diagonal being the last eps. Returns
// false where any matching is optimal.
template <typename Real>
bool Matcher::approach(const Real* x, const Real* y, int32_t n, double last) {
  n_ = n;
  kernels_ = &kernels();
  if (n < 2 || !load(x, y)) return false;
  column_.assign(n_, kNone), row_.assign(n_, kNone);
  listed_.resize(int64_t{n_} * kList), listed_cost_.resize(int64_t{n_} * kList);
  length_.assign(n_, 0), bound_.resize(n_);
  unit_ = diagonal_ / kDiagonal, units_ = kDiagonal / diagonal_;
  table_.resize(n_ <= kTable ? padded(n_) * n_ : 0);
  entries_.reserve(n_);
  queue_.resize(n_), waiting_ = n_;
  std::iota(queue_.begin(), queue_.end(), 0);
  reduce_columns();

  last *= std::max(1.0, kSmall / n_) * diagonal_;
  double eps = first_phase(last);
  while (eps > last) {
    eps = eps / kEpsRatio < kNearLast * last ? last : eps / kEpsRatio;
    free_violators(eps);
    while (!auction(eps, int64_t{kPatience} * n_)) eps *= kEpsGrowth;
  }
  return true;
}

// Begins with each column priced for the row nearest to it; when that leaves many rows in contest,
// with a guess. Returns the eps it ends with.
double Matcher::first_phase(double last) {
  double eps = std::max(last, std::min(kNearEps * near_, kFirstEps * diagonal_));
  auction(eps, int64_t{kFirstPatience} * n_);
  if (waiting_ > kContested * n_ && guess_prices()) {
    eps = std::max(last, kGuessedEps / std::cbrt(n_) * diagonal_);
  }
  while (!auction(eps, int64_t{kPatience} * n_)) eps *= kEpsGrowth;
  return eps;
}

// Makes the matching optimal.
void Matcher::finish() {
  free_violators(0);
  for (int i = 0; i < kPassesWithoutEps; ++i) pass_without_eps();
  augment();
}

// Each column is priced so that the row nearest to it pays nothing.
void Matcher::reduce_columns() {
  const int64_t room = padded(n_);
  value_.assign(room, INFINITY), found_.assign(room + kSelectRoom, 0);
  for (int32_t row = 0; row < n_; ++row) {
    kernels_->nearer(point(row), columns(), room, row, value_.data(), found_.data(),
                     static_cast<float>(unit_), n_ <= kTable ? &table_[row * room] : nullptr);
  }
  price_.resize(n_);
  for (int32_t j = 0; j < n_; ++j) price_[j] = -cost(found_[j], j);
  near_ = -std::accumulate(price_.begin(), price_.end(), 0.0) / n_;
  take_prices();
}

// Rounds the prices to float32.
void Matcher::take_prices() {
  price32_.assign(padded(n_), INFINITY);
  highest_ = 0;
  for (int32_t j = 0; j < n_; ++j) {
    price32_[j] = static_cast<float>(price_[j]);
    highest_ = std::max(highest_, std::abs(price_[j]));
  }
}

double Matcher::cost(int32_t row, int32_t column) const {
  const double *a = &x_[3 * int64_t{row}], *b = &y_[3 * int64_t{column}];
  const double dx = a[0] - b[0], dy = a[1] - b[1], dz = a[2] - b[2];
  return std::sqrt(dx * dx + dy * dy + dz * dz);
}

}  // namespace pointcmt
