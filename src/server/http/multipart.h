// multipart/form-data (RFC 7578) taken apart without copying: parts are views into the body. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hearth::http {

inline constexpr size_t kMaxParts = 64;
inline constexpr size_t kMaxPartHeaderBytes = 8 << 10;

struct Part {
  std::string name;
  std::optional<std::string> filename;  // set for files, may be ""
  std::string content_type;
  std::string_view data;                // in the body given to parse_multipart()
};

/// kInvalidArgument says what is wrong with the form: no boundary, a part without a name, a cut end, too many parts.
Result<std::vector<Part>> parse_multipart(std::string_view content_type, std::string_view body);

/// The first part of that name, or nullptr.
const Part* find_part(const std::vector<Part>& parts, std::string_view name);

}  // namespace hearth::http
