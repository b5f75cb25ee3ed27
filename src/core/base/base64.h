// Bytes as text: base64 as RFC 4648 has it. Pure functions.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth {

/// Padded, in one line.
std::string to_base64(std::string_view bytes);

/// Line ends and padding are passed over. kCorruptFile names the byte that is not base64.
Result<std::string> from_base64(std::string_view text);

}  // namespace hearth
