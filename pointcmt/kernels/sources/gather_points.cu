// Coordinates of the points that indices name (INDEXED), or of all points in turn, as rows of three:
// what the other kernels read. A thread copies one number.
#include "device.cuh"

extern "C" __global__ void __launch_bounds__(256)
    gather_points(const float* cloud,
#if INDEXED
                  const i64* index,
#endif
                  float* xyz, i64 rows, int n, int m, int channels) {
  const i64 number = static_cast<i64>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (number >= rows * 3) return;
  const i64 row = number / 3;
  const i64 batch = row / m;
  Span<const float> points(cloud + batch * n * channels, static_cast<i64>(n) * channels);
  Span<float> out(xyz, rows * 3);
#if INDEXED
  const i64 point = Span<const i64>(index, rows)[row];
#else
  const i64 point = row - batch * m;
#endif
  out[number] = points[point * channels + number % 3];
}
