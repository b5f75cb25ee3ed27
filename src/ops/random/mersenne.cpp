#include "ops/random/mersenne.h"

#include <cmath>
#include <numbers>

#include "ops/random/normal_block.h"

namespace hearth {

uint64_t MersenneGenerator::next64() {
  uint64_t high = next32();
  return high << 32 | next32();
}

float MersenneGenerator::uniform() { return static_cast<float>(next32() & 0xFFFFFF) * 0x1p-24f; }

double MersenneGenerator::uniform_double() {
  return static_cast<double>(next64() & ((uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void MersenneGenerator::fill_uniform(std::span<float> out) {
  for (float& value : out) value = uniform();
}

int64_t MersenneGenerator::integer(int64_t low, int64_t high) {
  uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  uint64_t word = range >= uint64_t{1} << 32 ? next64() : next32();
  return static_cast<int64_t>(word % range + static_cast<uint64_t>(low));
}

double MersenneGenerator::normal() {
  if (second_normal_) {
    double value = *second_normal_;
    second_normal_.reset();
    return value;
  }
  double u1 = uniform_double(), u2 = uniform_double();
  double r = std::sqrt(-2.0 * std::log1p(-u2));
  double theta = 2.0 * std::numbers::pi * u1;
  second_normal_ = r * std::sin(theta);
  return r * std::cos(theta);
}

void MersenneGenerator::fill(std::span<float> out) {
  const size_t n = out.size();
  if (n < kNormalBlock) {
    for (float& value : out) value = static_cast<float>(normal());
    return;
  }
  fill_uniform(out);
  NormalBlockFn normals = normal_block(flavour_);
  normals(out.first(n - n % kNormalBlock));
  if (n % kNormalBlock == 0) return;
  auto tail = out.last(kNormalBlock);  // overlaps the last whole block: drawn afresh
  fill_uniform(tail);
  normals(tail);
}

}  // namespace hearth
