#include "fetch/pull/source.h"

#include <cctype>
#include <regex>

#include <fmt/format.h>

#include "core/base/files.h"

namespace hearth::fetch {

Result<Source> parse_source(std::string_view text) {
  if (text.starts_with("hf:")) return Source{Source::Kind::kHub, std::string(text.substr(3))};
  if (text.starts_with("https://") || text.starts_with("http://")) return Source{Source::Kind::kWeb, std::string(text)};
  bool is_marked = text.starts_with("file:");
  std::string path(is_marked ? text.substr(5) : text);
  if (is_marked && path.starts_with("//")) path.erase(0, 2);  // file:///home/me/x
  std::error_code problem;
  if (!path.empty() && fs::exists(path, problem)) return Source{Source::Kind::kPath, path};
  if (is_marked) return unexpected(Code::kNotFound, fmt::format("{} does not exist", path));
  static const std::regex repo("[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(:.*)?");
  std::string hint = std::regex_match(path, repo) ? fmt::format("; did you mean hf:{}?", path) : "";
  return unexpected(Code::kInvalidArgument, fmt::format("'{}' is no file here and no source; write a path, file:PATH, "
                                                        "hf:owner/repo[:file] or https://...{}",
                                                        text, hint));
}

std::string name_from_source(std::string_view text) {
  while (text.ends_with('/')) text.remove_suffix(1);
  if (text.starts_with("hf:")) text = text.substr(0, text.find(':', 3));
  if (size_t query = text.find('?'); query != text.npos) text = text.substr(0, query);
  text = text.substr(text.find_last_of("/:") + 1);
  if (text.ends_with(".whl")) text = text.substr(0, text.find('-'));
  for (std::string_view ending : {".gguf", ".safetensors"}) {
    if (text.ends_with(ending)) text.remove_suffix(ending.size());
  }
  std::string name;
  for (char c : text) {
    auto letter = static_cast<unsigned char>(c);
    bool is_plain = std::isalnum(letter) || c == '.' || c == '_' || c == '-';
    if (is_plain && (!name.empty() || std::isalnum(letter))) name += static_cast<char>(std::tolower(letter));
  }
  return name.empty() ? "model" : name;
}

}  // namespace hearth::fetch
