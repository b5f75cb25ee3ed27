// Any form is either taken apart into parts that lie inside it or refused with a client's error.
#include <cstdlib>

#include "server/http/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  const std::string_view type = text.substr(0, line);
  const std::string_view body = line == text.npos ? "" : text.substr(line + 1);
  auto parts = http::parse_multipart(type, body);
  if (!parts) {
    if (parts.error().code() != Code::kInvalidArgument) std::abort();
    return 0;
  }
  if (parts->size() > http::kMaxParts) std::abort();
  for (const http::Part& part : *parts) {
    const bool is_inside = part.data.empty() || (part.data.data() >= body.data() &&
                                                 part.data.data() + part.data.size() <= body.data() + body.size());
    if (!is_inside) std::abort();
  }
  return 0;
}
