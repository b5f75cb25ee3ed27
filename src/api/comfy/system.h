// /system_stats and /features: ComfyUI's shapes with this machine's true numbers. Pure functions.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"

namespace hearth::comfy {

/// A device that runs models, and the memory pool it takes from.
struct DeviceFacts {
  std::string name = "cpu";              // as clients show it
  std::string type = "cpu";              // "cpu", "cuda"
  std::optional<int> index;
  std::string memory_kind = "host";      // "host", "unified", "discrete"
  int64_t pool_bytes = 0;                // the physical pool: vram_total
  int64_t grantable_bytes = 0;           // what the governor would grant now: vram_free
  int64_t budget_bytes = 0, leased_bytes = 0;
};

struct SystemFacts {
  int64_t ram_total = 0, ram_free = 0;
  std::vector<DeviceFacts> devices;      // the primary one first
  std::vector<std::string> argv;
  std::string version;                   // of this program
};

Value system_stats(const SystemFacts& facts);

/// Flags this server really has; also its reply to a client's feature_flags message.
Value server_features(int64_t max_upload_bytes);

}  // namespace hearth::comfy
