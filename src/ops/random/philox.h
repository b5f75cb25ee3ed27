// Philox 4x32-10 (Salmon et al. 2011) and the normals of torch's CUDA generator: which thread of a launch draws which
// element follows from the number of elements and the device's size.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "ops/random/noise.h"

namespace hearth {

/// One block of four random words.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

class PhiloxGenerator final : public NormalStream {
 public:
  /// `sm_count` and `threads_per_sm` of the device imitated, both above 0.
  PhiloxGenerator(uint64_t seed, int64_t sm_count, int64_t threads_per_sm);
  void fill(std::span<float> out) override;
  /// The four normals a thread draws at its n-th turn, counted from here.
  std::array<float, 4> threads_draw(int64_t thread, int64_t turn) const;

 private:
  uint64_t seed_;
  int64_t max_blocks_;    // a launch has no more blocks of 256 threads than fit on the device at once
  uint64_t offset_ = 0;   // words each thread has drawn so far
};

}  // namespace hearth
