#include "machine/root.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "machine/tool.h"

namespace hearth::machine {
namespace {

namespace fs = std::filesystem;

constexpr std::streamsize kMostBytes = 4 << 20;

// Files of /proc state no size: read until the end.
std::optional<std::string> read_whole(const std::string& path, std::streamsize most = kMostBytes) {
  std::error_code failure;
  if (!fs::exists(path, failure) || fs::is_directory(path, failure)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string text(std::min<size_t>(1 << 14, static_cast<size_t>(most)), '\0');
  std::streamsize size = 0;
  while (size < most) {
    if (size == static_cast<std::streamsize>(text.size())) text.resize(text.size() * 2);
    file.read(text.data() + size, std::min(static_cast<std::streamsize>(text.size()), most) - size);
    if (file.gcount() == 0) break;
    size += file.gcount();
  }
  if (file.bad()) return std::nullopt;
  text.resize(static_cast<size_t>(size));
  return text;
}

// "exit N\n<output>"
std::optional<ToolOutput> recorded_output(const std::string& text) {
  constexpr std::string_view kHead = "exit ";
  if (!text.starts_with(kHead)) return std::nullopt;
  ToolOutput output;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data() + kHead.size(), end, output.exit_status);
  if (failure != std::errc()) return std::nullopt;
  output.text.assign(rest < end ? rest + 1 : end, end);
  return output;
}

}  // namespace

std::optional<std::string> Root::text(std::string_view path) const {
  std::optional<std::string> text = read_whole(resolve(path));
  if (witness_ && text) witness_->saw_text(path, *text);
  return text;
}

std::optional<std::string> Root::head(std::string_view path, size_t size) const {
  std::optional<std::string> text = read_whole(resolve(path), static_cast<std::streamsize>(size));
  if (witness_ && text) witness_->saw_text(path, *text);
  return text;
}

std::vector<std::string> Root::names(std::string_view folder) const {
  std::vector<std::string> names;
  std::error_code failure;
  fs::directory_iterator entries(resolve(folder), failure);
  for (; !failure && entries != fs::directory_iterator(); entries.increment(failure)) {
    names.push_back(entries->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  if (witness_ && !names.empty()) witness_->saw_names(folder, names);
  return names;
}

bool Root::has(std::string_view path) const {
  std::error_code failure;
  const bool exists = fs::exists(resolve(path), failure);
  if (witness_ && exists) witness_->saw_names(fs::path(path).parent_path().string(), {fs::path(path).filename()});
  return exists;
}

std::optional<std::string> Root::link(std::string_view path) const {
  std::error_code failure;
  const fs::path target = fs::read_symlink(resolve(path), failure);
  if (failure) return std::nullopt;
  if (witness_) witness_->saw_link(path, target.string());
  return target.string();
}

std::optional<ToolOutput> Root::run(const Command& command, std::chrono::milliseconds limit) const {
  std::optional<ToolOutput> output;
  if (!is_recorded()) {
    output = run_tool(command, limit);
  } else if (const std::optional<std::string> recorded = read_whole(resolve("/tools/" + tool_file(command)))) {
    output = recorded_output(*recorded);
  }
  if (witness_ && output) witness_->saw_output(command, *output);
  return output;
}

std::string tool_file(const Command& command) {
  constexpr std::string_view kPlainSigns = "-=.,";
  std::string name;
  for (const std::string& word : command) {
    if (!name.empty()) name += '_';
    for (char c : word) {
      const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) || kPlainSigns.find(c) != kPlainSigns.npos;
      name += is_plain ? c : '_';
    }
  }
  return name;
}

std::string first_line(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::optional<std::string> field_of(std::string_view text, std::string_view key) {
  for (const std::string& line : lines_of(text)) {
    std::string_view rest = line;
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (!rest.starts_with(key)) continue;
    rest.remove_prefix(key.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    if (rest.empty() || (rest[0] != ':' && rest[0] != '=')) continue;
    rest.remove_prefix(1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\""), rest.size()));
    const size_t last = rest.find_last_not_of(" \t\r\"");
    return std::string(rest.substr(0, last == rest.npos ? 0 : last + 1));
  }
  return std::nullopt;
}

}  // namespace hearth::machine
