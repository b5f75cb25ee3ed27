// Residency: which parts of picture models (a UNet, text encoders, a VAE, a LoRA's changed weights) are in memory. A
// part comes when it is used and stays until room is needed: the one used longest ago leaves first, never one in use.
// What workflows hold are names of parts, so no cached node output keeps weights in memory. Thread-safe.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "core/device/allocator.h"

namespace hearth::diffuse {

/// Something in memory that may leave it. Its destructor gives every byte back.
class Part {
 public:
  virtual ~Part() = default;
  virtual int64_t bytes() const = 0;
};

class Residency {
 public:
  /// Asked when nothing here can leave any more: may others give way? True when trying again makes sense.
  using MakeRoom = std::function<bool(int64_t bytes)>;

  /// `memory` outlives this and every part.
  explicit Residency(Allocator& memory) : memory_(memory) {}
  void set_make_room(MakeRoom make_room);

  /// The part called `key`, made by `make` when it is not in memory. One part is made at a time. While the caller holds
  /// the reference the part stays.
  std::shared_ptr<const Part> use(const std::string& key, const std::function<std::shared_ptr<const Part>()>& make);

  /// A lease, for which idle parts leave if need be. Throws kNoMemory with numbers when there is no room still.
  StorageRef allocate(int64_t bytes, std::string_view holder);
  Tensor tensor(DType dtype, Shape shape, std::string_view holder);

  /// Evicts the idle part that was used longest ago; false when there is none.
  bool evict_one();
  void evict_idle();
  /// Bytes that could leave now.
  int64_t idle_bytes() const;
  bool is_resident(std::string_view key) const;

 private:
  struct Held {
    std::string key;
    std::shared_ptr<const Part> part;
  };
  std::shared_ptr<const Part> find(const std::string& key);

  Allocator& memory_;
  std::mutex making_;           // one part is made at a time; never taken with mutex_ held
  mutable std::mutex mutex_;
  std::list<Held> held_;        // used longest ago first
  MakeRoom make_room_;
};

}  // namespace hearth::diffuse
