#include "fetch/pull/hub.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

#include "fetch/http/url.h"
#include "fetch/sha256.h"
#include "formats/json/json.h"

namespace hearth::fetch {
namespace {

constexpr int kMostPages = 100;

bool is_hub_word(std::string_view word) {
  auto allowed = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-'; };
  return !word.empty() && word != "." && word != ".." && std::all_of(word.begin(), word.end(), allowed);
}

Result<Value> get_json(const std::string& url, const HubOptions& options, const HttpPolicy& policy, ProgressSink& sink,
                       std::string* next_page = nullptr) {
  HttpRequest request{.url = url, .bearer = options.token};
  auto page = http_get_text(request, policy, [&] { return sink.is_cancelled(); });
  if (!page) return unexpected(page.error());
  if (next_page) *next_page = page->response.next_page;
  auto value = json::parse(page->text);
  if (!value) return unexpected(Code::kIo, fmt::format("{} answers no JSON: {}", url, value.error().message()));
  return value;
}

std::string license_of(const Value& info) {
  if (const Value* card = info.find("cardData")) {
    const Value* license = card->find("license");
    if (license && license->is_string()) return license->as_string();
  }
  const Value* tags = info.find("tags");
  if (!tags || !tags->is_list()) return "";
  for (const Value& tag : tags->as_list()) {
    if (tag.is_string() && tag.as_string().starts_with("license:")) return tag.as_string().substr(8);
  }
  return "";
}

// Large files carry their SHA-256 as the "oid" of "lfs"; the plain "oid" is git's own hash of the others.
void add_files(const Value& page, std::vector<HubFile>& files) {
  for (const Value& item : page.as_list()) {
    if (item.at("type").as_string() != "file") continue;
    HubFile file{.path = item.at("path").as_string(), .bytes = item.at("size").as_int()};
    const Value* lfs = item.find("lfs");
    const Value* oid = lfs ? lfs->find("oid") : nullptr;
    if (oid && oid->is_string()) file.sha256 = parse_sha256(oid->as_string()).value();
    files.push_back(std::move(file));
  }
}

}  // namespace

HubOptions HubOptions::from_environment() {
  HubOptions options;
  if (const char* endpoint = std::getenv("HF_ENDPOINT"); endpoint && *endpoint) options.endpoint = endpoint;
  if (const char* token = std::getenv("HF_TOKEN"); token && *token) options.token = token;
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  return options;
}

Result<HubAddress> HubAddress::parse(std::string_view text) {
  HubAddress address;
  std::string_view rest = text;
  if (size_t colon = rest.find(':'); colon != rest.npos) {
    address.file = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (size_t at = rest.find('@'); at != rest.npos) {
    address.revision = rest.substr(at + 1);
    rest = rest.substr(0, at);
  }
  size_t slash = rest.find('/');
  bool is_repo = slash != rest.npos && is_hub_word(rest.substr(0, slash)) && is_hub_word(rest.substr(slash + 1));
  if (!is_repo || address.revision.empty()) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'hf:{}' names no repository; write hf:owner/repo or hf:owner/repo:file", text));
  }
  address.repo = rest;
  return address;
}

Result<HubModel> read_hub(const HubAddress& address, const HubOptions& options, const HttpPolicy& policy,
                          ProgressSink& sink) {
  std::string api = fmt::format("{}/api/models/{}", options.endpoint, address.repo);
  auto info = get_json(fmt::format("{}/revision/{}", api, encode_path(address.revision)), options, policy, sink);
  if (!info) return unexpected(info.error().within("hf:" + address.repo));
  HubModel model{.repo = address.repo};
  try {
    model.commit = info->at("sha").as_string();
    model.license = license_of(*info);
    std::string next = fmt::format("{}/tree/{}?recursive=true", api, encode_path(model.commit));
    for (int page = 0; !next.empty() && page < kMostPages; ++page) {
      auto url = Url::parse(next);
      if (!url) return unexpected(url.error());
      auto tree = get_json(url->text, options, policy, sink, &next);
      if (!tree) return unexpected(tree.error().within("hf:" + address.repo));
      add_files(*tree, model.files);
      if (next.empty()) continue;
      auto following = url->resolve(next);
      // A next page elsewhere would be handed the token.
      if (!following || !following->is_same_origin(*url))
        return unexpected(Code::kIo, "the hub's next page lies elsewhere");
      next = following->text;
    }
  } catch (const Error& problem) {
    return unexpected(Code::kIo,
                      fmt::format("hf:{}: the hub's answer is not as expected: {}", address.repo, problem.message()));
  }
  return model;
}

std::string hub_file_url(const HubModel& model, const std::string& path, const HubOptions& options) {
  return fmt::format("{}/{}/resolve/{}/{}", options.endpoint, model.repo, model.commit, encode_path(path));
}

}  // namespace hearth::fetch
