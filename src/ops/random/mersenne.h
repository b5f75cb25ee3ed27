// The CPU generator of torch: MT19937 seeded with the low 32 bits of a seed, and how its words become numbers.
#pragma once
#include <cstdint>
#include <optional>
#include <random>
#include <span>

#include "ops/random/noise.h"

namespace hearth {

class MersenneGenerator final : public NormalStream {
 public:
  explicit MersenneGenerator(uint64_t seed, NormalFlavour flavour = NormalFlavour::kPolynomial)
      : engine_(static_cast<uint32_t>(seed)), flavour_(flavour) {}

  uint32_t next32() { return engine_(); }
  uint64_t next64();
  /// [0, 1) with 24 and 53 random bits.
  float uniform();
  double uniform_double();
  void fill_uniform(std::span<float> out);
  /// A whole number in [low, high); high - low up to 2^64 - 1.
  int64_t integer(int64_t low, int64_t high);
  /// Sixteen and more at once are drawn in blocks; fewer one by one in double precision, two per pair of uniforms.
  void fill(std::span<float> out) override;

 private:
  double normal();
  std::mt19937 engine_;
  NormalFlavour flavour_;
  std::optional<double> second_normal_;  // the sine of a pair whose cosine was given out
};

}  // namespace hearth
