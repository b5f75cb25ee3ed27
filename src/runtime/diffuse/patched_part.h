// A network with LoRAs applied: weights that change are leased and made anew, the rest is the base network's.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/base/log.h"
#include "models/diffusion/lora_names.h"
#include "models/load/lora.h"
#include "models/load/weight_file.h"
#include "runtime/diffuse/net_part.h"
#include "runtime/diffuse/values.h"

namespace hearth::diffuse {

inline std::string patched_key(const std::string& base, const std::vector<LoraUse>& loras) {
  std::string key = base;
  for (const LoraUse& lora : loras) key += fmt::format(" + {} x {}", lora.path, lora.strength);
  return key;
}

/// Says once what of a file cannot be applied.
void log_lora_problems(const std::string& path, const std::vector<std::string>& unfit, const LoraFile& file,
                       const LoraNames& names);

/// `base`: the network without LoRAs. A file that changes nothing of it gives the base itself.
template <class Net, class Config>
std::shared_ptr<const Part> load_patched(const PicturePart<Config>& part, const std::string& key,
                                         const std::vector<LoraUse>& loras, const LoraNames& names,
                                         std::shared_ptr<const Part> base, Residency& memory, Executor& executor,
                                         const LoadWatch& watch) {
  LoraPatch patch(*part.tensors);
  for (const LoraUse& lora : loras) {
    const LoraFile file(std::make_shared<const TensorFile>(open_weight_file(lora.path)));
    log_lora_problems(lora.path, patch.add(file, names, lora.strength), file, names);
  }
  if (patch.size() == 0) return base;
  const BoundWeights& bound = static_cast<const NetPart<Net>&>(*base).bound();
  return load_net<Net>(part, key, memory, executor, watch, {.patch = &patch, .base = &bound}, base);
}

}  // namespace hearth::diffuse
