// Residency: which parts of picture models (a UNet, text encoders, a VAE, a LoRA's changed weights) are in memory. A
// part comes when it is used and stays until room is needed: who leaves first is governor/residency/policy.h's to say,
// never one in use.
// What workflows hold are names of parts, so no cached node output keeps weights in memory. Thread-safe.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "governor/budget/budget.h"
#include "governor/residency/evictor.h"

namespace hearth::diffuse {

/// Something in memory that may leave it. Its destructor gives every byte back.
class Part {
 public:
  virtual ~Part() = default;
  virtual int64_t bytes() const = 0;
};

class Residency final : public governor::Resider {
 public:
  /// `memory` outlives this and every part.
  explicit Residency(governor::LeasedAllocator& memory);
  /// Who makes room for a part; knows this one already. Without one, parts alone give way. Set before the first use.
  void set_evictor(governor::Evictor& evictor) { evictor_ = &evictor; }

  /// The part called `key`, made by `make` when it is not in memory. One part is made at a time. While the caller holds
  /// the reference the part stays.
  std::shared_ptr<const Part> use(const std::string& key, const std::function<std::shared_ptr<const Part>()>& make);

  /// A lease, for which idle parts leave if need be. Throws kNoMemory with numbers when there is no room still.
  StorageRef allocate(int64_t bytes, std::string_view holder);
  /// The same without its pages yet: Allocator::allocate_untouched().
  StorageRef allocate_untouched(int64_t bytes, std::string_view holder);
  /// The right to hold that many bytes elsewhere, in vectors of host code, for as long as the reference lives.
  StorageRef book(int64_t bytes, std::string_view holder);
  /// Runs `take`, which leases from allocator(); each time it throws kNoMemory, idle parts leave for what it needed.
  void make_room_for(std::string_view holder, const std::function<void()>& take);
  Tensor tensor(DType dtype, Shape shape, std::string_view holder);

  /// For what nothing should leave.
  Allocator& allocator() { return memory_; }

  std::vector<governor::Resident> residents() const override;
  bool evict(const std::string& key) override;
  void evict_idle();
  /// Bytes that could leave now.
  int64_t idle_bytes() const;
  bool is_resident(std::string_view key) const;

 private:
  struct Held {
    std::string key;
    std::shared_ptr<const Part> part;
    double used_s = 0;    // when it last was
    double reload_s = 0;  // what making it took
  };
  std::shared_ptr<const Part> find(const std::string& key);
  StorageRef with_room(int64_t bytes, std::string_view holder, const std::function<Result<StorageRef>()>& take);

  governor::LeasedAllocator& memory_;
  governor::Evictor own_evictor_;
  governor::Evictor* evictor_ = &own_evictor_;
  std::mutex making_;           // one part is made at a time; never taken with mutex_ held
  mutable std::mutex mutex_;
  std::list<Held> held_;
};

}  // namespace hearth::diffuse
