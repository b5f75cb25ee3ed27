#include "config/render.h"

#include <algorithm>

#include <fmt/format.h>

#include "config/fields.h"

namespace hearth::config {
namespace {

constexpr std::string_view kMask = "********";

// `text` as TOML writes a value of this kind.
std::string as_toml(Kind kind, std::string_view text) {
  switch (kind) {
    case Kind::kInteger:
    case Kind::kNumber:
    case Kind::kFlag: return std::string(text);
    case Kind::kBatch: return text.starts_with("auto") ? fmt::format("\"{}\"", text) : std::string(text);
    case Kind::kTextList: return text.empty() ? "[]" : fmt::format("[\"{}\"]", text);
    default: return fmt::format("\"{}\"", text);
  }
}

// What a model's table may look like; its defaults lie elsewhere and cannot be written down. A preset's can, but for
// its size.
std::string_view sample(const Field& field) {
  struct Sample {
    std::string_view key, text;
  };
  if (field.section == "presets") {
    if (field.fallback.starts_with("pictures.")) return find_field("pictures", field.key)->fallback;
    return field.key == "width" || field.key == "height" ? "1024" : field.fallback;
  }
  constexpr Sample kSamples[] = {{"path", "/srv/models/qwen3-8b.gguf"},
                                 {"alias", "qwen"},
                                 {"context", "16384"},
                                 {"state_dtype", "f16"},
                                 {"keep_alive", "2h"},
                                 {"pin", "true"},
                                 {"temperature", "0.7"},
                                 {"top_k", "40"},
                                 {"top_p", "0.95"},
                                 {"min_p", "0.05"},
                                 {"typical_p", "0.95"},
                                 {"repetition_penalty", "1.1"},
                                 {"presence_penalty", "0.5"},
                                 {"frequency_penalty", "0.5"},
                                 {"seed", "1"},
                                 {"chat_template", "qwen3.jinja"}};
  for (const Sample& known : kSamples) {
    if (known.key == field.key) return known.text;
  }
  return "";
}

std::string table_head(std::string_view section) {
  if (section == "models") {
    return "\n# One table a model, under the name that clients ask for.\n# [models.\"qwen3-8b\"]\n";
  }
  if (section == "presets") return "\n# One table a preset, or changes to a shipped one.\n# [presets.sketch]\n";
  return fmt::format("\n[{}]\n", section);
}

std::string escaped_cell(std::string text) {
  for (size_t at = text.find('|'); at != text.npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

std::string table_row(const Field& field) {
  std::string fallback = field.is_of_named() && field.kind != Kind::kFlag
                             ? std::string(field.fallback.empty() ? "unset" : field.fallback)
                             : fmt::format("`{}`", as_toml(field.kind, field.fallback));
  std::string env = field.is_of_named() ? "" : fmt::format(" `{}` |", field.env());
  return fmt::format("| `{}` | {} | {} |{} {} |\n", field.key, escaped_cell(wanted(field)), fallback, env,
                     escaped_cell(std::string(field.help)));
}

}  // namespace

std::string show(const Config& config) {
  std::string text =
      config.file.empty() ? "# no configuration file\n" : fmt::format("# file: {}\n", config.file.string());
  size_t width = 0;
  for (const Effective& value : config.effective) width = std::max(width, value.path.size());
  for (const Effective& value : config.effective) {
    std::string_view shown = value.is_secret && !value.text.empty() ? kMask : std::string_view(value.text);
    text += fmt::format("{:<{}} = {:<24} # {}\n", value.path, width, shown.empty() ? "(empty)" : shown, value.origin);
  }
  return text;
}

std::string example() {
  std::string text = "# hearth.toml: every field with its default. Uncomment what you change.\n";
  std::string_view section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      section = field.section;
      text += table_head(section);
    }
    std::string_view value = field.is_of_named() ? sample(field) : field.fallback;
    text += fmt::format("# {}\n# {} = {}\n", field.help, field.key, as_toml(field.kind, value));
  }
  return text;
}

std::string markdown() {
  std::string text;
  std::string_view section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      section = field.section;
      const bool is_named = field.is_of_named();
      text += fmt::format("{}## `{}`\n\n", text.empty() ? "" : "\n",
                          section == "models"    ? "[models.\"NAME\"]"
                          : section == "presets" ? "[presets.NAME]"
                                                 : fmt::format("[{}]", section));
      text += is_named ? "| key | wanted | when unset | meaning |\n|---|---|---|---|\n"
                       : "| key | wanted | default | environment | meaning |\n|---|---|---|---|---|\n";
    }
    text += table_row(field);
  }
  return text;
}

std::string variables_markdown() {
  std::string text = "| variable | meaning |\n|---|---|\n";
  for (const Variable& variable : other_variables()) {
    text += fmt::format("| `{}` | {} |\n", variable.name, variable.help);
  }
  return text;
}

}  // namespace hearth::config
