// The layers, one after the other, into one Config. Problems are collected, so that one run shows them all.
#include <algorithm>
#include <climits>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <fmt/format.h>
#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>
#include <unistd.h>

#include "config/config.h"
#include "config/dotenv.h"
#include "config/fields.h"
#include "config/presets.h"
#include "core/base/nearest.h"

namespace hearth::config {
namespace {

constexpr const char* kFileName = "hearth.toml";

struct EnvValue {
  std::string value, origin;
};
using Environment = std::map<std::string, EnvValue>;

Result<std::string> read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return unexpected(Code::kNotFound, fmt::format("cannot read {}", path.string()));
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::string_view toml_kind(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "table";
    case toml::node_type::array: return "list";
    case toml::node_type::string: return "text";
    case toml::node_type::integer: return "whole number";
    case toml::node_type::floating_point: return "number";
    case toml::node_type::boolean: return "true or false";
    default: return "date or time";
  }
}

std::string toml_text(const toml::node& node) {
  std::ostringstream text;
  if (auto* value = node.as_string()) {
    text << '"' << value->get() << '"';
  } else if (auto* number = node.as_integer()) {
    text << number->get();
  } else if (auto* real = node.as_floating_point()) {
    text << real->get();
  } else if (auto* flag = node.as_boolean()) {
    text << (flag->get() ? "true" : "false");
  } else {
    return fmt::format("a {}", toml_kind(node));
  }
  return text.str();
}

// The node as a setting; nothing when its type is not the field's.
std::optional<Setting> from_toml(const Field& field, const toml::node& node) {
  switch (field.kind) {
    case Kind::kFlag:
      if (auto* flag = node.as_boolean()) return Setting(flag->get());
      return std::nullopt;
    case Kind::kInteger:
      if (auto* number = node.as_integer()) return Setting(number->get());
      return std::nullopt;
    case Kind::kNumber:
      if (auto* number = node.as_integer()) return Setting(static_cast<double>(number->get()));
      if (auto* real = node.as_floating_point()) return Setting(real->get());
      return std::nullopt;
    case Kind::kBatch: {
      const auto* number = node.as_integer();
      if (!number && !node.is_string()) return std::nullopt;
      const std::string text = number ? std::to_string(number->get()) : node.as_string()->get();
      return parse_batch(text) ? std::optional(Setting(text)) : std::nullopt;
    }
    case Kind::kTextList: {
      if (!node.is_array()) return std::nullopt;
      std::vector<std::string> items;
      for (const toml::node& item : *node.as_array()) {
        if (!item.is_string()) return std::nullopt;
        items.push_back(item.as_string()->get());
      }
      return Setting(std::move(items));
    }
    case Kind::kBytes:
      if (auto* number = node.as_integer()) return Setting(number->get());
      [[fallthrough]];
    default:
      if (!node.is_string()) return std::nullopt;
      if (auto setting = parse_setting(field, node.as_string()->get())) return *setting;
      return std::nullopt;
  }
}

class Loader {
 public:
  explicit Loader(const LoadOptions& options) : options_(options) {}
  Result<Config> run();

 private:
  // Problems of the file come first, in its order.
  struct Place {
    std::string text;
    int line = INT_MAX;
  };
  struct Problem {
    int line;
    std::string text;
  };

  Result<void> read_environment();
  Result<fs::path> find_file() const;
  void apply_file(const fs::path& path, const std::string& text);
  void apply_section(const std::string& section, const toml::table& table);
  void apply_named(const std::string& section, const std::string& name, const toml::node& node);
  void apply_node(const Field& field, const Target& target, const toml::node& node, const std::string& shown_path);
  void apply_environment();
  void apply_flags();
  void apply_text(const Field& field, std::string_view text, const std::string& origin);
  void put(const Field& field, const Target& target, Setting setting, std::string shown_path, std::string origin);
  void unknown_key(const Place& place, std::string_view what, std::string_view key,
                   const std::vector<std::string>& known);
  void complain(const Place& place, std::string what) { problems_.push_back({place.line, place.text + ": " + what}); }
  void check_aliases();
  Place place(const toml::node& node) const {
    int line = static_cast<int>(node.source().begin.line);
    return {fmt::format("{}:{}", file_label_, line), line};
  }
  std::string env(const std::string& name) const {
    auto found = environment_.find(name);
    return found == environment_.end() ? "" : found->second.value;
  }

  const LoadOptions& options_;
  Config config_;
  Environment environment_;
  std::string file_label_;
  fs::path file_folder_;
  std::vector<Problem> problems_;
};

std::vector<std::string> keys_of(std::string_view section) {
  std::vector<std::string> keys;
  for (const Field& field : fields()) {
    if (field.section == section) keys.emplace_back(field.key);
  }
  return keys;
}

Result<void> Loader::read_environment() {
  fs::path dotenv = options_.folder / ".env";
  std::error_code ignored;
  if (fs::is_regular_file(dotenv, ignored)) {
    auto text = read_file(dotenv);
    if (!text) return unexpected(text.error());
    auto lines = parse_dotenv(*text);
    if (!lines) return unexpected(Code::kInvalidArgument, fmt::format(".env:{}", lines.error().message()));
    for (DotenvLine& line : *lines) environment_[line.name] = {line.value, fmt::format(".env:{}", line.line)};
  }
  std::vector<std::string> own;
  for (char** entry = environ; !options_.environment && entry && *entry; ++entry) own.emplace_back(*entry);
  for (const std::string& entry : options_.environment ? *options_.environment : own) {
    size_t equals = entry.find('=');
    if (equals == entry.npos) continue;
    std::string name = entry.substr(0, equals);
    environment_[name] = {entry.substr(equals + 1), name};
  }
  return {};
}

Result<fs::path> Loader::find_file() const {
  std::error_code ignored;
  std::string from_env = env("HEARTH_CONFIG");
  for (const auto& [path, who] :
       {std::pair{options_.file, "--config"}, std::pair{fs::path(from_env), "HEARTH_CONFIG"}}) {
    if (path.empty()) continue;
    if (fs::is_regular_file(path, ignored)) return path;
    return unexpected(Code::kNotFound, fmt::format("{} names {}, which is no file", who, path.string()));
  }
  std::string home = env("XDG_CONFIG_HOME");
  if (home.empty() && !env("HOME").empty()) home = env("HOME") + "/.config";
  std::vector<fs::path> places = {options_.folder / kFileName};
  if (!home.empty()) places.push_back(fs::path(home) / "hearth" / kFileName);
  for (const fs::path& path : places) {
    if (fs::is_regular_file(path, ignored)) return path;
  }
  return fs::path();
}

Result<Config> Loader::run() {
  if (auto read = read_environment(); !read) return unexpected(read.error());
  config_.presets = shipped_presets();
  for (const Field& field : fields()) {
    if (!field.is_of_named()) apply_text(field, field.fallback, "default");
  }
  auto path = find_file();
  if (!path) return unexpected(path.error());
  if (!path->empty()) {
    auto text = read_file(*path);
    if (!text) return unexpected(text.error());
    config_.file = *path;
    apply_file(*path, *text);
  }
  apply_environment();
  apply_flags();
  check_aliases();
  if (problems_.empty()) return std::move(config_);
  std::ranges::stable_sort(problems_, {}, &Problem::line);
  std::string text;
  for (const Problem& problem : problems_) text += (text.empty() ? "" : "\n") + problem.text;
  return unexpected(Code::kInvalidArgument, text);
}

void Loader::apply_file(const fs::path& path, const std::string& text) {
  file_label_ = path.filename().string();
  file_folder_ = path.parent_path();
  try {
    toml::table root = toml::parse(text);
    for (const auto& [key, node] : root) {
      std::string section(key.str());
      const bool is_named = section == "models" || section == "presets";
      if (keys_of(section).empty()) {
        unknown_key(place(node), "section", section,
                    {"server", "memory", "llm", "pictures", "planner", "models", "presets"});
      } else if (!node.is_table()) {
        complain(place(node), fmt::format("{} is {}, wanted a table [{}]", section, toml_text(node), section));
      } else if (is_named) {
        for (const auto& [name, table] : *node.as_table()) apply_named(section, std::string(name.str()), table);
      } else {
        apply_section(section, *node.as_table());
      }
    }
  } catch (const toml::parse_error& problem) {
    const auto& at = problem.source().begin;
    complain({fmt::format("{}:{}:{}", file_label_, at.line, at.column), static_cast<int>(at.line)},
             std::string(problem.description()));
  }
}

void Loader::apply_section(const std::string& section, const toml::table& table) {
  for (const auto& [key, node] : table) {
    const Field* field = find_field(section, key.str());
    if (field) {
      apply_node(*field, {config_}, node, field->path());
    } else {
      unknown_key(place(node), fmt::format("key in [{}]", section), key.str(), keys_of(section));
    }
  }
}

void Loader::apply_named(const std::string& section, const std::string& name, const toml::node& node) {
  const std::string shown = fmt::format("{}.\"{}\"", section, name);
  if (!node.is_table()) {
    complain(place(node), fmt::format("{}.{} is {}, wanted a table [{}]", section, name, toml_text(node), shown));
    return;
  }
  Target target{config_};
  if (section == "models") {
    target.model = &config_.models.emplace_back(ModelProfile{.name = name});
  } else {
    auto known = std::ranges::find(config_.presets, name, &Preset::name);
    target.preset = known != config_.presets.end() ? &*known : &config_.presets.emplace_back(Preset{.name = name});
  }
  for (const auto& [key, value] : *node.as_table()) {
    const Field* field = find_field(section, key.str());
    if (field) {
      apply_node(*field, target, value, fmt::format("{}.{}", shown, field->key));
    } else {
      unknown_key(place(value), fmt::format("key in [{}]", shown), key.str(), keys_of(section));
    }
  }
}

void Loader::apply_node(const Field& field, const Target& target, const toml::node& node,
                        const std::string& shown_path) {
  auto setting = from_toml(field, node);
  if (!setting || !check_limits(field, *setting)) {
    std::string got = field.is_secret ? fmt::format("a {}", toml_kind(node)) : toml_text(node);
    complain(place(node), fmt::format("{} is {}, wanted {}", shown_path, got, wanted(field)));
    return;
  }
  // A relative path in a file is meant from the file, wherever the program is started.
  auto* path = field.kind == Kind::kPath ? std::get_if<std::string>(&*setting) : nullptr;
  bool is_relative = path && !path->empty() && path->front() != '/' && path->front() != '~';
  if (is_relative) *path = (file_folder_ / *path).string();
  put(field, target, *std::move(setting), shown_path, place(node).text);
}

void Loader::apply_environment() {
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    if (field.is_of_named()) continue;
    names.push_back(field.env());
    auto found = environment_.find(field.env());
    if (found != environment_.end()) apply_text(field, found->second.value, found->second.origin);
  }
  for (const Variable& other : other_variables()) names.emplace_back(other.name);
  for (const auto& [name, value] : environment_) {
    if (!name.starts_with("HEARTH_") || std::ranges::find(names, name) != names.end()) continue;
    const std::string& asked = name;
    if (std::ranges::any_of(other_variables(), [&](const Variable& other) { return other.covers(asked); })) continue;
    unknown_key({value.origin}, "variable", name, names);
  }
}

void Loader::apply_flags() {
  std::vector<std::string> paths;
  for (const Field& field : fields()) {
    if (!field.is_of_named()) paths.push_back(field.path());
  }
  for (const auto& [path, text] : options_.flags) {
    size_t dot = path.find('.');
    const Field* field = dot == path.npos ? nullptr : find_field(path.substr(0, dot), path.substr(dot + 1));
    if (field && !field->is_of_named()) {
      apply_text(*field, text, "flag");
    } else {
      unknown_key({"flag"}, "key", path, paths);
    }
  }
}

void Loader::apply_text(const Field& field, std::string_view text, const std::string& origin) {
  auto setting = parse_setting(field, text);
  if (setting) return put(field, {config_}, *std::move(setting), field.path(), origin);
  complain({origin},
           fmt::format("{} is '{}', {}", field.path(), field.is_secret ? "..." : text, setting.error().message()));
}

void Loader::put(const Field& field, const Target& target, Setting setting, std::string shown_path,
                 std::string origin) {
  auto* path = field.kind == Kind::kPath ? std::get_if<std::string>(&setting) : nullptr;
  if (path && path->starts_with("~/") && !env("HOME").empty()) *path = env("HOME") + path->substr(1);
  field.set(target, setting);
  Effective value{std::move(shown_path), write_setting(field, setting), std::move(origin), field.is_secret};
  auto known = std::ranges::find(config_.effective, value.path, &Effective::path);
  if (known != config_.effective.end()) {
    *known = std::move(value);
  } else {
    config_.effective.push_back(std::move(value));
  }
}

void Loader::unknown_key(const Place& place, std::string_view what, std::string_view key,
                         const std::vector<std::string>& known) {
  std::string nearest = nearest_name(key, known);
  std::string hint = nearest.empty() ? fmt::format("; there are: {}", fmt::join(known, ", "))
                                     : fmt::format(", did you mean '{}'?", nearest);
  complain(place, fmt::format("unknown {} '{}'{}", what, key, hint));
}

void Loader::check_aliases() {
  std::map<std::string, std::string> owners;
  for (const ModelProfile& model : config_.models) owners[model.name] = model.name;
  for (const ModelProfile& model : config_.models) {
    for (const std::string& alias : model.alias) {
      auto [owner, is_new] = owners.emplace(alias, model.name);
      if (is_new) continue;
      complain({file_label_}, fmt::format("models.\"{}\".alias '{}' already stands for model \"{}\"", model.name, alias,
                                          owner->second));
    }
  }
}

}  // namespace

Result<Config> load(const LoadOptions& options) { return Loader(options).run(); }

}  // namespace hearth::config
