// Text to settings and back, and what each kind of field accepts.
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "config/duration.h"
#include "config/fields.h"
#include "core/base/units.h"

namespace hearth::config {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> whole_text_as(std::string_view text) {
  Number value{};
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    if (auto item = trimmed(text.substr(0, comma)); !item.empty()) items.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

std::optional<Setting> read(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kText:
    case Kind::kPath: return std::string(text);
    case Kind::kTextList: return split_list(text);
    case Kind::kFlag:
      if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
      if (text == "false" || text == "0" || text == "no" || text == "off") return false;
      return std::nullopt;
    case Kind::kInteger:
      if (auto number = whole_text_as<int64_t>(text)) return *number;
      return std::nullopt;
    case Kind::kNumber:
      if (auto number = whole_text_as<double>(text); number && std::isfinite(*number)) return *number;
      return std::nullopt;
    case Kind::kBytes:
      if (text.empty() || text == "auto") return Setting();
      if (auto bytes = parse_bytes(text)) return *bytes;
      return std::nullopt;
    case Kind::kBatch:
      if (parse_batch(text)) return std::string(text);
      return std::nullopt;
    case Kind::kDuration:
      if (auto duration = parse_duration(text)) return int64_t{duration->count()};
      return std::nullopt;
  }
  return std::nullopt;
}

bool is_choice(std::string_view choices, std::string_view text) {
  std::string padded = fmt::format(" {} ", choices);
  return !text.empty() && text.find(' ') == text.npos && padded.find(fmt::format(" {} ", text)) != padded.npos;
}

// A size that parse_bytes reads back exactly.
std::string write_bytes(int64_t bytes) {
  if (bytes != 0 && bytes % GiB == 0) return fmt::format("{}GiB", bytes / GiB);
  if (bytes != 0 && bytes % MiB == 0) return fmt::format("{}MiB", bytes / MiB);
  if (bytes != 0 && bytes % KiB == 0) return fmt::format("{}KiB", bytes / KiB);
  return fmt::format("{}B", bytes);
}

std::string range_of(const Field& field) {
  switch (field.kind) {
    case Kind::kBytes:
      return fmt::format("from {} to {}", write_bytes(static_cast<int64_t>(field.least)),
                         write_bytes(static_cast<int64_t>(field.most)));
    case Kind::kDuration:
      return fmt::format("from {} to {}", write_duration(std::chrono::milliseconds(static_cast<int64_t>(field.least))),
                         write_duration(std::chrono::milliseconds(static_cast<int64_t>(field.most))));
    default: return fmt::format("from {} to {}", field.least, field.most);
  }
}

constexpr int64_t kMostBatch = 4096, kMostAutoBatch = 8;

}  // namespace

Result<Batch> parse_batch(std::string_view text) {
  Batch batch{.most = kMostAutoBatch};
  if (text == "auto") return batch.is_auto = true, batch;
  batch.is_auto = text.starts_with("auto:");
  const auto most = whole_text_as<int64_t>(batch.is_auto ? text.substr(5) : text);
  if (most && *most >= 1 && *most <= kMostBatch) return batch.most = *most, batch;
  return unexpected(Code::kInvalidArgument, fmt::format("batch: got '{}', wanted a whole number from 1 to {}, auto or "
                                                        "auto:N for at most N",
                                                        text, kMostBatch));
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kText: return "text";
    case Kind::kInteger: return "whole number";
    case Kind::kNumber: return "number";
    case Kind::kFlag: return "true or false";
    case Kind::kBytes: return "size";
    case Kind::kDuration: return "duration";
    case Kind::kTextList: return "list of texts";
    case Kind::kPath: return "path";
    case Kind::kBatch: return "number or auto";
  }
  return "";
}

std::string wanted(const Field& field) {
  switch (field.kind) {
    case Kind::kText:
      if (field.choices.empty()) return "a text";
      return fmt::format("one of {}", fmt::join(split_list([&] {
                                                  std::string list(field.choices);
                                                  for (char& c : list) c = c == ' ' ? ',' : c;
                                                  return list;
                                                }()),
                                                ", "));
    case Kind::kPath: return "a path";
    case Kind::kFlag: return "true or false";
    case Kind::kTextList: return "a list of texts";
    case Kind::kInteger: return fmt::format("a whole number {}", range_of(field));
    case Kind::kNumber: return fmt::format("a number {}", range_of(field));
    case Kind::kBytes: return fmt::format("a size such as 512MiB or 1.5GiB, {}", range_of(field));
    case Kind::kBatch: return fmt::format("a whole number {}, auto or auto:N", range_of(field));
    case Kind::kDuration: return fmt::format("a duration such as 30s, 5m or 2h, {}", range_of(field));
  }
  return "";
}

Result<void> check_limits(const Field& field, const Setting& setting) {
  bool is_fine = true;
  if (auto* number = std::get_if<int64_t>(&setting)) {
    is_fine = static_cast<double>(*number) >= field.least && static_cast<double>(*number) <= field.most;
  } else if (auto* real = std::get_if<double>(&setting)) {
    is_fine = *real >= field.least && *real <= field.most;
  } else if (auto* text = std::get_if<std::string>(&setting)) {
    is_fine = field.choices.empty() || is_choice(field.choices, *text);
  } else if (std::holds_alternative<std::monostate>(setting)) {
    is_fine = field.fallback.empty();
  }
  if (is_fine) return {};
  return unexpected(Code::kInvalidArgument, fmt::format("wanted {}", wanted(field)));
}

Result<Setting> parse_setting(const Field& field, std::string_view text) {
  auto setting = read(field.kind, text);
  if (!setting) return unexpected(Code::kInvalidArgument, fmt::format("wanted {}", wanted(field)));
  if (auto fits = check_limits(field, *setting); !fits) return unexpected(fits.error());
  return *std::move(setting);
}

std::string write_setting(const Field& field, const Setting& setting) {
  if (std::holds_alternative<std::monostate>(setting)) return "auto";
  if (auto* flag = std::get_if<bool>(&setting)) return *flag ? "true" : "false";
  if (auto* real = std::get_if<double>(&setting)) return fmt::format("{}", *real);
  if (auto* list = std::get_if<std::vector<std::string>>(&setting)) return fmt::format("{}", fmt::join(*list, ", "));
  if (auto* text = std::get_if<std::string>(&setting)) return *text;
  int64_t number = std::get<int64_t>(setting);
  if (field.kind == Kind::kBytes) return write_bytes(number);
  if (field.kind == Kind::kDuration) return write_duration(std::chrono::milliseconds(number));
  return fmt::format("{}", number);
}

}  // namespace hearth::config
