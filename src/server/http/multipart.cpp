#include "server/http/multipart.h"

#include <algorithm>

#include <fmt/format.h>

#include "server/http/router.h"
#include "server/http/wire.h"

namespace hearth::http {
namespace {

constexpr size_t kMaxBoundaryBytes = 200;  // the standard allows 70; some clients write more

Unexpected bad_form(std::string_view what) {
  return unexpected(Code::kInvalidArgument, fmt::format("the form cannot be read: {}", what));
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// `name=token` or `name="quoted"` parameters after the first word of a header value.
class Parameters {
 public:
  explicit Parameters(std::string_view header) : rest_(header) { skip_to_separator(); }

  std::optional<std::pair<std::string_view, std::string>> next() {
    if (rest_.empty()) return std::nullopt;
    const size_t equals = rest_.find('=');
    if (equals == rest_.npos) return std::nullopt;
    const std::string_view name = trim(rest_.substr(0, equals));
    rest_.remove_prefix(equals + 1);
    while (rest_.starts_with(' ')) rest_.remove_prefix(1);
    std::string value = rest_.starts_with('"') ? take_quoted() : std::string(trim(rest_.substr(0, rest_.find(';'))));
    skip_to_separator();
    return std::pair(name, std::move(value));
  }

 private:
  void skip_to_separator() {
    const size_t semicolon = rest_.find(';');
    rest_ = semicolon == rest_.npos ? std::string_view() : trim(rest_.substr(semicolon + 1));
  }
  // Browsers escape a quote as %22 and nothing else; others write \". A lone backslash is part of a Windows path.
  std::string take_quoted() {
    std::string out;
    rest_.remove_prefix(1);
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.starts_with("\\\"")) rest_.remove_prefix(1);
      out += rest_.front();
      rest_.remove_prefix(1);
    }
    if (!rest_.empty()) rest_.remove_prefix(1);
    return out;
  }
  std::string_view rest_;
};

std::string boundary_of(std::string_view content_type) {
  if (!is_same_name(trim(content_type.substr(0, content_type.find(';'))), "multipart/form-data")) return "";
  Parameters parameters(content_type);
  while (auto parameter = parameters.next()) {
    if (is_same_name(parameter->first, "boundary")) return std::move(parameter->second);
  }
  return "";
}

void take_disposition(std::string_view value, Part& part, bool& has_name) {
  Parameters parameters(value);
  while (auto parameter = parameters.next()) {
    auto& [name, text] = *parameter;
    if (is_same_name(name, "name")) {
      part.name = std::move(text);
      has_name = true;
    } else if (is_same_name(name, "filename")) {
      if (!part.filename) part.filename = std::move(text);
    } else if (is_same_name(name, "filename*") && text.size() > 7 && is_same_name(text.substr(0, 7), "utf-8''")) {
      part.filename = decode_path(std::string_view(text).substr(7)).value_or("");
    }
  }
}

Result<Part> parse_part(std::string_view head, std::string_view data) {
  Part part;
  part.data = data;
  bool has_name = false;
  while (!head.empty()) {
    const size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head = end == head.npos ? std::string_view() : head.substr(end + 2);
    const size_t colon = line.find(':');
    if (colon == line.npos) return bad_form("a part's header line has no colon");
    const std::string_view name = trim(line.substr(0, colon)), value = trim(line.substr(colon + 1));
    if (is_same_name(name, "content-disposition")) take_disposition(value, part, has_name);
    if (is_same_name(name, "content-type")) part.content_type = std::string(value);
  }
  if (!has_name) return bad_form("a part has no name");
  return part;
}

}  // namespace

Result<std::vector<Part>> parse_multipart(std::string_view content_type, std::string_view body) {
  const std::string boundary = boundary_of(content_type);
  if (boundary.empty()) return bad_form("the Content-Type is not multipart/form-data with a boundary");
  if (boundary.size() > kMaxBoundaryBytes) return bad_form("the boundary is too long");
  const std::string first = "--" + boundary, mark = "\r\n--" + boundary;
  size_t at = body.starts_with(first) ? first.size() : body.npos;
  if (at == body.npos) {
    at = body.find(mark);  // after a preamble
    if (at == body.npos) return bad_form("the boundary does not occur in the body");
    at += mark.size();
  }
  std::vector<Part> parts;
  while (true) {
    if (body.substr(at).starts_with("--")) return parts;
    const size_t line_end = body.find("\r\n", at);
    const bool is_cut = line_end == body.npos || !trim(body.substr(at, line_end - at)).empty();
    if (is_cut) return bad_form("a boundary is cut off");
    const size_t head = line_end + 2;
    const std::string_view window = body.substr(head, kMaxPartHeaderBytes);
    const size_t head_size = window.starts_with("\r\n") ? 0 : window.find("\r\n\r\n");
    if (head_size == window.npos) return bad_form("a part's header is cut off or too long");
    const size_t data = head + head_size + (head_size == 0 ? 2 : 4);
    // An empty part may end right where its header does.
    const size_t end = body.substr(data - 2).starts_with(mark) ? data - 2 : body.find(mark, data);
    if (end == body.npos) return bad_form("the last part has no end");
    if (parts.size() == kMaxParts) return bad_form(fmt::format("more than {} parts", kMaxParts));
    auto part = parse_part(body.substr(head, head_size), end < data ? "" : body.substr(data, end - data));
    if (!part) return unexpected(part.error());
    parts.push_back(std::move(*part));
    at = end + mark.size();
  }
}

const Part* find_part(const std::vector<Part>& parts, std::string_view name) {
  auto found = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace hearth::http
