// AdapterModule: what one adapter file has for one module of a network, by the part each tensor plays, whatever program
// wrote it. Plain values over the file's headers.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"

namespace hearth {

/// up x down is LoRA (mid: LoCon's inner convolution); hada LoHa; lokr LoKr; oft_blocks OFT with three axes, BOFT with
/// four; diff a whole difference; norm and norm_bias those of a norm; set a weight in the place of the model's own;
/// dora_scale gives rows or columns of the sum new lengths (DoRA).
enum class AdapterPart : uint8_t {
  kUp, kDown, kMid, kAlpha, kDoraScale, kReshape,
  kHadaW1A, kHadaW1B, kHadaW2A, kHadaW2B, kHadaT1, kHadaT2,
  kLokrW1, kLokrW1A, kLokrW1B, kLokrW2, kLokrW2A, kLokrW2B, kLokrT2,
  kOftBlocks, kRescale,
  kDiff, kDiffBias, kNorm, kNormBias, kSet,
  kCount,
};

class AdapterModule {
 public:
  const TensorInfo*& operator[](AdapterPart part) { return parts_[static_cast<size_t>(part)]; }
  const TensorInfo* operator[](AdapterPart part) const { return parts_[static_cast<size_t>(part)]; }
  /// Some tensor of it; null for a module without any.
  const TensorInfo* any() const;
  bool is_foreign = false;  // has tensors of a kind this build does not apply

 private:
  std::array<const TensorInfo*, static_cast<size_t>(AdapterPart::kCount)> parts_{};
};

using AdapterModules = std::map<std::string, AdapterModule, std::less<>>;

/// Takes the tensors of a file apart: modules by the names in front of the part's, and names of tensors that have none.
AdapterModules adapter_modules(const TensorFile& file, std::vector<std::string>& strange);

}  // namespace hearth
