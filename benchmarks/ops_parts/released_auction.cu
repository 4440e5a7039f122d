// The auction that the released code of PointCMT runs for its EMD, written anew from its
// description as a baseline: a fixed eps and a fixed number of rounds, each of seven launches over
// the whole batch, without an early exit. A block serves one pair.
#include "warp.cuh"

extern "C" __global__ void __launch_bounds__(256) clear(u64* best, int* count, int n) {
  Span<u64> bests(best + static_cast<i64>(blockIdx.x) * n, n);
  Span<int> counts(count + static_cast<i64>(blockIdx.x), 1);
  for (int j = threadIdx.x; j < n; j += blockDim.x) bests[j] = 0;
  if (threadIdx.x == 0) counts[0] = 0;
}

// Marks the persons without an object.
extern "C" __global__ void __launch_bounds__(256) mark(int* assigned, int* place, int n) {
  Span<int> own(assigned + static_cast<i64>(blockIdx.x) * n, n);
  Span<int> places(place + static_cast<i64>(blockIdx.x) * n, n);
  for (int i = threadIdx.x; i < n; i += blockDim.x) places[i] = own[i] < 0 ? 1 : 0;
}

// Turns the marks into each person's place among the marked.
extern "C" __global__ void __launch_bounds__(32) sum(int* place, int* count, int n) {
  Span<int> places(place + static_cast<i64>(blockIdx.x) * n, n);
  Span<int> counts(count + static_cast<i64>(blockIdx.x), 1);
  const int lane = lane_of_thread();
  int before = 0;
  for (int base = 0; base < n; base += kWarp) {
    const bool marked = base + lane < n && places[base + lane] == 1;
    const u32 mask = __ballot_sync(kAllLanes, marked);
    if (base + lane < n) {
      places[base + lane] = marked ? before + __popc(mask & lanes_below(lane)) : -1;
    }
    before += __popc(mask);
  }
  if (lane == 0) counts[0] = before;
}

// Lists the marked.
extern "C" __global__ void __launch_bounds__(256) list(int* place, int* waiting, int n) {
  Span<int> places(place + static_cast<i64>(blockIdx.x) * n, n);
  Span<int> listed(waiting + static_cast<i64>(blockIdx.x) * n, n);
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    if (places[i] >= 0) listed[places[i]] = i;
  }
}

// Each listed person bids for the object of least distance + price, a thread a person.
extern "C" __global__ void __launch_bounds__(256)
    bid(const float* x, const float* y, float* price, int* waiting, int* count, int* object,
        float* rise, u64* best, int n, float eps) {
  const i64 pair = blockIdx.x;
  Span<const float> persons(x + pair * n * 3, n * 3ll), objects(y + pair * n * 3, n * 3ll);
  Span<float> prices(price + pair * n, n), rises(rise + pair * n, n);
  Span<int> listed(waiting + pair * n, n), counts(count + pair, 1), wanted(object + pair * n, n);
  Span<u64> bests(best + pair * n, n);
  for (int place = threadIdx.x; place < counts[0]; place += blockDim.x) {
    const int i = listed[place];
    float first = 1e30f, second = 1e30f;
    int choice = 0;
    for (int j = 0; j < n; ++j) {
      const float value = sqrtf(squared_distance(persons, i * 3ll, objects, j * 3ll)) + prices[j];
      if (value < first) {
        second = first, first = value, choice = j;
      } else if (value < second) {
        second = value;
      }
    }
    wanted[i] = choice;
    rises[i] = second - first + eps;
    atomic_max(bests, choice, distance_key(second - first + eps, n - 1 - i));
  }
}

// Remembers each object's best bidder.
extern "C" __global__ void __launch_bounds__(256) choose(u64* best, int* bidder, int n) {
  Span<u64> bests(best + static_cast<i64>(blockIdx.x) * n, n);
  Span<int> bidders(bidder + static_cast<i64>(blockIdx.x) * n, n);
  for (int j = threadIdx.x; j < n; j += blockDim.x) {
    const u64 key = bests[j];
    bidders[j] = key == 0 ? -1 : n - 1 - static_cast<int>(key_index(key));
  }
}

// Awards the objects and raises their prices.
extern "C" __global__ void __launch_bounds__(256)
    award(int* bidder, float* rise, float* price, int* owner, int* assigned, int n) {
  const i64 pair = blockIdx.x;
  Span<int> bidders(bidder + pair * n, n), owners(owner + pair * n, n), own(assigned + pair * n, n);
  Span<float> rises(rise + pair * n, n), prices(price + pair * n, n);
  for (int j = threadIdx.x; j < n; j += blockDim.x) {
    const int i = bidders[j];
    if (i < 0) continue;
    if (owners[j] >= 0) own[owners[j]] = -1;
    owners[j] = i;
    own[i] = j;
    prices[j] = prices[j] + rises[i];
  }
}
