#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/attention_tile.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

// Rows a thread takes at a time, by elements: about 3 us of work.
constexpr int64_t kGrainElements = 16384;

// 1 / base^(2i/dim) step by step in float32, as models are trained.
void fill_frequencies(const RopeArgs& args, float* frequency) {
  const float* factors = args.freq_factors.data ? args.freq_factors.as<float>() : nullptr;
  for (int i = 0; i < args.rotary_dim / 2; ++i) {
    float exponent = static_cast<float>(2 * i) / static_cast<float>(args.rotary_dim);
    frequency[i] = 1.0f / std::pow(args.base, exponent);
    if (factors) frequency[i] /= factors[i];
  }
}

}  // namespace

void rope(const Ctx& c, const RopeArgs& args) {
  const AttentionKernels& kernels = *level(c.caps.isa).attention;
  const View& x = args.x;
  int64_t rows = x.shape[0], heads = x.shape[1], head_dim = x.shape[2];
  int rotary = args.rotary_dim;
  float* frequency = reinterpret_cast<float*>(args.scratch.data);
  fill_frequencies(args, frequency);
  int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, heads * head_dim));
  c.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      float *cos = frequency + rotary * (1 + 2 * row), *sin = cos + rotary;
      float position = static_cast<float>(args.pos.as<int32_t>()[row]) * args.position_scale;
      kernels.angles(position, frequency, rotary, args.interleaved, cos, sin);
      for (int64_t head = 0; head < heads; ++head) {
        const float* from = x.as<float>() + row * x.strides[0] + head * x.strides[1];
        float* to = args.y.as<float>() + (row * heads + head) * head_dim;
        kernels.rotate(from, cos, sin, rotary, args.interleaved, to);
        std::memcpy(to + rotary, from + rotary, 4 * static_cast<size_t>(head_dim - rotary));
      }
    }
  });
}

}  // namespace hearth::cpu
