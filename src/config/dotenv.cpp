#include "config/dotenv.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace hearth::config {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

bool is_name(std::string_view text) {
  auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text.front())) &&
         std::all_of(text.begin(), text.end(), is_part);
}

// False when a quote does not end or something follows it.
bool unquote(std::string_view text, std::string& value) {
  bool is_quoted = !text.empty() && (text.front() == '"' || text.front() == '\'');
  if (!is_quoted) {
    size_t comment = text.find(" #");
    value = trimmed(text.substr(0, comment));
    return true;
  }
  char quote = text.front();
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote) {
      std::string_view rest = trimmed(text.substr(i + 1));
      return rest.empty() || rest.front() == '#';
    }
    bool is_escape = quote == '"' && text[i] == '\\' && i + 1 < text.size();
    if (is_escape) ++i;
    value += is_escape && text[i] == 'n' ? '\n' : text[i];
  }
  return false;
}

}  // namespace

Result<std::vector<DotenvLine>> parse_dotenv(std::string_view text) {
  std::vector<DotenvLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = trimmed(line.substr(7));
    size_t equals = line.find('=');
    DotenvLine found{.line = number};
    if (equals != line.npos) found.name = trimmed(line.substr(0, equals));
    if (!is_name(found.name)) {
      return unexpected(Code::kInvalidArgument, fmt::format("{}: expected NAME=value", number));
    }
    if (!unquote(trimmed(line.substr(equals + 1)), found.value)) {
      return unexpected(Code::kInvalidArgument, fmt::format("{}: the quote of {} does not end", number, found.name));
    }
    lines.push_back(std::move(found));
  }
  return lines;
}

}  // namespace hearth::config
