// The table of every field: the only place that knows its name, type, default, limits and meaning.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.h"

namespace hearth::config {

enum class Kind { kText, kInteger, kNumber, kFlag, kBytes, kDuration, kTextList, kPath, kBatch };

/// A parsed value: bytes and milliseconds are integers; monostate is "auto" (an empty size).
using Setting = std::variant<std::monostate, bool, int64_t, double, std::string, std::vector<std::string>>;

/// Where a field's value goes: the configuration, or the named table it belongs to.
struct Target {
  Config& config;
  ModelProfile* model = nullptr;
  Preset* preset = nullptr;
};

struct Field {
  std::string_view section;  // "server", ..., or "models" for each [models."NAME"], "presets" for each [presets.NAME]
  std::string_view key;
  Kind kind;
  std::string_view fallback;  // as it would be written in the environment; of named tables: what applies if unset
  double least, most;         // numbers, bytes, milliseconds
  std::string_view choices;   // "f16 bf16 f32"; "" any
  std::string_view help;
  void (*set)(const Target&, const Setting&);
  bool is_secret = false;

  /// One of a table that a user names, such as [models."NAME"].
  bool is_of_named() const { return section == "models" || section == "presets"; }
  std::string path() const { return std::string(section) + "." + std::string(key); }
  /// "HEARTH_SERVER_PORT"; "" for fields of named tables.
  std::string env() const;
};

/// A HEARTH_* variable of the environment that is no field of the configuration.
struct Variable {
  std::string_view name;  // "HEARTH_CACHE"; "HEARTH_TEST_*" stands for every name that begins so
  std::string_view help;

  bool covers(std::string_view other) const;
};

std::span<const Field> fields();
std::span<const Variable> other_variables();
/// nullptr when there is none.
const Field* find_field(std::string_view section, std::string_view key);

/// "a whole number from 1 to 65535": what `field` accepts, for messages and tables.
std::string wanted(const Field& field);
/// "text", "whole number", "size", ...
std::string_view kind_name(Kind kind);

/// Reads environment, flag and default text. The error says what was wanted.
Result<Setting> parse_setting(const Field& field, std::string_view text);
/// Range and choices, for a setting that came with its type.
Result<void> check_limits(const Field& field, const Setting& setting);
/// As parse_setting reads it back.
std::string write_setting(const Field& field, const Setting& setting);

}  // namespace hearth::config
