// JSON text <-> Value. Members keep their order; integers keep 64 bits, larger ones become doubles.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::json {

struct ParseLimits {
  int max_depth = 128;
};

/// Parses one JSON document. kInvalidArgument with byte offset and what was expected; a text nested deeper than
/// max_depth and invalid UTF-8 are errors too.
Result<Value> parse(std::string_view text, ParseLimits limits = {});

struct WriteStyle {
  int indent = -1;            // < 0: one line
  bool spaced = false;        // ", " and ": " on one line, as Python's json.dumps writes
  bool ascii_only = false;    // escape everything above 0x7f
};

/// Writes a Value; invalid UTF-8 becomes U+FFFD, NaN and infinities become null.
std::string write(const Value& value, WriteStyle style = {});

}  // namespace hearth::json
