#include "models/load/lora.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth {

std::vector<std::string> LoraFile::not_applied(const std::vector<const LoraNames*>& networks) const {
  std::vector<std::string> out;
  for (const auto& [name, module] : modules_) {
    bool is_known =
        std::any_of(networks.begin(), networks.end(),
                    [&, key = std::string_view(name)](const LoraNames* n) { return n->find(key) != n->end(); });
    // One whose tensors are all strange is reported by those.
    if (!is_known && !module.is_foreign) out.push_back(name);
  }
  out.insert(out.end(), strange_.begin(), strange_.end());
  return out;
}

std::vector<std::string> LoraPatch::add(const LoraFile& file, const LoraNames& names, double strength) {
  std::vector<std::string> misfits;
  if (strength == 0) return misfits;
  const auto from = std::make_shared<const AdapterFile>(file.file());
  for (const auto& [key, module] : file.modules()) {
    auto known = names.find(key);
    if (known == names.end()) continue;
    if (module.is_foreign) {
      misfits.push_back(key + ": a kind of adapter that is not applied");
      continue;
    }
    auto change = [&, of = key](const std::string& weight, auto make) {
      const Located at = network_.find(weight);
      if (!at) return misfits.push_back(fmt::format("{}: the network has no '{}'", of, weight));
      std::string misfit;
      if (auto made = make(from, module, at.shape(), strength, misfit)) changes_[weight].push_back(std::move(made));
      if (!misfit.empty()) misfits.push_back(of + ": " + misfit);
    };
    const bool has_bias = module[AdapterPart::kDiffBias] || module[AdapterPart::kNormBias];
    change(known->second + ".weight", weight_change);
    if (has_bias) change(known->second + ".bias", bias_change);
  }
  return misfits;
}

bool LoraPatch::needs_all_rows(std::string_view name) const {
  const auto found = changes_.find(name);
  return found != changes_.end() && std::any_of(found->second.begin(), found->second.end(),
                                                [](const auto& change) { return change->needs_all_rows(); });
}

void LoraPatch::apply(std::string_view name, int64_t first_row, int64_t n_rows, std::span<float> rows) const {
  const auto found = changes_.find(name);
  if (found == changes_.end()) return;
  for (const auto& change : found->second) change->apply(first_row, n_rows, rows);
}

}  // namespace hearth
