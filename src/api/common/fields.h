// Request fields are declared once: name, kind, limits, default and help in a table row, plus where the value goes.
// The same row gives parsing, the text of every refusal and the documentation table.
#pragma once
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::api {

enum class FieldKind { kBool, kInteger, kNumber, kString, kList, kObject, kStringOrList, kAny };

struct FieldInfo {
  std::string_view name;
  FieldKind kind = FieldKind::kAny;
  std::string_view help;
  std::string_view fallback;  // what an absent or null field means, for the documentation
  double min = -std::numeric_limits<double>::infinity();  // of numbers; of a list, its least length
  double max = std::numeric_limits<double>::infinity();   // likewise the largest
  bool is_required = false;
};

template <class Target>
struct Field {
  FieldInfo info;
  Result<void> (*read)(Target&, const Value&) = nullptr;  // null: accepted and ignored
};

/// What parsing says beside its result: the field to blame and the names nobody knows.
struct ParseNotes {
  std::string param;
  std::vector<std::string> unknown_fields;  // at most kMaxUnknownNames, each shortened
};
inline constexpr size_t kMaxUnknownNames = 16;

/// Kind and limits; kInvalidArgument says what was wanted and what was got.
Result<void> check_field(const FieldInfo& info, const Value& value);
Result<void> missing_field(const FieldInfo& info);
void note_unknown(ParseNotes& notes, std::string_view name);

/// "| `temperature` | number, 0 to 2 | 1 | help |" per row, under a header.
std::string render_markdown(std::span<const FieldInfo> fields);

template <class Target>
const Field<Target>* find_field(std::span<const Field<Target>> table, std::string_view name) {
  for (const Field<Target>& field : table) {
    if (field.info.name == name) return &field;
  }
  return nullptr;
}

/// Reads every member of `body` by the table into `target`; null counts as absent.
template <class Target>
Result<void> read_fields(std::span<const Field<Target>> table, const Value& body, Target& target, ParseNotes& notes) {
  if (!body.is_object()) {
    return unexpected(Code::kInvalidArgument,
                      "the body must be a JSON object, got " + std::string(body.kind_name()));
  }
  for (const auto& [name, value] : body.as_object()) {
    const Field<Target>* field = find_field(table, name);
    if (!field) note_unknown(notes, name);
    if (!field || value.is_null() || !field->read) continue;
    notes.param = name;
    if (auto fits = check_field(field->info, value); !fits) return fits;
    if (auto taken = field->read(target, value); !taken) return taken;
  }
  for (const Field<Target>& field : table) {
    if (!field.info.is_required) continue;
    const Value* value = body.find(field.info.name);
    notes.param = field.info.name;
    if (!value || value->is_null()) return missing_field(field.info);
  }
  notes.param.clear();
  return {};
}

}  // namespace hearth::api
