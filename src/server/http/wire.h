// Answers as HTTP/1.1 text. Pure functions.
#pragma once
#include <string>
#include <string_view>

#include "server/http/http_server.h"

namespace hearth::http {

std::string_view reason_phrase(int status);
/// Names of headers, compared without case.
bool is_same_name(std::string_view a, std::string_view b);

enum class Framing { kLength, kChunked, kUntilClose };

struct HeadOptions {
  Framing framing = Framing::kLength;
  bool keep_alive = true;
  std::string_view request_id;
};

/// Status line and headers with the empty line. Header values with control characters are left out.
std::string render_head(const HttpResponse& response, HeadOptions options);
std::string render_chunk(std::string_view text);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace hearth::http
