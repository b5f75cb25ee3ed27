// ComputeOptions: how the networks of pictures are kept and computed, apart from what they compute: the encoding of
// weights in memory, the implementation of attention, how much of a batch or a picture a VAE takes at once. Each is
// chosen by itself; what is absent is the engine's default, and what that leaves open is `auto`. Plain values.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/tensor/dtype.h"
#include "ops/attention/full_attention.h"

namespace hearth::diffuse {

/// How matrices and convolutions lie in memory. The CPU computes in float32 whatever it is: 16 bits halve what a
/// float32 file takes and round each weight once; fp32 widens a 16-bit file, so that no step has to. Vectors stay
/// float32.
enum class Precision : uint8_t { kAsInFile, kF32, kF16, kBf16 };

/// Whether pictures are encoded and decoded in overlapping pieces. kAuto: where a whole one does not fit the budget.
enum class Tiling : uint8_t { kAuto, kOn, kOff };

struct ComputeOptions {
  std::optional<Precision> precision;
  std::optional<AttentionKind> attention;
  std::optional<bool> vae_slicing;  // one picture of a batch at a time; default: yes
  std::optional<Tiling> vae_tiling;
  std::optional<int64_t> vae_tile;  // pixels a side of a piece; default: 512

  /// These, and where something is absent that of `defaults`.
  ComputeOptions over(const ComputeOptions& defaults) const;
  /// What the weights and steps of a network depend on, as part of a key; "" for the defaults.
  std::string weights_key() const;
  std::string step_key() const;
  std::optional<DType> scheme() const;
  AttentionKind attention_kind() const { return attention.value_or(AttentionKind::kAuto); }
  friend bool operator==(const ComputeOptions&, const ComputeOptions&) = default;
};

/// What pictures run on so far.
constexpr DeviceKind kPictureDevice = DeviceKind::kCpu;

constexpr int64_t kDefaultTile = 512, kLeastTile = 64, kMostTile = 4096, kTileStep = 32;  // pixels

/// By their names in configurations: "auto", "fp32", "fp16", "bf16"; "auto", "on", "off"; attention as
/// attention_names() has it. An empty name is absent. kUnsupported or kInvalidArgument naming those there are.
struct ComputeNames {
  std::string_view precision, attention, vae_tiling;
  std::optional<bool> vae_slicing;
  std::optional<int64_t> vae_tile;
};
Result<ComputeOptions> compute_options(DeviceKind device, const ComputeNames& names);

}  // namespace hearth::diffuse
