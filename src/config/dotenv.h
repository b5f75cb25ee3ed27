// Files of NAME=value lines, as .env files are: comments, `export`, single and double quotes.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hearth::config {

struct DotenvLine {
  std::string name, value;
  int line = 0;
};

/// kInvalidArgument "LINE: what is wrong" for a line that is no assignment or a quote that does not end.
Result<std::vector<DotenvLine>> parse_dotenv(std::string_view text);

}  // namespace hearth::config
