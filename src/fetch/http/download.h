// One file from the web onto the disk: resumed where an earlier attempt ended, retried when the connection breaks,
// checked by size and SHA-256, and under its name only when all of that held.
#pragma once
#include <string>

#include "core/base/result.h"
#include "core/base/files.h"
#include "fetch/http/get.h"
#include "fetch/progress.h"

namespace hearth::fetch {

struct DownloadRequest {
  std::string url;
  fs::path target;     // TARGET.part lies beside it meanwhile
  std::string sha256;  // "" : the hash the server links to the file, if it does
  int64_t bytes = -1;  // as a listing promised; -1 unknown
  std::string bearer;  // for the first host only
  HttpPolicy policy;
};

struct Downloaded {
  int64_t bytes = 0;
  std::string sha256;
  bool was_proven = false;  // compared with an expected hash
  bool was_resumed = false;
};

/// Errors: kNotFound and kUnauthorized as the server answers, kCorruptFile for a wrong size or hash (the part is
/// deleted), kTimeout and kIo when the retries are used up or the disk is full (the part stays), kCancelled.
Result<Downloaded> download(const DownloadRequest& request, ProgressSink& sink);

}  // namespace hearth::fetch
