// The Hugging Face hub's HTTP API: what a repository holds at one commit, and the addresses of its files. All files of
// one pull come from the commit that the listing named, so an upload in between cannot mix two versions.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "fetch/http/get.h"
#include "fetch/progress.h"

namespace hearth::fetch {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";
  std::string token;  // sent to the endpoint's host only

  /// HF_ENDPOINT and HF_TOKEN over the defaults.
  static HubOptions from_environment();
};

/// "owner/repo", "owner/repo:file", "owner/repo@revision:file"; kInvalidArgument otherwise.
struct HubAddress {
  std::string repo;
  std::string revision = "main";
  std::string file;
  static Result<HubAddress> parse(std::string_view text);
};

struct HubFile {
  std::string path;
  int64_t bytes = -1;
  std::string sha256;  // "" for small files that the hub keeps in git itself
};

struct HubModel {
  std::string repo;
  std::string commit;
  std::string license;
  std::vector<HubFile> files;
};

/// kNotFound (no such repository or revision), kUnauthorized (private or gated), kIo, kCancelled.
Result<HubModel> read_hub(const HubAddress& address, const HubOptions& options, const HttpPolicy& policy,
                          ProgressSink& sink);

std::string hub_file_url(const HubModel& model, const std::string& path, const HubOptions& options);

}  // namespace hearth::fetch
