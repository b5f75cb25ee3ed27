// What a user may write as SOURCE: a path here, a hub repository, a web address.
#pragma once
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::fetch {

struct Source {
  enum class Kind { kPath, kHub, kWeb };
  Kind kind = Kind::kPath;
  std::string place;  // the path, "owner/repo[@revision][:file]", or the address
};

/// "file:PATH" or a path that exists, "hf:...", "https://...", "http://...". kInvalidArgument or kNotFound with the
/// form that was probably meant.
Result<Source> parse_source(std::string_view text);

/// A name for a model pulled without one: the last part of its source, in lower case, without endings.
std::string name_from_source(std::string_view text);

}  // namespace hearth::fetch
