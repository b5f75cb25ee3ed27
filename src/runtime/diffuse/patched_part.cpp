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

bool is_of_text(const std::string& module) {
  return module.starts_with("lora_te") || module.starts_with("text_encoder");
}

}  // namespace

std::vector<std::string> lora_problems(const LoraFile& file, LoraPart part, const LoraNames& names,
                                       const std::vector<std::string>& unfit) {
  std::vector<std::string> lines;
  if (!unfit.empty()) {
    lines.push_back(fmt::format("{} changes do not fit this model: {}", unfit.size(), some_of(unfit)));
  }
  if (names.empty()) return lines;
  auto is_of_another = [&](const std::string& module) { return is_of_text(module) != (part == LoraPart::kText); };
  const auto meant = std::count_if(file.modules().begin(), file.modules().end(),
                                   [&](const auto& module) { return !is_of_another(module.first); });
  std::vector<std::string> unknown = file.not_applied({&names});
  std::erase_if(unknown, is_of_another);
  if (unknown.empty()) return lines;
  const char* whose = part == LoraPart::kText ? "the text encoders" : "the denoiser";
  const bool is_any_known = std::any_of(file.modules().begin(), file.modules().end(), [&](const auto& module) {
    return names.find(module.first) != names.end();
  });
  if (is_any_known) {
    lines.push_back(fmt::format("{} entries are not applied: {}", unknown.size(), some_of(unknown)));
  } else {
    lines.push_back(fmt::format("changes nothing of {}: none of its {} entries is known there, such as {}; was it made "
                                "for another family of models?", whose, std::max<int64_t>(meant, std::ssize(unknown)),
                                some_of(unknown)));
  }
  return lines;
}

}  // namespace hearth::diffuse
