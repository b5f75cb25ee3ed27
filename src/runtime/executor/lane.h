// Lane: a stream and an arena for one kind of work on one device. Steps of a lane run one after the other; steps of
// different lanes may be interleaved at cuts and never share scratch memory.
#pragma once
#include <memory>
#include <string>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "runtime/executor/step_graphs.h"

namespace hearth {

class Lane {
 public:
  /// `memory` is the arena, leased at the peak Meta computed for the lane's steps.
  Lane(std::string name, Device device, StorageRef memory);
  ~Lane();
  Lane(const Lane&) = delete;

  const std::string& name() const { return name_; }
  Device device() const { return device_; }
  Arena& arena() { return arena_; }
  void* stream() const { return stream_; }
  StepGraphs& graphs() { return graphs_; }

  double served_s = 0;  // the executor's account, read and written on its thread only

 private:
  std::string name_;
  Device device_;
  Arena arena_;
  void* stream_ = nullptr;
  StepGraphs graphs_;
};

}  // namespace hearth
