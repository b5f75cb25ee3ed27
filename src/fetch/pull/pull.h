// `hearth pull`: from a source to a model in the store.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "fetch/http/get.h"
#include "fetch/progress.h"
#include "fetch/pull/hub.h"
#include "fetch/store/store.h"

namespace hearth::fetch {

struct PullRequest {
  std::vector<std::string> sources;  // one; several when all are wheels
  std::string name;                  // "": taken from the source
  std::string file;                  // which file, when the source holds several; also after ':' of hf:
  std::string sha256;                // of the model file, "" to rely on what the source promises
  bool replaces = false;             // an existing model of this name gives way when the new one is whole
  bool links = false;                // a path is not copied but remembered
  fs::path models_folder;            // "": Store::default_root()
  HubOptions hub = HubOptions::from_environment();
  HttpPolicy policy;
};

/// Blocks until the model is whole in the store or an error says why not. What was downloaded of a failed pull stays
/// in the store's staging folder and the same request goes on from there. Errors name cause and cure; kBusy while
/// another process pulls the same name.
Result<StoredModel> pull(const PullRequest& request, ProgressSink& sink);

}  // namespace hearth::fetch
