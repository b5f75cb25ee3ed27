#include "fetch/pull/select.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <regex>

#include <fmt/format.h>

#include "core/base/nearest.h"
#include "core/base/units.h"

namespace hearth::fetch {
namespace {

// What most people want first: 4 bits with the least loss, then upwards, then downwards.
constexpr std::array<std::string_view, 12> kPreferred = {"Q4_K_M", "Q4_K_S", "Q4_0",   "Q4_1", "Q5_K_M", "Q5_K_S",
                                                         "Q6_K",   "Q8_0",   "Q3_K_M", "BF16", "F16",    "F32"};

std::string upper(std::string_view text) {
  std::string copy(text);
  for (char& c : copy) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return copy;
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// Whether `tag` stands in `name` as a word of its own: "Q4_K" is not in "Q4_K_M".
bool has_tag(std::string_view name, std::string_view tag) {
  std::string text = upper(name), word = upper(tag);
  auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    size_t end = at + word.size();
    bool starts = at == 0 || !is_word(text[at - 1]), ends = end == text.size() || !is_word(text[end]);
    if (starts && ends) return true;
  }
  return false;
}

// A GGUF model: one file, or all parts of a split one in order.
struct Group {
  std::string name;  // path without the part number
  std::vector<size_t> files;
  int parts = 1;
};

std::vector<Group> gguf_groups(std::span<const Candidate> candidates) {
  static const std::regex split("(.*)-([0-9]{5})-of-([0-9]{5})\\.gguf");
  std::map<std::string, Group> groups;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const std::string& path = candidates[i].path;
    if (!path.ends_with(".gguf")) continue;
    std::smatch match;
    bool is_split = std::regex_match(path, match, split);
    Group& group = groups[is_split ? match[1].str() + ".gguf" : path];
    group.name = is_split ? match[1].str() + ".gguf" : path;
    if (is_split) group.parts = std::stoi(match[3].str());
    group.files.push_back(i);
  }
  std::vector<Group> list;
  for (auto& [name, group] : groups) {
    auto by_path = [&](size_t a, size_t b) { return candidates[a].path < candidates[b].path; };
    std::sort(group.files.begin(), group.files.end(), by_path);
    list.push_back(std::move(group));
  }
  return list;
}

bool is_side_file(const Group& group) { return upper(base_name(group.name)).find("MMPROJ") != std::string::npos; }

std::string listing(std::span<const Candidate> candidates, const std::vector<const Group*>& groups) {
  std::string text;
  for (const Group* group : groups) {
    int64_t bytes = 0;
    for (size_t i : group->files) bytes += std::max<int64_t>(candidates[i].bytes, 0);
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", group->name,
                        bytes > 0 ? fmt::format(" ({})", format_bytes(bytes)) : "");
  }
  return text;
}

std::vector<const Group*> matching(const std::vector<const Group*>& groups, std::string_view tag) {
  std::vector<const Group*> found;
  std::copy_if(groups.begin(), groups.end(), std::back_inserter(found),
               [&](const Group* group) { return has_tag(base_name(group->name), tag); });
  return found;
}

Result<Selection> choose(const Group& group, std::string note) {
  if (std::ssize(group.files) != group.parts) {
    return unexpected(Code::kCorruptFile, fmt::format("{} is split into {} parts, {} are here; get the missing ones",
                                                      group.name, group.parts, group.files.size()));
  }
  return Selection{group.files, std::move(note)};
}

Result<Selection> pick_gguf(std::span<const Candidate> candidates, const std::vector<const Group*>& groups) {
  if (groups.size() == 1) return choose(*groups.front(), "");
  for (std::string_view tag : kPreferred) {
    auto found = matching(groups, tag);
    if (found.empty()) continue;
    if (found.size() > 1) break;
    return choose(*found.front(), fmt::format("picked {} of {}", found.front()->name, listing(candidates, groups)));
  }
  return unexpected(Code::kInvalidArgument,
                    fmt::format("there are {} models to choose from; name the file. There are: {}", groups.size(),
                                listing(candidates, groups)));
}

std::string_view folder_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? std::string_view() : path.substr(0, slash);
}

// The safetensors of one folder with what goes with them. Where a repository holds the weights twice
// (model*.safetensors beside consolidated*.safetensors) the set that its configuration describes is taken.
Selection safetensors_set(std::span<const Candidate> candidates, std::string_view folder) {
  std::vector<size_t> weights, companions;
  bool has_standard_name = false;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (folder_of(candidates[i].path) != folder) continue;
    std::string_view name = base_name(candidates[i].path);
    if (name.ends_with(".safetensors")) weights.push_back(i);
    if (name.ends_with(".safetensors") && name.starts_with("model")) has_standard_name = true;
    if (is_companion(name)) companions.push_back(i);
  }
  if (has_standard_name) {
    std::erase_if(weights, [&](size_t i) { return !base_name(candidates[i].path).starts_with("model"); });
  }
  auto by_path = [&](size_t a, size_t b) { return candidates[a].path < candidates[b].path; };
  std::sort(weights.begin(), weights.end(), by_path);
  std::sort(companions.begin(), companions.end(), by_path);
  weights.insert(weights.end(), companions.begin(), companions.end());
  return {weights, ""};
}

Result<Selection> find_wanted(std::span<const Candidate> candidates, const std::vector<Group>& groups,
                              std::string_view wanted) {
  std::vector<const Group*> by_name, all;
  std::vector<std::string> names;
  for (const Group& group : groups) {
    all.push_back(&group);
    bool holds = std::any_of(group.files.begin(), group.files.end(), [&](size_t i) {
      return candidates[i].path == wanted || base_name(candidates[i].path) == wanted;
    });
    if (holds || group.name == wanted || base_name(group.name) == wanted) by_name.push_back(&group);
    names.push_back(group.name);
  }
  if (by_name.empty()) by_name = matching(all, wanted);
  if (by_name.size() == 1) return choose(*by_name.front(), "");
  if (by_name.size() > 1) {
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' names several files; give one path. There are: {}",
                                                          wanted, listing(candidates, by_name)));
  }
  for (const Candidate& candidate : candidates) {
    if (!candidate.path.ends_with(".safetensors")) continue;
    names.push_back(candidate.path);
    if (candidate.path == wanted) return safetensors_set(candidates, folder_of(candidate.path));
  }
  std::string nearest = nearest_name(wanted, names);
  std::string there = names.empty() ? "no model files" : fmt::format("{}", fmt::join(names, ", "));
  return unexpected(Code::kNotFound,
                    fmt::format("no file '{}'{} There are: {}", wanted,
                                nearest.empty() ? "." : fmt::format(", did you mean '{}'?", nearest), there));
}

}  // namespace

bool is_companion(std::string_view name) {
  constexpr std::array<std::string_view, 5> kEndings = {".json", ".jinja", ".model", ".tiktoken", ".txt"};
  constexpr std::array<std::string_view, 3> kLegal = {"LICENSE", "NOTICE", "TERMS"};
  std::string text = upper(name);
  bool is_legal = std::any_of(kLegal.begin(), kLegal.end(), [&](auto word) { return text.find(word) != text.npos; });
  return is_legal || std::any_of(kEndings.begin(), kEndings.end(), [&](auto ending) { return name.ends_with(ending); });
}

Result<Selection> select_model(std::span<const Candidate> candidates, std::string_view wanted) {
  std::vector<Group> groups = gguf_groups(candidates);
  if (!wanted.empty()) return find_wanted(candidates, groups, wanted);
  std::vector<const Group*> models;
  for (const Group& group : groups) {
    if (!is_side_file(group)) models.push_back(&group);
  }
  if (!models.empty()) return pick_gguf(candidates, models);
  for (const Candidate& candidate : candidates) {
    bool is_weights = candidate.path.ends_with(".safetensors");
    if (is_weights && folder_of(candidate.path).empty()) return safetensors_set(candidates, "");
  }
  std::string names;
  for (size_t i = 0; i < std::min<size_t>(candidates.size(), 12); ++i) names += (i ? ", " : "") + candidates[i].path;
  return unexpected(Code::kNotFound,
                    fmt::format("no .gguf or .safetensors file; there are: {}", names.empty() ? "none" : names));
}

}  // namespace hearth::fetch
