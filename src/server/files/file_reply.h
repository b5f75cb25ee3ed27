// A file as an HTTP answer: ETag and Last-Modified, conditional requests, one byte range. Reads the file: runs on the
// host pool, never on the network thread.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "server/http/http_server.h"

namespace hearth::server {

/// A longer part is answered by its beginning (206); a whole file above it must be asked for in ranges.
inline constexpr int64_t kMaxReplyBytes = int64_t{256} << 20;

/// 200, 206, 304, 416; 404 with no body when it is no regular file; 413 when it must be asked for in ranges.
http::HttpResponse file_reply(const http::HttpRequest& request, const std::filesystem::path& file,
                              std::string_view content_type);

struct ByteRange {
  int64_t first = 0, last = 0;  // both included
};
enum class RangeKind { kWhole, kPart, kUnsatisfiable };
/// "bytes=0-99", "bytes=100-", "bytes=-5"; several ranges and other units count as none. Pure.
RangeKind parse_range(std::string_view header, int64_t size, ByteRange& range);

/// `attachment; filename="..."` with quotes escaped and characters outside ASCII as RFC 5987 wants them. Pure.
std::string content_disposition(std::string_view kind, std::string_view filename);

}  // namespace hearth::server
