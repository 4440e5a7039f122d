// The state of one assignment problem, and a person's bid for an object.
//
// Persons are the points x, objects the points y. Everything decided is a 64-bit integer: a cost is
// the distance in units of 2^-40 of a length between one and two times the clouds' extent, a price
// starts at minus the least cost of its object and only rises. So `value` = cost + price is never
// negative, no sum is rounded, and no price stalls, however small the increment.
#pragma once
#include "warp.cuh"

using Real = COORDINATE;  // float or double, the dtype of the clouds

constexpr int kListed = 32;                // candidates a person keeps, one a lane
constexpr int kAhead = 8;                  // groups of 32 objects that a pass values at once
constexpr double kUnit = 1099511627776.0;  // 2^40 units of cost in one unit of scaled length
constexpr u64 kFirstWidth = 1ull << 36;

// Three tiers of memory, by how often a round touches them. SHARED_TIERS says how many of the
// first two lie in shared memory; the rest lies in the workspace. Distances are taken between
// coordinates scaled by a power of two, which changes no digit of them.
struct Problem {
  int n;

  // hot
  Span<i64> price;  // [n]
  Span<u64> slot;   // [n] the best bid for an object, newest round first
  Span<Real> y;     // [n * 3] objects, scaled
  // warm
  Span<u64> rise;      // [n] by place in the queue: how far the bid raises the price
  Span<int> object;    // [n] by place in the queue: the object bid for
  Span<int> owner;     // [n] the person an object is assigned to, or -1
  Span<int> assigned;  // [n] the object of a person, or -1
  Span<int> queue;     // [2 * n] the persons without an object, this round's and the next
  // cold
  Span<u64> bound;  // [n] no object outside the list has a value below this
  Span<u64> width;  // [n] how far above the least value the list last reached
  Span<u64> slack;  // [n] how far a person's value lies above the least, in the settlement
  Span<int> list;   // [n * kListed] candidates, -1 where there are fewer
  Span<Real> cost;  // [n * kListed] their scaled distances
  Span<Real> x;     // [n * 3] persons, scaled
};

struct Bid {
  int object;
  u64 rise;
};

template <class R>
__device__ inline R distance(R ax, R ay, R az, R bx, R by, R bz) {
  const R dx = ax - bx, dy = ay - by, dz = az - bz;
  return sqrt(dx * dx + dy * dy + dz * dz);
}

__device__ inline i64 units(float distance) {
  return __float2ll_rn(distance * static_cast<float>(kUnit));
}
__device__ inline i64 units(double distance) { return __double2ll_rn(distance * kUnit); }

// The scaled distances of one person to objects.
struct Person {
  Real x, y, z;

  __device__ Person(const Problem& at, int person)
      : x(at.x[person * 3ll]), y(at.x[person * 3ll + 1]), z(at.x[person * 3ll + 2]) {}

  __device__ Real to(const Problem& at, int object) const {
    const i64 o = object * 3ll;
    return distance<Real>(x, y, z, at.y[o], at.y[o + 1], at.y[o + 2]);
  }
};

__device__ inline u64 value_of(const Problem& at, Real cost, int object) {
  return static_cast<u64>(units(cost) + at.price[object]);
}

// What one pass over all objects found for a list that reaches up to `ceiling`.
struct Scan {
  int count;
  u64 least;
};

// Lists the first 32 objects whose value is at most `ceiling`. Each person starts the pass at its
// own object, so that persons who see only ties do not all want the same one. A warp values several
// groups of 32 before it lists any: alone on its multiprocessor it would wait for each in turn.
__device__ inline Scan scan(const Problem& at, int i, u64 ceiling) {
  const int lane = lane_of_thread();
  const Person person(at, i);
  Scan seen{0, kNever};
  for (int base = 0; base < at.n; base += kWarp * kAhead) {
    int turned[kAhead];
    Real cost[kAhead];
    u64 value[kAhead];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int place = base + a * kWarp + lane;
      const bool here = place < at.n;
      turned[a] = place < at.n - i ? place + i : place + i - at.n;
      cost[a] = here ? person.to(at, turned[a]) : Real(0);
      value[a] = here ? value_of(at, cost[a], turned[a]) : kNever;
    }
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const bool listed = value[a] <= ceiling && value[a] != kNever;
      const u32 mask = __ballot_sync(kAllLanes, listed);
      const int place = seen.count + __popc(mask & lanes_below(lane));
      if (listed && place < kListed) {
        at.list[static_cast<i64>(i) * kListed + place] = turned[a];
        at.cost[static_cast<i64>(i) * kListed + place] = cost[a];
      }
      seen.least = value[a] < seen.least ? value[a] : seen.least;
      seen.count += __popc(mask);
    }
  }
  seen.least = warp_min(seen.least);
  return seen;
}

// Lists a person's best objects anew, trying ceilings until at least 1 and at most 32 lie below.
// More than 32 exact ties of the least value are cut off, with a bound that allows for the others.
// Returns how many passes that took.
__device__ inline int relist(const Problem& at, int i, u64 eps) {
  const int lane = lane_of_thread();
  u64 floor = at.bound[i];
  u64 width = at.width[i];
  Scan seen;
  int passes = 0;
  for (;;) {
    __syncwarp();
    ++passes;
    seen = scan(at, i, floor + width);
    const bool ties = seen.count > kListed && width == 0 && floor == seen.least;
    if (ties || (seen.count > 0 && seen.count <= kListed)) break;
    if (seen.count > kListed) width /= 4;
    floor = seen.least;
  }
  if (lane >= seen.count) at.list[static_cast<i64>(i) * kListed + lane] = -1;
  if (lane == 0) {
    at.bound[i] = seen.count >= at.n ? kNever : floor + width;
    if (seen.count < kListed / 4) width = 2 * width + eps;
    if (seen.count > kListed * 3 / 4) width -= width / 4;
    at.width[i] = width;
  }
  __syncwarp();
  return passes;
}

// The value of the candidate of this lane, and the least over the list.
struct Candidate {
  int object;
  u64 value;
};

__device__ inline Candidate candidate(const Problem& at, int i) {
  const i64 place = static_cast<i64>(i) * kListed + lane_of_thread();
  const int object = at.list[place];
  return {object, object < 0 ? kNever : value_of(at, at.cost[place], object)};
}

// The object of least value, and a rise of its price after which it is still within eps of the
// best: what separates it from the second best, or from any object that is not listed, plus eps.
__device__ inline Bid bid(const Problem& at, int i, u64 eps, int* scans) {
  Candidate mine = candidate(at, i);
  u64 best = warp_min(mine.value);
  u64 bound = at.bound[i];
  if (best > bound) {
    *scans += relist(at, i, eps);
    mine = candidate(at, i);
    best = warp_min(mine.value);
    bound = at.bound[i];
  }
  const int leader = __ffs(static_cast<int>(__ballot_sync(kAllLanes, mine.value == best))) - 1;
  u64 second = warp_min(lane_of_thread() == leader ? kNever : mine.value);
  second = bound < second ? bound : second;
  if (second == kNever) second = best;  // a single object
  return {__shfl_sync(kAllLanes, mine.object, leader), second - best + eps};
}
