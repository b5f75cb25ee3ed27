#include "core/base/check.h"

namespace hearth {

void check_failed(std::string_view claim, std::source_location where) {
  std::string text = "bug: ";
  text += claim;
  text += " (";
  text += where.file_name();
  text += ':';
  text += std::to_string(where.line());
  text += ')';
  throw Error::bug(std::move(text), where);
}

}  // namespace hearth
