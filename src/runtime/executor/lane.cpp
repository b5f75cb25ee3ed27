#include "runtime/executor/lane.h"

#include <utility>

#include "core/device/cuda.h"

namespace hearth {

Lane::Lane(std::string name, Device device, StorageRef memory)
    : name_(std::move(name)), device_(device), arena_(std::move(memory)) {
  if constexpr (cuda::kBuilt) {
    if (device_.kind == DeviceKind::kCuda) stream_ = cuda::create_stream(device_.index);
  }
}

Lane::~Lane() {
  graphs_.clear();
  if constexpr (cuda::kBuilt) {
    if (stream_) cuda::destroy_stream(device_.index, stream_);
  }
}

}  // namespace hearth
