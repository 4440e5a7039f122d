// k nearest neighbours in any number of dimensions. A block serves 4 queries a warp. Points pass
// through shared memory in tiles of 32, transposed; a lane computes one point's distance to the
// warp's 4 queries, summing the coordinates in turn, and the keys that beat a query's k-th are put
// into its sorted list, which lies in shared memory (LISTS_SHARED) or, for a large k, in global.
#include "warp.cuh"

constexpr int kQueries = 4;        // of a warp
constexpr int kChannels = 32;      // of a tile
constexpr int kPitch = kWarp + 1;  // keeps a column of the tile in 32 banks

// Puts `key` into a sorted list of the k least, dropping its last. Chunks are moved from the back,
// each read by the whole warp before any lane writes.
__device__ inline void put(Span<u64> list, int k, u64 key) {
  const int lane = lane_of_thread();
  for (int chunk = (k - 1) / kWarp * kWarp; chunk >= 0; chunk -= kWarp) {
    const int slot = chunk + lane;
    u64 here = kNever, before = 0;
    if (slot < k) here = list[slot];
    if (slot < k && slot > 0) before = list[slot - 1];
    __syncwarp();
    if (slot < k && here > key) list[slot] = slot > 0 && before > key ? before : key;
    __syncwarp();
  }
}

// Puts the key of each lane into the list if it belongs there.
__device__ inline void put_all(Span<u64> list, int k, u64 key) {
  u32 waiting = __ballot_sync(kAllLanes, key < list[k - 1]);
  while (waiting != 0) {
    put(list, k, __shfl_sync(kAllLanes, key, __ffs(static_cast<int>(waiting)) - 1));
    waiting &= waiting - 1;
    waiting &= __ballot_sync(kAllLanes, key < list[k - 1]);
  }
}

struct Tile {
  Span<float> points;   // [kChannels][kPitch]
  Span<float> queries;  // [warps * kQueries][kChannels]

  // Loads the channels [channel, channel + kChannels) of 32 points and of the block's queries;
  // what lies beyond the last point, query or channel is left as it was and is never read.
  __device__ void load(Span<const float> cloud, int n, int base, Span<const float> asked, int m,
                       int first_query, int channels, int channel) {
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    const int c = channel + lane_of_thread();
    for (int p = warp_of_thread(); p < kWarp; p += warps) {
      if (base + p < n && c < channels) {
        points[lane_of_thread() * kPitch + p] = cloud[(base + static_cast<i64>(p)) * channels + c];
      }
    }
    for (int q = warp_of_thread(); q < warps * kQueries; q += warps) {
      if (first_query + q < m && c < channels) {
        queries[q * kChannels + lane_of_thread()] =
            asked[(first_query + static_cast<i64>(q)) * channels + c];
      }
    }
  }
};

extern "C" __global__ void __launch_bounds__(256, 2)
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
  const i64 lists_size = static_cast<i64>(kQueries) * k;
#if LISTS_SHARED
  Span<u64> block_lists = shared.take<u64>(warps * lists_size);
  Pool lists{reinterpret_cast<unsigned char*>(block_lists.data + warp_of_thread() * lists_size)};
#else
  const i64 warp = static_cast<i64>(blockIdx.x) * warps + warp_of_thread();
  Pool lists{reinterpret_cast<unsigned char*>(workspace + warp * lists_size)};
#endif
  Span<u64> list[kQueries] = {lists.take<u64>(k), lists.take<u64>(k), lists.take<u64>(k),
                              lists.take<u64>(k)};
  Tile tile{shared.take<float>(kChannels * kPitch),
            shared.take<float>(static_cast<i64>(warps) * kQueries * kChannels)};

#pragma unroll
  for (int q = 0; q < kQueries; ++q) {
    for (int slot = lane; slot < k; slot += kWarp) list[q][slot] = kNever;
  }

  for (int base = 0; base < n; base += kWarp) {
    float sum[kQueries] = {};
    for (int channel = 0; channel < channels; channel += kChannels) {
      __syncthreads();
      tile.load(points, n, base, asked, m, first, channels, channel);
      __syncthreads();
      const int count = channels - channel < kChannels ? channels - channel : kChannels;
      for (int c = 0; base + lane < n && c < count; ++c) {
        const float value = tile.points[c * kPitch + lane];
#pragma unroll
        for (int q = 0; q < kQueries; ++q) {
          if (mine + q >= m) break;
          const float d = tile.queries[(mine - first + q) * kChannels + c] - value;
          sum[q] += d * d;
        }
      }
    }
#pragma unroll
    for (int q = 0; q < kQueries && mine + q < m; ++q) {
      put_all(list[q], k, base + lane < n ? distance_key(sum[q], base + lane) : kNever);
    }
  }

#pragma unroll
  for (int q = 0; q < kQueries && mine + q < m; ++q) {
    for (int slot = lane; slot < k; slot += kWarp) {
      out[(mine + static_cast<i64>(q)) * k + slot] = key_index(list[q][slot]);
    }
  }
}
