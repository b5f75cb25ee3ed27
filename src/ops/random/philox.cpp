#include "ops/random/philox.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/check.h"

namespace hearth {
namespace {

constexpr int64_t kThreadsPerBlock = 256;
constexpr int64_t kUnroll = 4;  // normals a thread draws at once

struct Wide {
  uint32_t high, low;
};
Wide multiply(uint32_t a, uint32_t b) {
  uint64_t product = uint64_t{a} * b;
  return {static_cast<uint32_t>(product >> 32), static_cast<uint32_t>(product)};
}

/// A pair of words to a pair of normals, sine first.
void box_muller(uint32_t x, uint32_t y, float& sine, float& cosine) {
  constexpr float kToUnit = 0x1p-32f;
  constexpr float kToTurn = 0x1p-32f * 2.0f * std::numbers::pi_v<float>;
  float u = std::fma(static_cast<float>(x), kToUnit, kToUnit / 2);
  float v = std::fma(static_cast<float>(y), kToTurn, kToTurn / 2);
  float radius = std::sqrt(-2.0f * std::log(u));
  sine = std::sin(v) * radius;
  cosine = std::cos(v) * radius;
}

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    Wide a = multiply(0xD2511F53u, c[0]), b = multiply(0xCD9E8D57u, c[2]);
    c = {b.high ^ c[1] ^ key[0], b.low, a.high ^ c[3] ^ key[1], a.low};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return c;
}

PhiloxGenerator::PhiloxGenerator(uint64_t seed, int64_t sm_count, int64_t threads_per_sm)
    : seed_(seed), max_blocks_(sm_count * (threads_per_sm / kThreadsPerBlock)) {
  check(max_blocks_ > 0, "a CUDA noise machine needs its SM count and threads per SM");
}

std::array<float, 4> PhiloxGenerator::threads_draw(int64_t thread, int64_t turn) const {
  uint64_t block = offset_ / 4 + static_cast<uint64_t>(turn);
  auto words = philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                           static_cast<uint32_t>(thread), static_cast<uint32_t>(thread >> 32)},
                          {static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32)});
  std::array<float, 4> normals;
  box_muller(words[0], words[1], normals[0], normals[1]);
  box_muller(words[2], words[3], normals[2], normals[3]);
  return normals;
}

void PhiloxGenerator::fill(std::span<float> out) {
  const int64_t n = static_cast<int64_t>(out.size());
  if (n == 0) return;
  int64_t blocks = std::min(max_blocks_, (n + kThreadsPerBlock - 1) / kThreadsPerBlock);
  int64_t threads = blocks * kThreadsPerBlock;
  int64_t rounds = (n - 1) / (threads * kUnroll) + 1;
  for (int64_t round = 0; round < rounds; ++round) {
    for (int64_t thread = 0; thread < threads; ++thread) {
      int64_t first = round * threads * kUnroll + thread;
      if (first >= n) break;
      auto normals = threads_draw(thread, round);
      for (int64_t k = 0; k < kUnroll && first + k * threads < n; ++k)
        out[static_cast<size_t>(first + k * threads)] = normals[static_cast<size_t>(k)];
    }
  }
  offset_ += static_cast<uint64_t>(rounds) * kUnroll;
}

}  // namespace hearth
