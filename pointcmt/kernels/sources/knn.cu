// k nearest neighbours in any number of dimensions. A block serves 4 queries a warp. Points pass
// through shared memory in tiles of 32, transposed; a lane computes one point's distance to the
// warp's 4 queries, summing the coordinates in turn, and the keys that beat a query's k-th are put
// into its sorted list. The list of up to 32 lies in the lanes' registers, a longer one in shared
// memory (LISTS 1) or, for a large k, in global memory (LISTS 2).
#include "warp.cuh"

constexpr int kQueries = 4;        // of a warp
constexpr int kChannels = 32;      // of a tile
constexpr int kPitch = kWarp + 1;  // keeps a column of the tile in 32 banks
constexpr int kFours = kChannels / 4;

// Four channels of a query, which a warp reads at once.
struct alignas(16) Four {
  float value[4];
};

#if LISTS == 0

// The 32 least keys so far, one a lane, sorted; of them the first k count.
struct List {
  u64 held = kNever;

  __device__ u64 last(int k) const { return __shfl_sync(kAllLanes, held, k - 1); }

  __device__ void put(int /*k*/, u64 key) {
    const int lane = lane_of_thread();
    const u64 before = __shfl_sync(kAllLanes, held, (lane + kWarp - 1) % kWarp);
    if (held > key) held = lane > 0 && before > key ? before : key;
  }

  __device__ void write(Span<i64> out, i64 start, int k) const {
    if (lane_of_thread() < k) out[start + lane_of_thread()] = key_index(held);
  }
};

#else

struct List {
  Span<u64> keys;

  __device__ u64 last(int k) const { return keys[k - 1]; }

  // Drops the last. Chunks are moved from the back, each read by the whole warp before any lane
  // writes.
  __device__ void put(int k, u64 key) {
    const int lane = lane_of_thread();
    for (int chunk = (k - 1) / kWarp * kWarp; chunk >= 0; chunk -= kWarp) {
      const int slot = chunk + lane;
      u64 here = kNever, before = 0;
      if (slot < k) here = keys[slot];
      if (slot < k && slot > 0) before = keys[slot - 1];
      __syncwarp();
      if (slot < k && here > key) keys[slot] = slot > 0 && before > key ? before : key;
      __syncwarp();
    }
  }

  __device__ void write(Span<i64> out, i64 start, int k) const {
    for (int slot = lane_of_thread(); slot < k; slot += kWarp) {
      out[start + slot] = key_index(keys[slot]);
    }
  }
};

#endif

// Puts the key of each lane into the list if it belongs there.
__device__ inline void put_all(List& list, int k, u64 key) {
  u32 waiting = __ballot_sync(kAllLanes, key < list.last(k));
  while (waiting != 0) {
    list.put(k, __shfl_sync(kAllLanes, key, __ffs(static_cast<int>(waiting)) - 1));
    waiting &= waiting - 1;
    waiting &= __ballot_sync(kAllLanes, key < list.last(k));
  }
}

struct Tile {
  Span<float> points;  // [kChannels][kPitch]
  Span<Four> queries;  // [warps * kQueries][kFours]

  // Loads the channels [channel, channel + kChannels) of 32 points and of the block's queries; what
  // lies beyond the last point, query or channel is 0, which adds nothing to a distance.
  __device__ void load(Span<const float> cloud, int n, int base, Span<const float> asked, int m,
                       int first_query, int channels, int channel) {
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    const int lane = lane_of_thread();
    const int c = channel + lane;
    for (int p = warp_of_thread(); p < kWarp; p += warps) {
      const bool here = base + p < n && c < channels;
      points[lane * kPitch + p] = here ? cloud[(base + static_cast<i64>(p)) * channels + c] : 0;
    }
    for (int i = static_cast<int>(threadIdx.x); i < warps * kQueries * kFours;
         i += static_cast<int>(blockDim.x)) {
      const i64 q = first_query + i / kFours;
      const int from = channel + i % kFours * 4;
      Four four;
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        four.value[j] = q < m && from + j < channels ? asked[q * channels + from + j] : 0;
      }
      queries[i] = four;
    }
  }
};

extern "C" __global__ void __launch_bounds__(256, 3)
    knn(const float* query, const float* xyz, i64* found, u64* workspace, int n, int m,
        int channels, int k) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  const int lane = lane_of_thread();
  const int blocks_a_cloud = (m + warps * kQueries - 1) / (warps * kQueries);
  const i64 cloud = blockIdx.x / blocks_a_cloud;
  const int first = static_cast<int>(blockIdx.x % blocks_a_cloud) * warps * kQueries;
  const int mine = first + warp_of_thread() * kQueries;
  Span<const float> asked(query + cloud * m * channels, static_cast<i64>(m) * channels);
  Span<const float> points(xyz + cloud * n * channels, static_cast<i64>(n) * channels);
  Span<i64> out(found + cloud * m * k, static_cast<i64>(m) * k);

  Pool shared{dynamic_shared()};
  List list[kQueries];
#if LISTS != 0
  const i64 lists_size = static_cast<i64>(kQueries) * k;
#if LISTS == 1
  Span<u64> block_lists = shared.take<u64>(warps * lists_size);
  Pool lists{reinterpret_cast<unsigned char*>(block_lists.data + warp_of_thread() * lists_size)};
#else
  const i64 warp = static_cast<i64>(blockIdx.x) * warps + warp_of_thread();
  Pool lists{reinterpret_cast<unsigned char*>(workspace + warp * lists_size)};
#endif
#pragma unroll
  for (int q = 0; q < kQueries; ++q) {
    list[q].keys = lists.take<u64>(k);
    for (int slot = lane; slot < k; slot += kWarp) list[q].keys[slot] = kNever;
  }
#endif
  Tile tile{shared.take<float>(kChannels * kPitch), shared.take<Four>(warps * kQueries * kFours)};

  for (int base = 0; base < n; base += kWarp) {
    float sum[kQueries] = {};
    for (int channel = 0; channel < channels; channel += kChannels) {
      __syncthreads();
      tile.load(points, n, base, asked, m, first, channels, channel);
      __syncthreads();
      const int count = channels - channel < kChannels ? channels - channel : kChannels;
      for (int c = 0; c < count; c += 4) {
        float value[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) value[j] = tile.points[(c + j) * kPitch + lane];
#pragma unroll
        for (int q = 0; q < kQueries; ++q) {
          const Four four = tile.queries[(warp_of_thread() * kQueries + q) * kFours + c / 4];
#pragma unroll
          for (int j = 0; j < 4; ++j) {
            const float d = four.value[j] - value[j];
            sum[q] += d * d;
          }
        }
      }
    }
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
      if (mine + q >= m) break;
      put_all(list[q], k, base + lane < n ? distance_key(sum[q], base + lane) : kNever);
    }
  }

#pragma unroll
  for (int q = 0; q < kQueries; ++q) {
    if (mine + q < m) list[q].write(out, (mine + static_cast<i64>(q)) * k, k);
  }
}
