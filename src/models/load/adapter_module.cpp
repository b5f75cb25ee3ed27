#include "models/load/adapter_module.h"

#include <algorithm>

namespace hearth {
namespace {

using enum AdapterPart;

struct Role {
  std::string_view suffix;
  AdapterPart part;
};

// What programs write behind a module's name; longer ones before those they end in.
constexpr Role kRoles[] = {
    {".lora_up.weight", kUp},
    {".lora_down.weight", kDown},
    {".lora_mid.weight", kMid},
    {".lora_B.default.weight", kUp},
    {".lora_A.default.weight", kDown},
    {".lora_B.weight", kUp},
    {".lora_A.weight", kDown},
    {".lora_B", kUp},
    {".lora_A", kDown},
    {".lora_linear_layer.up.weight", kUp},
    {".lora_linear_layer.down.weight", kDown},
    {".lora.up.weight", kUp},
    {".lora.down.weight", kDown},
    {"_lora.up.weight", kUp},
    {"_lora.down.weight", kDown},
    {".alpha", kAlpha},
    {".dora_scale", kDoraScale},
    {".reshape_weight", kReshape},
    {".hada_w1_a", kHadaW1A},
    {".hada_w1_b", kHadaW1B},
    {".hada_w2_a", kHadaW2A},
    {".hada_w2_b", kHadaW2B},
    {".hada_t1", kHadaT1},
    {".hada_t2", kHadaT2},
    {".lokr_w1", kLokrW1},
    {".lokr_w1_a", kLokrW1A},
    {".lokr_w1_b", kLokrW1B},
    {".lokr_w2", kLokrW2},
    {".lokr_w2_a", kLokrW2A},
    {".lokr_w2_b", kLokrW2B},
    {".lokr_t2", kLokrT2},
    {".oft_blocks", kOftBlocks},
    {".rescale", kRescale},
    {".diff", kDiff},
    {".diff_b", kDiffBias},
    {".w_norm", kNorm},
    {".b_norm", kNormBias},
    {".set_weight", kSet},
};

// GLoRA, and variants of those above that ComfyUI does not apply either.
constexpr std::string_view kForeign[] = {".hada_",     ".lokr_",     ".oft_",      ".a1.weight",
                                         ".a2.weight", ".b1.weight", ".b2.weight", ".lora_magnitude_vector"};

}  // namespace

const TensorInfo* AdapterModule::any() const {
  const auto found = std::find_if(parts_.begin(), parts_.end(), [](const TensorInfo* t) { return t != nullptr; });
  return found == parts_.end() ? nullptr : *found;
}

AdapterModules adapter_modules(const TensorFile& file, std::vector<std::string>& strange) {
  AdapterModules modules;
  for (const TensorInfo& tensor : file.tensors) {
    const std::string_view name = tensor.name;
    const Role* role =
        std::find_if(std::begin(kRoles), std::end(kRoles), [&](const Role& r) { return name.ends_with(r.suffix); });
    if (role != std::end(kRoles)) {
      modules[std::string(name.substr(0, name.size() - role->suffix.size()))][role->part] = &tensor;
      continue;
    }
    size_t at = name.npos;
    for (std::string_view kind : kForeign) at = std::min(at, name.find(kind));
    if (at != name.npos) modules[std::string(name.substr(0, at))].is_foreign = true;
    strange.push_back(tensor.name);
  }
  return modules;
}

}  // namespace hearth
