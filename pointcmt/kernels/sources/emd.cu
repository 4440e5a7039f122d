// Earth mover's distance: one block a pair of clouds solves the assignment problem by an auction
// with eps-scaling (Bertsekas). In a round every person without an object bids at the prices of the
// round's start, and each object goes to its best bidder, so the result depends on no schedule.
// Between phases eps falls, and only the pairs that violate eps-complementary slackness are
// dissolved. Prices are dual variables: when the gap to their bound is small enough, it is done.
#include "matching.cuh"

constexpr int kMaxWarps = 32;
constexpr u64 kFirstEps = 1ull << 33;  // 1/64 to 1/32 of the extent
constexpr u64 kMostPersons = 1ull << 20;
constexpr u32 kMostRounds = (1u << 24) - 1;  // before the slots must be emptied

// What the block shares beside the problem.
struct Board {
  Span<double> part;  // [kMaxWarps]
  Span<u64> total;    // [2] cost and slack of the settlement
  Span<int> waiting;  // [2] the length of each half of the queue
  Span<int> scans;    // [1]
};

struct Work {
  i64 phases, bids, rounds;
};

// A bid as a number: a newer round beats an older, a larger rise a smaller (to 12 bits, which
// settles who wins, not what is paid), a lower person a higher.
__device__ inline u64 bid_key(u32 round, u64 rise, int person) {
  const u64 coarse = __float_as_uint(__ull2float_rn(rise)) >> 11;
  return static_cast<u64>(round) << 40 | coarse << 20 | (kMostPersons - 1 - person);
}

// The sum, or the largest, of one number a thread, the same on every thread.
template <class Combine>
__device__ inline double block_reduce(double value, const Board& board, Combine combine) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value = combine(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  if (lane_of_thread() == 0) board.part[warp_of_thread()] = value;
  __syncthreads();
  double all = board.part[0];
  for (int w = 1; w < static_cast<int>(blockDim.x) / kWarp; ++w) all = combine(all, board.part[w]);
  __syncthreads();
  return all;
}

__device__ inline double larger(double a, double b) { return a > b ? a : b; }
__device__ inline double added(double a, double b) { return a + b; }

// The two clouds of a pair as they were given.
struct Clouds {
  Span<const Real> x, y;  // [n * 3]
  int n;
};

// The exponent that scales the clouds' largest extent into [1/4, 1/2), so that every distance is
// below 1; zero if all points coincide. `finite` is false where a coordinate is not.
__device__ inline int scaling(const Clouds& given, const Board& board, bool* finite) {
  double extent = 0.0;
  double broken = 0.0;
  for (int axis = 0; axis < 3; ++axis) {
    double high = -1e308, low = 1e308;
    for (int i = threadIdx.x; i < given.n; i += blockDim.x) {
      const double a = given.x[i * 3ll + axis], b = given.y[i * 3ll + axis];
      if (!isfinite(a) || !isfinite(b)) broken = 1.0;
      high = larger(high, larger(a, b));
      low = -larger(-low, larger(-a, -b));
    }
    high = block_reduce(high, board, larger);
    low = -block_reduce(-low, board, larger);
    extent = larger(extent, high - low);
  }
  *finite = block_reduce(broken, board, larger) == 0.0 && isfinite(extent);
  return extent > 0.0 ? -ilogb(extent) - 2 : 0;
}

__device__ inline float scaled(float value, int exponent) { return ldexpf(value, exponent); }
__device__ inline double scaled(double value, int exponent) { return ldexp(value, exponent); }

// Scales the clouds, sets each price to minus the least cost of its object, and lists every
// person's best objects.
__device__ inline void begin(const Problem& at, const Clouds& given, const Board& board,
                             int exponent, u64 eps) {
  const int threads = static_cast<int>(blockDim.x);
  for (i64 i = threadIdx.x; i < at.n * 3ll; i += threads) {
    at.x[i] = scaled(given.x[i], exponent);
    at.y[i] = scaled(given.y[i], exponent);
  }
  __syncthreads();
  for (int j = threadIdx.x; j < at.n; j += threads) {
    Real least = Real(1);
    for (int i = 0; i < at.n; ++i) least = fmin(least, Person(at, i).to(at, j));
    at.price[j] = -units(least);
    at.slot[j] = 0;
    at.owner[j] = -1;
    at.assigned[j] = -1;
  }
  __syncthreads();
  int scans = 0;
  u64 width = kFirstWidth;  // what fits one person is the first guess for the next of the warp
  for (int i = warp_of_thread(); i < at.n; i += threads / kWarp) {
    if (lane_of_thread() == 0) {
      at.bound[i] = 0;
      at.width[i] = width;
    }
    __syncwarp();
    scans += relist(at, i, eps);
    width = at.width[i];
  }
  if (lane_of_thread() == 0) atomic_add(board.scans, 0, scans);
}

// Rounds until everyone has an object. Two barriers a round: bids, then awards.
__device__ inline void auction(const Problem& at, const Board& board, u64 eps, u32* round,
                               Work* work) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int half = 0;; half = 1 - half) {
    const int waiting = board.waiting[half];
    if (waiting == 0) return;
    if (*round == kMostRounds) {
      for (int j = threadIdx.x; j < at.n; j += blockDim.x) at.slot[j] = 0;
      *round = 0;
      __syncthreads();
    }
    ++*round;
    ++work->rounds;
    work->bids += waiting;
    if (threadIdx.x == 0) board.waiting[1 - half] = 0;
    int scans = 0;
    for (int place = warp_of_thread(); place < waiting; place += warps) {
      const int person = at.queue[half * at.n + place];
      const Bid made = bid(at, person, eps, &scans);
      if (lane_of_thread() == 0) {
        at.object[place] = made.object;
        at.rise[place] = made.rise;
        atomic_max(at.slot, made.object, bid_key(*round, made.rise, person));
      }
    }
    if (lane_of_thread() == 0 && scans > 0) atomic_add(board.scans, 0, scans);
    __syncthreads();
    for (int place = threadIdx.x; place < waiting; place += blockDim.x) {
      const int person = at.queue[half * at.n + place];
      const int object = at.object[place];
      const u64 rise = at.rise[place];
      int next = person;
      if (at.slot[object] == bid_key(*round, rise, person)) {
        next = at.owner[object];
        if (next >= 0) at.assigned[next] = -1;
        at.owner[object] = person;
        at.assigned[person] = object;
        at.price[object] = at.price[object] + static_cast<i64>(rise);
      }
      if (next >= 0) at.queue[(1 - half) * at.n + atomic_add(board.waiting, 1 - half, 1)] = next;
    }
    __syncthreads();
  }
}

// Adds up what the assignment costs and, over the persons, how far each value lies above the least
// it could be: the second is the gap between the assignment and the bound that the prices prove.
// With `whole` the least values come from all objects, else from the lists and their bounds.
__device__ inline void settle(const Problem& at, const Board& board, bool whole) {
  const int lane = lane_of_thread();
  __syncthreads();  // the last settlement may still be read
  if (threadIdx.x < 2) board.total[threadIdx.x] = 0;
  __syncthreads();
  for (int i = warp_of_thread(); i < at.n; i += static_cast<int>(blockDim.x) / kWarp) {
    const Person person(at, i);
    const int own = at.assigned[i];
    const i64 cost = units(person.to(at, own));
    u64 least = at.bound[i];
    if (whole) {
      least = kNever;
      for (int j = lane; j < at.n; j += kWarp) {
        const u64 value = value_of(at, person.to(at, j), j);
        least = value < least ? value : least;
      }
    } else {
      const u64 value = candidate(at, i).value;
      least = value < least ? value : least;
    }
    least = warp_min(least);
    if (lane == 0) {
      at.slack[i] = static_cast<u64>(cost + at.price[own]) - least;
      atomic_add(board.total, 0, static_cast<u64>(cost));
      atomic_add(board.total, 1, static_cast<u64>(at.slack[i]));
    }
  }
  __syncthreads();
}

// Dissolves the pairs whose slack exceeds eps and queues their persons.
__device__ inline void dissolve(const Problem& at, const Board& board, u64 eps) {
  if (threadIdx.x == 0) board.waiting[0] = 0;
  __syncthreads();
  for (int i = threadIdx.x; i < at.n; i += blockDim.x) {
    const int own = at.assigned[i];
    if (own >= 0 && at.slack[i] <= eps) continue;
    if (own >= 0) at.owner[own] = -1;
    at.assigned[i] = -1;
    at.queue[atomic_add(board.waiting, 0, 1)] = i;
  }
  __syncthreads();
}

// The eps of the next phase: a fifth, or the one at which the tolerance is expected to be met.
__device__ inline u64 next_eps(u64 eps, double cost, double tolerance, int n) {
  const double target = 1.3 * tolerance * cost / n;
  double next = static_cast<double>(eps) / 5.0;
  if (next < 1.6 * target) next = fmin(target, static_cast<double>(eps) / 2.0);
  return next > 1.0 ? static_cast<u64>(next) : 1;
}

// The cost of the assignment in the unit of the coordinates, in float64.
__device__ inline double true_cost(const Problem& at, const Clouds& given, const Board& board) {
  double cost = 0.0;
  for (int i = threadIdx.x; i < at.n; i += blockDim.x) {
    const i64 a = i * 3ll, b = at.assigned[i] * 3ll;
    cost += distance<double>(given.x[a], given.x[a + 1], given.x[a + 2], given.y[b], given.y[b + 1],
                             given.y[b + 2]);
  }
  return block_reduce(cost, board, added);
}

// A lower bound of the optimum over exact distances, from the integer bound: each cost was rounded
// to a unit (at most half of one) after Real arithmetic (a relative error below kRounding).
__device__ inline double true_bound(i64 bound, int n, int exponent) {
  constexpr double kRounding = sizeof(Real) == 4 ? 4e-7 : 1e-15;
  const double least = (static_cast<double>(bound) - 0.5 * n) * (1.0 - kRounding) / kUnit;
  return least > 0.0 ? ldexp(least, -exponent) : 0.0;
}

// Lays the arrays out in the order in which pointcmt/ops/cuda/matching.py counts their bytes.
__device__ inline Problem lay_out(Pool& shared, Pool& global, int n) {
  Problem at;
  at.n = n;
#if SHARED_TIERS >= 1
  Pool& hot = shared;
#else
  Pool& hot = global;
#endif
#if SHARED_TIERS >= 2
  Pool& warm = shared;
#else
  Pool& warm = global;
#endif
  at.price = hot.take<i64>(n);
  at.slot = hot.take<u64>(n);
  at.y = hot.take<Real>(3ll * n);
  at.rise = warm.take<u64>(n);
  at.object = warm.take<int>(n);
  at.owner = warm.take<int>(n);
  at.assigned = warm.take<int>(n);
  at.queue = warm.take<int>(2ll * n);
  at.bound = global.take<u64>(n);
  at.width = global.take<u64>(n);
  at.slack = global.take<u64>(n);
  at.list = global.take<int>(static_cast<i64>(kListed) * n);
  at.cost = global.take<Real>(static_cast<i64>(kListed) * n);
  at.x = global.take<Real>(3ll * n);
  return at;
}

// Phases of falling eps until the gap is within the tolerance of the bound, or eps is one unit.
__device__ inline Work solve(const Problem& at, const Board& board, u64 eps, double tolerance) {
  Work work{0, 0, 0};
  u32 round = 0;
  for (;; ++work.phases) {
    dissolve(at, board, eps);
    auction(at, board, eps, &round, &work);
    settle(at, board, false);
    const double cost = static_cast<double>(static_cast<u64>(board.total[0]));
    const double gap = static_cast<double>(static_cast<u64>(board.total[1]));
    if (gap <= 0.99 * tolerance * (cost - gap) || eps == 1) return work;
    eps = next_eps(eps, cost, tolerance, at.n);
  }
}

// match: [pairs, n] the object of each person. report: [pairs, 2] the cost of the matching and a
// lower bound of the least cost. work: [pairs, 4] phases, rounds, bids, passes of a person
// over all objects. A pair with
// a coordinate that is not finite gets the identity and a report of NaN.
extern "C" __global__ void __launch_bounds__(512, 1)
    emd(const Real* x, const Real* y, i64* match, double* report, i64* work,
        unsigned char* workspace, i64 workspace_stride, int n, float tolerance) {
  const i64 pair = blockIdx.x;
  const Clouds given{Span<const Real>(x + pair * n * 3, n * 3ll),
                     Span<const Real>(y + pair * n * 3, n * 3ll), n};
  Pool shared{dynamic_shared()}, global{workspace + pair * workspace_stride};
  const Board board{shared.take<double>(kMaxWarps), shared.take<u64>(2), shared.take<int>(2),
                    shared.take<int>(1)};
  const Problem at = lay_out(shared, global, n);
  Span<i64> matched(match + pair * n, n), counts(work + pair * 4, 4);
  Span<double> proof(report + pair * 2, 2);

  bool finite;
  const int exponent = scaling(given, board, &finite);
  Work done{0, 0, 0};
  double cost = nan(""), bound = nan("");
  if (threadIdx.x == 0) board.scans[0] = 0;
  if (finite) {
    begin(at, given, board, exponent, kFirstEps);
    done = solve(at, board, kFirstEps, tolerance);
    settle(at, board, true);
    cost = true_cost(at, given, board);
    const u64 least = board.total[0] - board.total[1];
    bound = true_bound(static_cast<i64>(least), n, exponent);
  }
  for (int i = threadIdx.x; i < n; i += blockDim.x) matched[i] = finite ? at.assigned[i] : i;
  if (threadIdx.x == 0) {
    proof[0] = cost;
    proof[1] = bound;
    counts[0] = done.phases;
    counts[1] = done.rounds;
    counts[2] = done.bids;
    counts[3] = board.scans[0];
  }
}
