#include "runtime/diffuse/compute_options.h"

#include <gtest/gtest.h>

namespace hearth::diffuse {
namespace {

TEST(ComputeOptions, AreReadByTheirNames) {
  const ComputeOptions options = compute_options(DeviceKind::kCpu, {.precision = "bf16", .attention = "exact",
                                                                    .vae_tiling = "off", .vae_slicing = false,
                                                                    .vae_tile = 256}).value();
  EXPECT_EQ(options, (ComputeOptions{Precision::kBf16, AttentionKind::kExact, false, Tiling::kOff, 256}));
  EXPECT_EQ(options.scheme(), DType::kBF16);
  EXPECT_EQ(compute_options(DeviceKind::kCpu, {}).value(), ComputeOptions());
  EXPECT_EQ(compute_options(DeviceKind::kCpu, {.precision = "auto"})->scheme(), std::nullopt);
}

TEST(ComputeOptions, ARefusalNamesWhatThereIs) {
  auto said = [](const ComputeNames& names) { return compute_options(DeviceKind::kCpu, names).error().message(); };
  EXPECT_EQ(said({.precision = "int8"}), "precision is 'int8', wanted one of auto, fp32, fp16, bf16");
  EXPECT_EQ(said({.attention = "flash"}), "no attention 'flash' on the CPU; wanted one of auto, tiled, exact");
  EXPECT_EQ(said({.vae_tiling = "yes"}), "vae_tiling is 'yes', wanted one of auto, on, off");
  EXPECT_EQ(said({.vae_tile = 100}), "vae_tile is 100, wanted a multiple of 32 from 64 to 4096 pixels");
  EXPECT_EQ(compute_options(DeviceKind::kCuda, {.attention = "tiled"}).error().code(), Code::kUnsupported);
}

TEST(ComputeOptions, WhatIsAbsentIsTheDefaults) {
  const ComputeOptions defaults{.precision = Precision::kF16, .vae_slicing = false, .vae_tile = 256};
  const ComputeOptions own =
      ComputeOptions{.precision = Precision::kAsInFile, .attention = AttentionKind::kExact}.over(defaults);
  EXPECT_EQ(own, (ComputeOptions{.precision = Precision::kAsInFile, .attention = AttentionKind::kExact,
                                 .vae_slicing = false, .vae_tile = 256}));
}

TEST(ComputeOptions, KeysTellApartWhatIsKeptAndWhatIsRun) {
  const ComputeOptions plain, half{.precision = Precision::kF16}, exact{.attention = AttentionKind::kExact};
  EXPECT_EQ(plain.weights_key(), "");
  EXPECT_NE(half.weights_key(), plain.weights_key());
  EXPECT_EQ(exact.weights_key(), plain.weights_key()) << "the weights are shared";
  EXPECT_NE(exact.step_key(), plain.step_key());
  EXPECT_NE(half.step_key(), exact.step_key());
}

}  // namespace
}  // namespace hearth::diffuse
