#include "api/common/fields.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace hearth::api {
namespace {

constexpr size_t kMaxNameBytes = 64;

bool is_whole(const Value& value) {
  if (value.is_integer()) return true;
  return value.is_number() && value.as_double() == std::trunc(value.as_double()) && std::abs(value.as_double()) < 9e18;
}

bool has_kind(FieldKind kind, const Value& value) {
  switch (kind) {
    case FieldKind::kBool: return value.is_bool();
    case FieldKind::kInteger: return is_whole(value);
    case FieldKind::kNumber: return value.is_number();
    case FieldKind::kString: return value.is_string();
    case FieldKind::kList: return value.is_list();
    case FieldKind::kObject: return value.is_object();
    case FieldKind::kStringOrList: return value.is_string() || value.is_list();
    case FieldKind::kAny: return true;
  }
  return false;
}

std::string_view kind_text(FieldKind kind) {
  switch (kind) {
    case FieldKind::kBool: return "a boolean";
    case FieldKind::kInteger: return "an integer";
    case FieldKind::kNumber: return "a number";
    case FieldKind::kString: return "a string";
    case FieldKind::kList: return "an array";
    case FieldKind::kObject: return "an object";
    case FieldKind::kStringOrList: return "a string or an array";
    case FieldKind::kAny: return "any value";
  }
  return "any value";
}

std::string limits_text(const FieldInfo& info) {
  bool has_min = std::isfinite(info.min), has_max = std::isfinite(info.max);
  const char* unit = info.kind == FieldKind::kList || info.kind == FieldKind::kStringOrList ? " items" : "";
  if (has_min && has_max) return fmt::format(" from {} to {}{}", info.min, info.max, unit);
  if (has_min) return fmt::format(" of at least {}{}", info.min, unit);
  if (has_max) return fmt::format(" of at most {}{}", info.max, unit);
  return "";
}

std::string shown(const Value& value) {
  if (value.is_number()) return fmt::format("{}", value.as_double());
  if (value.is_list()) return fmt::format("{} items", value.size());
  return std::string(value.kind_name());
}

}  // namespace

Result<void> check_field(const FieldInfo& info, const Value& value) {
  if (!has_kind(info.kind, value)) {
    std::string got = info.kind == FieldKind::kInteger && value.is_number() ? shown(value)
                                                                            : std::string(value.kind_name());
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' must be {}{}, got {}", info.name, kind_text(info.kind),
                                                          limits_text(info), got));
  }
  double measure = value.is_number() ? value.as_double() : value.is_list() ? static_cast<double>(value.size()) : NAN;
  if (measure < info.min || measure > info.max) {
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' must be {}{}, got {}", info.name, kind_text(info.kind),
                                                          limits_text(info), shown(value)));
  }
  return {};
}

Result<void> missing_field(const FieldInfo& info) {
  return unexpected(Code::kInvalidArgument,
                    fmt::format("'{}' is missing: expected {}{}", info.name, kind_text(info.kind), limits_text(info)));
}

void note_unknown(ParseNotes& notes, std::string_view name) {
  if (notes.unknown_fields.size() >= kMaxUnknownNames) return;
  std::string clean(name.substr(0, kMaxNameBytes));
  std::replace_if(clean.begin(), clean.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  notes.unknown_fields.push_back(std::move(clean));
}

std::string render_markdown(std::span<const FieldInfo> fields) {
  std::string out = "| field | kind | default | meaning |\n|---|---|---|---|\n";
  for (const FieldInfo& info : fields) {
    out += fmt::format("| `{}`{} | {}{} | {} | {} |\n", info.name, info.is_required ? " (required)" : "",
                       kind_text(info.kind), limits_text(info), info.fallback, info.help);
  }
  return out;
}

}  // namespace hearth::api
