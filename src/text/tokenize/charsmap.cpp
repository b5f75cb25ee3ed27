#include "text/tokenize/charsmap.h"

#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth::text {
namespace {

// A unit of the array: label in bits 0-7 (bit 31 set: no label but a value), leaf flag in bit 8, offset above.
bool has_leaf(uint32_t unit) { return (unit >> 8) & 1; }
uint32_t label(uint32_t unit) { return unit & ((1u << 31) | 0xFF); }
uint32_t value(uint32_t unit) { return unit & ((1u << 31) - 1); }
// Real keys are a few characters; a forged array may loop, and every place of a text starts a walk.
constexpr size_t kLongestKey = 256;  // bytes
uint32_t offset(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string_view blob) {
  if (blob.empty()) return;
  uint32_t array_bytes = 0;
  if (blob.size() >= 4) std::memcpy(&array_bytes, blob.data(), 4);
  if (blob.size() < 4 || array_bytes > blob.size() - 4 || array_bytes % 4 != 0 || array_bytes == 0) {
    throw Error(Code::kCorruptFile,
                fmt::format("precompiled_charsmap: a blob of {} bytes announces an array of {} bytes", blob.size(),
                            array_bytes));
  }
  units_.resize(array_bytes / 4);
  std::memcpy(units_.data(), blob.data() + 4, array_bytes);
  replacements_ = blob.substr(4 + array_bytes);
}

std::string_view Charsmap::replacement(uint32_t at) const {
  if (at >= replacements_.size()) return {};
  std::string_view rest = std::string_view(replacements_).substr(at);
  return rest.substr(0, std::min(rest.find('\0'), rest.size()));
}

Charsmap::Hit Charsmap::walk(std::string_view text, bool longest) const {
  Hit hit;
  if (units_.empty()) return hit;
  uint32_t at = offset(units_[0]);
  text = text.substr(0, kLongestKey);
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    at ^= byte;
    if (byte == 0 || at >= units_.size() || label(units_[at]) != byte) break;
    uint32_t unit = units_[at];
    at ^= offset(unit);
    if (!has_leaf(unit)) continue;
    if (at >= units_.size()) break;
    hit = {i + 1, replacement(value(units_[at]))};
    if (!longest) break;
  }
  return hit;
}

}  // namespace hearth::text
