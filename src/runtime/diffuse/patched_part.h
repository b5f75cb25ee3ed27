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

/// Whose entries of a LoRA file a network answers for.
enum class LoraPart { kDenoiser, kText };

/// What of a file's entries for `part` cannot be applied, as lines for the log: those that do not fit (`unfit`), and
/// those that none of `names` knows. A file that changes nothing at all says so.
std::vector<std::string> lora_problems(const LoraFile& file, LoraPart part, const LoraNames& names,
                                       const std::vector<std::string>& unfit);

/// Every name the networks of a part answer to, and which part that is.
struct LoraJudge {
  LoraPart part = LoraPart::kDenoiser;
  LoraNames names;  // empty: another network of the part reports
};

/// `base`: the network without LoRAs, loaded with the same `options`. A file that changes nothing of it gives the base
/// itself.
template <class Net, class Config>
std::shared_ptr<const Part> load_patched(const PicturePart<Config>& part, const std::string& key,
                                         const std::vector<LoraUse>& loras, const LoraNames& names,
                                         const LoraJudge& judge, std::shared_ptr<const Part> base, Residency& memory,
                                         Executor& executor, const LoadWatch& watch, WeightOptions options = {}) {
  LoraPatch patch(*part.tensors);
  for (const LoraUse& lora : loras) {
    const LoraFile file(std::make_shared<const TensorFile>(open_weight_file(lora.path)));
    const std::vector<std::string> unfit = patch.add(file, names, lora.strength);
    for (const std::string& line : lora_problems(file, judge.part, judge.names, unfit)) {
      log::warn("{}: {}", lora.path, line);
    }
  }
  if (patch.size() == 0) return base;
  const BoundWeights& bound = static_cast<const NetPart<Net>&>(*base).bound();
  options.patch = &patch;
  options.base = &bound;
  return load_net<Net>(part, key, memory, executor, watch, options, base);
}

}  // namespace hearth::diffuse
