// Any text either parses or is refused; what parses is written and read back to the same value.
#include <cstdlib>

#include "formats/json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth;
  Result<Value> first = json::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!first) return first.error().code() == Code::kInvalidArgument ? 0 : (std::abort(), 0);
  for (json::WriteStyle style : {json::WriteStyle{}, json::WriteStyle{.indent = 2}, json::WriteStyle{.spaced = true},
                                 json::WriteStyle{.ascii_only = true}}) {
    Result<Value> second = json::parse(json::write(*first, style));
    if (!second || !(*second == *first)) std::abort();
  }
  return 0;
}
