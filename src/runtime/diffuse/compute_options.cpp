#include "runtime/diffuse/compute_options.h"

#include <iterator>

#include <fmt/format.h>

namespace hearth::diffuse {
namespace {

template <class T>
struct Named {
  std::string_view name;
  T value;
};

constexpr Named<Precision> kPrecisions[] = {{"auto", Precision::kAsInFile},
                                            {"fp32", Precision::kF32},
                                            {"fp16", Precision::kF16},
                                            {"bf16", Precision::kBf16}};
constexpr Named<Tiling> kTilings[] = {{"auto", Tiling::kAuto}, {"on", Tiling::kOn}, {"off", Tiling::kOff}};

template <class T, size_t N>
Result<T> find(const Named<T> (&table)[N], std::string_view what, std::string_view name) {
  std::string there;
  for (const Named<T>& known : table) {
    if (known.name == name) return known.value;
    there += fmt::format("{}{}", there.empty() ? "" : ", ", known.name);
  }
  return unexpected(Code::kInvalidArgument, fmt::format("{} is '{}', wanted one of {}", what, name, there));
}

}  // namespace

ComputeOptions ComputeOptions::over(const ComputeOptions& defaults) const {
  ComputeOptions out = *this;
  if (!out.precision) out.precision = defaults.precision;
  if (!out.attention) out.attention = defaults.attention;
  if (!out.vae_slicing) out.vae_slicing = defaults.vae_slicing;
  if (!out.vae_tiling) out.vae_tiling = defaults.vae_tiling;
  if (!out.vae_tile) out.vae_tile = defaults.vae_tile;
  return out;
}

std::optional<DType> ComputeOptions::scheme() const {
  switch (precision.value_or(Precision::kAsInFile)) {
    case Precision::kF32: return DType::kF32;
    case Precision::kF16: return DType::kF16;
    case Precision::kBf16: return DType::kBF16;
    case Precision::kAsInFile: break;
  }
  return {};
}

std::string ComputeOptions::weights_key() const { return scheme() ? fmt::format(" as {}", name(*scheme())) : ""; }

std::string ComputeOptions::step_key() const {
  return weights_key() + (attention_kind() == AttentionKind::kExact ? " exact attention" : "");
}

Result<ComputeOptions> compute_options(DeviceKind device, const ComputeNames& names) {
  ComputeOptions out{.vae_slicing = names.vae_slicing, .vae_tile = names.vae_tile};
  if (!names.precision.empty()) {
    const Result<Precision> precision = find(kPrecisions, "precision", names.precision);
    if (!precision) return unexpected(precision.error());
    out.precision = *precision;
  }
  if (!names.attention.empty()) {
    const Result<AttentionKind> attention = hearth::attention_kind(device, names.attention);
    if (!attention) return unexpected(attention.error());
    out.attention = *attention;
  }
  if (!names.vae_tiling.empty()) {
    const Result<Tiling> tiling = find(kTilings, "vae_tiling", names.vae_tiling);
    if (!tiling) return unexpected(tiling.error());
    out.vae_tiling = *tiling;
  }
  const int64_t tile = out.vae_tile.value_or(kDefaultTile);
  if (tile < kLeastTile || tile > kMostTile || tile % kTileStep != 0) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("vae_tile is {}, wanted a multiple of {} from {} to {} pixels", tile, kTileStep,
                                  kLeastTile, kMostTile));
  }
  return out;
}

}  // namespace hearth::diffuse
