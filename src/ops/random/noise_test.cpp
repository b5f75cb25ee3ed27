// Random numbers against torch, numpy and torchsde, bit for bit (tests/golden/sampling/make_noise.py), and Philox
// against its authors' known answers and numbers a CUDA device gave.
#include "ops/random/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "ops/random/brownian.h"
#include "ops/random/mersenne.h"
#include "ops/random/normal_block.h"
#include "ops/random/philox.h"
#include "ops/random/seed_sequence.h"
#include "ops/random/testing/golden_file.h"

namespace hearth {
namespace {

const GoldenFile& golden() {
  static const GoldenFile file("noise");
  return file;
}

std::vector<float> drawn(NormalStream& stream, size_t n) {
  std::vector<float> out(n);
  stream.fill(out);
  return out;
}

float worst_difference(const std::vector<float>& got, const std::vector<float>& wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  float worst = 0;
  for (size_t i = 0; i < std::min(got.size(), wanted.size()); ++i)
    worst = std::max(worst, std::fabs(got[i] - wanted[i]));
  return worst;
}

TEST(Noise, NormalsOfEverySizeAreTorchsBits) {
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{42}, uint64_t{0xFFFFFFFF}, uint64_t{0x123456789ABCDEF0}})
    for (size_t count : {1, 7, 15, 16, 17, 31, 64, 250}) {
      auto wanted = golden().floats("randn." + std::to_string(seed) + "." + std::to_string(count));
      MersenneGenerator generator(seed);
      EXPECT_EQ(drawn(generator, count), wanted) << "seed " << seed << ", " << count << " numbers";
    }
}

TEST(Noise, AStreamKeepsItsOddNumberOver) {
  MersenneGenerator generator(5);
  std::vector<float> got;
  for (size_t n : {3, 16, 2, 20, 1}) {
    auto part = drawn(generator, n);
    got.insert(got.end(), part.begin(), part.end());
  }
  EXPECT_EQ(got, golden().floats("stream"));
}

TEST(Noise, ALongDrawHasTorchsBitsThroughout) {
  MersenneGenerator generator(7);
  auto values = drawn(generator, size_t{1} << 18);
  std::vector<int64_t> sums;
  int64_t sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += std::bit_cast<int32_t>(values[i]);
    if (i % 4096 == 4095) sums.push_back(sum);
  }
  EXPECT_EQ(sums, golden().read<int64_t>("long.bits"));
}

TEST(Noise, VectorNormalsAreTheirDefinitionBitForBit) {
  if (!normal_block_avx2()) GTEST_SKIP() << "no AVX2 here";
  MersenneGenerator generator(11);
  std::vector<float> uniforms(1 << 16);
  generator.fill_uniform(uniforms);
  uniforms[0] = 0, uniforms[8] = 0, uniforms[1] = 1 - 0x1p-24f, uniforms[9] = 1 - 0x1p-24f;
  std::vector<float> plain = uniforms, fast = uniforms;
  normal_block_polynomial(plain);
  normal_block_avx2()(fast);
  EXPECT_EQ(plain, fast);
}

TEST(Noise, FlavoursAgreeButForTheLastBits) {
  MersenneGenerator polynomial(3), libm(3, NormalFlavour::kLibm);
  auto a = drawn(polynomial, 4096), b = drawn(libm, 4096);
  EXPECT_LT(worst_difference(a, b), 2e-6f);
  EXPECT_NE(a, b);
}

TEST(Noise, UniformsAndIntegersAreTorchs) {
  MersenneGenerator f(3), d(3);
  std::vector<float> uniforms(64);
  f.fill_uniform(uniforms);
  EXPECT_EQ(uniforms, golden().floats("uniform"));
  std::vector<double> doubles(16);
  for (double& value : doubles) value = d.uniform_double();
  EXPECT_EQ(doubles, golden().read<double>("uniform_double"));
  std::vector<int64_t> integers;
  const std::pair<int64_t, int64_t> kRanges[] = {{0, 10}, {-5, int64_t{1} << 40}, {0, INT64_MAX}};
  for (auto [low, high] : kRanges) {
    MersenneGenerator generator(9);
    for (int i = 0; i < 8; ++i) integers.push_back(generator.integer(low, high));
  }
  EXPECT_EQ(integers, golden().read<int64_t>("randint"));
}

TEST(Noise, BatchIndexPicksMembersOfALargerBatch) {
  EXPECT_EQ(batch_noise({}, 77, 3, 24), golden().floats("prepare.batch"));
  EXPECT_EQ(batch_noise({}, 77, 3, 24, std::vector<int64_t>{4, 1, 1}), golden().floats("prepare.index"));
}

TEST(Noise, SeedSequenceIsNumpys) {
  const std::pair<const char*, uint64_t> kSeeds[] = {{"zero", 0}, {"small", 3}, {"wide", 0xFEDCBA9876543210}};
  for (auto [name, seed] : kSeeds) {
    std::vector<int64_t> got;
    auto add = [&](const std::vector<uint64_t>& key, int count) {
      for (uint32_t word : seed_sequence(seed, key, 24, count)) got.push_back(word);
    };
    add({}, 3);
    add({0, 0}, 4);
    add({5, 3}, 4);
    add({(uint64_t{1} << 33) + 1, 34}, 4);
    EXPECT_EQ(got, golden().read<int64_t>(std::string("seed_sequence.") + name));
  }
}

TEST(Noise, BrownianTreeIsTorchsdes) {
  BrownianTree tree(0, 1, 16, 3);
  std::vector<float> got;
  const std::pair<double, double> kSpans[] = {{0.25, 0.75}, {0.1, 0.100001}, {0, 1}, {0.333333, 0.9}};
  for (auto [a, b] : kSpans) {
    auto part = tree.increment(a, b);
    got.insert(got.end(), part.begin(), part.end());
  }
  EXPECT_EQ(got, golden().floats("tree"));
}

TEST(Noise, BrownianNoiseIsTheSamplersOwn) {
  const float levels[] = {14.614642f, 9.3f, 4.0f, 1.2345678f, 0.5f, 0.0291675f};
  for (uint64_t seed : {uint64_t{0}, uint64_t{12345}, (uint64_t{1} << 63) + 9}) {
    BrownianNoise noise(levels[5], levels[0], 36, seed);
    std::vector<float> got;
    auto add = [&](int from, int to) {
      std::vector<float> part(36);
      noise.between(levels[from], levels[to], part);
      got.insert(got.end(), part.begin(), part.end());
    };
    for (int i = 0; i < 5; ++i) add(i, i + 1);
    add(1, 4), add(0, 5), add(4, 2);
    EXPECT_EQ(got, golden().floats("brownian." + std::to_string(seed))) << "seed " << seed;
  }
}

TEST(Noise, PhiloxKnowsItsAuthorsAnswers) {  // Random123's kat_vectors
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), (Words{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
  EXPECT_EQ(philox4x32({0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344}, {0xA4093822, 0x299F31D0}),
            (Words{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1}));
}

TEST(Noise, PhiloxNormalsAreACudaDevices) {  // torch.manual_seed(0), torch.randn(12, device="cuda")
  PhiloxGenerator generator(0, 82, 1536);
  EXPECT_LT(worst_difference(drawn(generator, 12),
                             {-0.92466259f, -0.42534415f, -2.6438457f, 0.14518388f, -0.12086647f, -0.57972564f,
                              -0.62285122f, -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f}),
            2e-6f);
}

TEST(Noise, PhiloxLayoutFollowsTheDevice) {
  // One SM of 512 threads: two blocks, so thread t of 512 draws elements t, t + 512, t + 1024, t + 1536.
  PhiloxGenerator small(9, 1, 512), large(9, 132, 2048);
  auto a = drawn(small, 3000), b = drawn(large, 3000);
  EXPECT_EQ(a[0], b[0]);
  EXPECT_NE(a[512], b[512]);
  EXPECT_EQ(a[512], PhiloxGenerator(9, 1, 256).threads_draw(0, 0)[1]);
  EXPECT_EQ(a[2048 + 3], PhiloxGenerator(9, 1, 256).threads_draw(3, 1)[0]);
}

}  // namespace
}  // namespace hearth
