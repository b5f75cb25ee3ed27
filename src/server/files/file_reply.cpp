#include "server/files/file_reply.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <optional>

#include <fmt/format.h>

#include "core/base/files.h"

namespace hearth::server {
namespace {

std::string http_time(std::time_t when) {
  std::tm parts{};
  gmtime_r(&when, &parts);
  char text[40];
  return std::string(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

std::optional<std::time_t> parse_http_time(std::string_view text) {
  std::tm parts{};
  const std::string copy(text);
  const char* end = ::strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return end && *end == '\0' ? std::optional(::timegm(&parts)) : std::nullopt;
}

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = failure == std::errc() && end == text.data() + text.size() && !text.starts_with('-');
  return is_number ? std::optional(value) : std::nullopt;
}

bool names_tag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view one = list.substr(0, comma);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || one == tag) return true;
  }
  return false;
}

struct FileState {
  std::string tag;
  std::time_t modified = 0;
  int64_t size = 0;
};

bool is_unchanged(const http::HttpRequest& request, const FileState& state) {
  const std::string_view tags = http::find_header(request.headers, "if-none-match");
  if (!tags.empty()) return names_tag(tags, state.tag);
  const auto since = parse_http_time(http::find_header(request.headers, "if-modified-since"));
  return since && state.modified <= *since;
}

bool allows_range(const http::HttpRequest& request, const FileState& state) {
  const std::string_view condition = http::find_header(request.headers, "if-range");
  if (condition.empty() || condition == state.tag) return true;
  const auto since = parse_http_time(condition);
  return since && *since == state.modified;
}

http::HttpResponse plain(int status, std::string text) {
  http::HttpResponse out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = std::move(text);
  return out;
}

}  // namespace

RangeKind parse_range(std::string_view header, int64_t size, ByteRange& range) {
  if (!header.starts_with("bytes=") || header.find(',') != header.npos) return RangeKind::kWhole;
  header.remove_prefix(6);
  const size_t dash = header.find('-');
  if (dash == header.npos) return RangeKind::kWhole;
  const auto first = parse_number(header.substr(0, dash)), last = parse_number(header.substr(dash + 1));
  if (dash == 0) {
    if (!last) return RangeKind::kWhole;
    range = {std::max<int64_t>(0, size - *last), size - 1};
    return *last > 0 && size > 0 ? RangeKind::kPart : RangeKind::kUnsatisfiable;
  }
  const bool is_open = dash + 1 == header.size();
  if (!first || (!last && !is_open) || (last && *last < *first)) return RangeKind::kWhole;
  if (*first >= size) return RangeKind::kUnsatisfiable;
  range = {*first, std::min(last.value_or(size - 1), size - 1)};
  return RangeKind::kPart;
}

http::HttpResponse file_reply(const http::HttpRequest& request, const std::filesystem::path& file,
                              std::string_view content_type) {
  struct stat about{};
  if (::stat(file.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return plain(404, "");
  FileState state{"", about.st_mtim.tv_sec, about.st_size};
  state.tag = fmt::format("\"{:x}-{:x}-{:x}\"", about.st_mtim.tv_sec, about.st_mtim.tv_nsec, about.st_size);
  http::HttpResponse out;
  out.content_type = content_type;
  out.headers = {{"ETag", state.tag}, {"Last-Modified", http_time(state.modified)}, {"Accept-Ranges", "bytes"}};
  if (is_unchanged(request, state)) {
    out.status = 304;
    return out;
  }
  ByteRange range{0, state.size - 1};
  const std::string_view wanted = http::find_header(request.headers, "range");
  RangeKind kind = RangeKind::kWhole;
  if (!wanted.empty() && allows_range(request, state)) kind = parse_range(wanted, state.size, range);
  if (kind == RangeKind::kUnsatisfiable) {
    out.status = 416;
    out.headers.emplace_back("Content-Range", fmt::format("bytes */{}", state.size));
    return out;
  }
  if (kind == RangeKind::kPart) {
    range.last = std::min(range.last, range.first + kMaxReplyBytes - 1);
    out.status = 206;
    out.headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", range.first, range.last, state.size));
  } else {
    range = {0, state.size - 1};
    if (state.size > kMaxReplyBytes) {
      return plain(413, fmt::format("the file has {} bytes: ask for ranges of it", state.size));
    }
  }
  auto opened = InFile::open(file);
  if (!opened) return plain(404, "");
  out.body.resize(static_cast<size_t>(range.last - range.first + 1));
  if (!out.body.empty()) opened->read_at(range.first, out.body.data(), out.body.size()).value();
  return out;
}

std::string content_disposition(std::string_view kind, std::string_view filename) {
  std::string ascii, encoded;
  bool is_ascii = true;
  for (unsigned char c : filename) {
    const bool is_plain = c >= 0x20 && c < 0x7f;
    is_ascii = is_ascii && is_plain;
    if (c == '"' || c == '\\') ascii += '\\';
    ascii += is_plain ? static_cast<char>(c) : '_';
    const bool is_token = c < 0x80 && (std::isalnum(c) || c == '.' || c == '-' || c == '_');
    encoded += is_token ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  std::string out = fmt::format("{}{}filename=\"{}\"", kind, kind.empty() ? "" : "; ", ascii);
  if (!is_ascii) out += "; filename*=UTF-8''" + encoded;
  return out;
}

}  // namespace hearth::server
