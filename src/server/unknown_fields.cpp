#include "server/unknown_fields.h"

#include "core/base/log.h"

namespace hearth::server {

void UnknownFields::note(const std::string& request_id, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::lock_guard lock(mutex_);
    if (seen_.size() >= kMaxNames || !seen_.insert(name).second) continue;
    log::warn("unknown request field ignored id={} field={}", request_id, name);
  }
}

}  // namespace hearth::server
