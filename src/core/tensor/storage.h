// Storage: a run of bytes on one device with an intrusive count. Two owners exist and are never mixed: a lane's arena
// (bytes live inside one step) and an Allocator (leased bytes that outlive steps). Whoever made a Storage gets it back
// when its count falls to zero. Counting is atomic; the bytes themselves are not guarded.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace hearth {

class Storage;

/// Takes a Storage back when nothing refers to it any more. Must outlive every Storage it made.
class StorageOwner {
 public:
  virtual void release(Storage* storage) noexcept = 0;
  /// Before the first write to these bytes of a Storage that was handed out without its pages. Any threads, on bytes of
  /// their own. Throws Error{kNoMemory} when the machine cannot give them any more.
  virtual void take_pages(Storage&, int64_t /*offset*/, int64_t /*bytes*/) {}

 protected:
  ~StorageOwner() = default;
};

class Storage {
 public:
  Storage() = default;
  Storage(StorageOwner* owner, std::byte* data, int64_t bytes) : owner_(owner), data_(data), bytes_(bytes) {}
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }  // null on Meta
  int64_t bytes() const { return bytes_; }
  int64_t offset() const { return offset_; }  // place within the owner, where that means something
  void take_pages(int64_t offset, int64_t bytes) { owner_->take_pages(*this, offset, bytes); }

  void reset(StorageOwner* owner, std::byte* data, int64_t bytes, int64_t offset) {
    owner_ = owner;
    data_ = data;
    bytes_ = bytes;
    offset_ = offset;
  }
  void add_ref() { count_.fetch_add(1, std::memory_order_relaxed); }
  void drop_ref() {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) owner_->release(this);
  }

 private:
  StorageOwner* owner_ = nullptr;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  int64_t offset_ = 0;
  std::atomic<int32_t> count_{0};
};

/// Counted reference to a Storage.
class StorageRef {
 public:
  StorageRef() = default;
  explicit StorageRef(Storage* storage) : storage_(storage) {
    if (storage_) storage_->add_ref();
  }
  StorageRef(const StorageRef& other) : StorageRef(other.storage_) {}
  StorageRef(StorageRef&& other) noexcept : storage_(std::exchange(other.storage_, nullptr)) {}
  StorageRef& operator=(StorageRef other) noexcept {
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~StorageRef() {
    if (storage_) storage_->drop_ref();
  }
  Storage* get() const { return storage_; }
  Storage* operator->() const { return storage_; }
  explicit operator bool() const { return storage_ != nullptr; }

 private:
  Storage* storage_ = nullptr;
};

}  // namespace hearth
