#include <cmath>

#include "core/base/check.h"
#include "core/device/cuda.cuh"
#include "ops/attention/attention_kernels.h"

namespace hearth::cuda {
namespace {

constexpr int kMaxPairs = 256, kDimThreads = 32, kHeadThreads = 8;

struct Turn {
  const float* x;
  int64_t row_stride, head_stride;
  const int32_t* pos;
  const float* factors;  // or null
  float* y;
  int heads, head_dim, rotary_dim;
  bool interleaved;
  float position_scale;
  float frequency[kMaxPairs];
};
static_assert(sizeof(Turn) <= 4096, "kernel parameters of every architecture hold it");

// As on the CPU: 1 / base^(2i/dim) step by step in float32. On the host, so that both devices turn by the same angles.
void fill_frequencies(const RopeArgs& args, float* frequency) {
  for (int i = 0; i < args.rotary_dim / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(args.rotary_dim);
    frequency[i] = 1.0f / std::pow(args.base, exponent);
  }
}

// A block turns one row: first the angles, once, in double as on the CPU; then x walks the dims and y the heads.
__global__ void __launch_bounds__(kDimThreads* kHeadThreads) rope_kernel(const __grid_constant__ Turn t) {
  __shared__ float cosine[kMaxPairs], sine[kMaxPairs];
  int64_t row = blockIdx.x;
  int pairs = t.rotary_dim / 2;
  float position = static_cast<float>(t.pos[row]) * t.position_scale;
  for (int i = static_cast<int>(threadIdx.y * kDimThreads + threadIdx.x); i < pairs; i += kDimThreads * kHeadThreads) {
    float frequency = t.factors ? t.frequency[i] / t.factors[i] : t.frequency[i];
    double sin_of, cos_of;
    sincos(static_cast<double>(position * frequency), &sin_of, &cos_of);
    sine[i] = static_cast<float>(sin_of), cosine[i] = static_cast<float>(cos_of);
  }
  __syncthreads();
  for (int head = static_cast<int>(threadIdx.y); head < t.heads; head += kHeadThreads) {
    const float* x = t.x + row * t.row_stride + head * t.head_stride;
    float* y = t.y + (row * t.heads + head) * t.head_dim;
    for (int i = static_cast<int>(threadIdx.x); i < pairs; i += kDimThreads) {
      int low = t.interleaved ? 2 * i : i, high = t.interleaved ? 2 * i + 1 : i + pairs;
      float a = x[low], b = x[high];
      y[low] = a * cosine[i] - b * sine[i];
      y[high] = b * cosine[i] + a * sine[i];
    }
    for (int d = t.rotary_dim + static_cast<int>(threadIdx.x); d < t.head_dim; d += kDimThreads) y[d] = x[d];
  }
}

}  // namespace

void rope(Stream stream, const RopeArgs& args) {
  const View& x = args.x;
  if (args.rotary_dim / 2 > kMaxPairs) {
    throw Error(Code::kUnsupported, "rope on CUDA: rotary_dim is beyond 512");
  }
  Turn turn{x.as<float>(),
            x.strides[0],
            x.strides[1],
            args.pos.as<int32_t>(),
            args.freq_factors.data ? args.freq_factors.as<float>() : nullptr,
            args.y.as<float>(),
            static_cast<int>(x.shape[1]),
            static_cast<int>(x.shape[2]),
            args.rotary_dim,
            args.interleaved,
            args.position_scale,
            {}};
  fill_frequencies(args, turn.frequency);
  launch(stream, "rope", static_cast<unsigned>(x.shape[0]), dim3(kDimThreads, kHeadThreads), rope_kernel, turn);
}

}  // namespace hearth::cuda
