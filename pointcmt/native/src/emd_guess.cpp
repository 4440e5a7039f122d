#include <algorithm>
#include <cmath>
#include <numeric>

#include "emd.h"

namespace pointcmt {
namespace {

constexpr int32_t kGroup = 4;         // points that stand together in the smaller problem
constexpr int32_t kLeastGroups = 64;  // a problem of fewer is not worth it
constexpr double kGuessEps = 2e-3;    // of the diagonal: how well it is solved
constexpr int kBits = 10;             // of a coordinate in a place along the curve

// The bits of a coordinate in [0, 1], each followed by two zeros.
uint32_t spread(double coordinate) {
  const auto cells = static_cast<uint32_t>(coordinate * ((1 << kBits) - 1));
  uint32_t place = 0;
  for (int bit = 0; bit < kBits; ++bit) place |= (cells >> bit & 1) << 3 * bit;
  return place;
}

}  // namespace

// The middles (groups, 3) of points that follow each other along a curve that fills the box.
void Matcher::gather_groups(const std::vector<float> (&of)[3], int32_t groups,
                            std::vector<double>& middles) {
  places_.resize(n_);
  for (int32_t i = 0; i < n_; ++i) {
    uint32_t place = 0;
    for (int axis = 0; axis < 3; ++axis) {
      place |= spread(std::clamp(0.5 + of[axis][i] / 2.0, 0.0, 1.0)) << axis;
    }
    places_[i] = {place, i};
  }
  std::sort(places_.begin(), places_.end());
  middles.assign(3 * int64_t{groups}, 0);
  for (int32_t group = 0; group < groups; ++group) {
    const int64_t first = int64_t{n_} * group / groups, last = int64_t{n_} * (group + 1) / groups;
    for (int64_t i = first; i < last; ++i) {
      for (int axis = 0; axis < 3; ++axis) {
        middles[3 * group + axis] += of[axis][places_[i].second] / double(last - first);
      }
    }
  }
}

// Prices the columns as the solution of a smaller problem does, between groups of points, and frees
// all rows. Where masses must move far, prices differ by far, and bids alone take long to find out.
bool Matcher::guess_prices() {
  const int32_t groups = n_ / kGroup;
  if (groups < kLeastGroups) return false;
  gather_groups(xf_, groups, middle_x_);
  gather_groups(yf_, groups, middle_y_);
  if (!rough_) rough_ = std::make_unique<Matcher>();
  if (!rough_->approach(middle_x_.data(), middle_y_.data(), groups, kGuessEps)) return false;

  price32_.assign(padded(n_), INFINITY);
  for (int32_t i = 0; i < groups; ++i) {
    const double* at = &middle_x_[3 * int64_t{i}];
    const Point middle{float(at[0]), float(at[1]), float(at[2])};
    const int32_t column = rough_->column_[i];
    const double most = rough_->cost(i, column) + rough_->price_[column];
    kernels_->costs(middle, columns(), padded(n_), value_.data());
    kernels_->lower(value_.data(), padded(n_), float(most / rough_->scale_), i, price32_.data(),
                    found_.data());
  }
  for (int32_t j = 0; j < n_; ++j) price_[j] = -price32_[j];
  take_prices();
  column_.assign(n_, kNone), row_.assign(n_, kNone), length_.assign(n_, 0);
  std::iota(queue_.begin(), queue_.end(), 0);
  waiting_ = n_;
  return true;
}

}  // namespace pointcmt
