#include "runtime/diffuse/patched_part.h"

#include <fmt/ranges.h>

namespace hearth::diffuse {
namespace {

constexpr size_t kNamed = 5;  // so many of a kind are named, the rest counted

std::string some_of(const std::vector<std::string>& names) {
  const auto shown = std::vector<std::string>(names.begin(), names.begin() + std::min(names.size(), kNamed));
  return fmt::format("{}{}", fmt::join(shown, ", "),
                     names.size() > kNamed ? fmt::format(" and {} more", names.size() - kNamed) : "");
}

bool is_of_text(const std::string& module) { return module.starts_with("lora_te") || module.starts_with("text_encoder"); }

}  // namespace

void log_lora_problems(const std::string& path, const std::vector<std::string>& unfit, const LoraFile& file,
                       const LoraNames& names) {
  if (!unfit.empty()) log::warn("{}: {} changes do not fit this model: {}", path, unfit.size(), some_of(unfit));
  const bool are_text = std::all_of(names.begin(), names.end(), [](const auto& name) { return is_of_text(name.first); });
  if (are_text) return;  // the denoiser's pass names what neither knows
  std::vector<std::string> unknown = file.not_applied({&names});
  std::erase_if(unknown, is_of_text);
  if (!unknown.empty()) log::warn("{}: {} entries are not applied: {}", path, unknown.size(), some_of(unknown));
}

}  // namespace hearth::diffuse
