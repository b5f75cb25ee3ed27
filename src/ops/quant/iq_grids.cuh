// The codebooks in device memory, expanded by the compiler: 33 KiB in each source that includes this.
#pragma once
#include "ops/quant/iq_codebooks.h"
#include "ops/quant/runs_iq.h"

namespace hearth::quant {

static __device__ const std::array<Point8, 2048> kDeviceIq1 = expand<2048, 8>(kIq1Set, kIq1Levels);
static __device__ const std::array<Point8, 256> kDeviceIq2Xxs = expand<256, 8>(kIq2XxsSet, kIq2Levels);
static __device__ const std::array<Point8, 512> kDeviceIq2Xs = expand<512, 8>(kIq2XsSet, kIq2Levels);
static __device__ const std::array<Point8, 1024> kDeviceIq2S = expand<1024, 8>(kIq2SSet, kIq2Levels);
static __device__ const std::array<Point4, 256> kDeviceIq3Xxs = expand<256, 4>(kIq3XxsSet, kIq3XxsLevels);
static __device__ const std::array<Point4, 512> kDeviceIq3S = expand<512, 4>(kIq3SSet, kIq3SLevels);

__device__ inline Codebooks device_codebooks() {
  return {&kDeviceIq1[0], &kDeviceIq2Xxs[0], &kDeviceIq2Xs[0], &kDeviceIq2S[0], &kDeviceIq3Xxs[0], &kDeviceIq3S[0]};
}

}  // namespace hearth::quant
