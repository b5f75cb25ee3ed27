// Cache: outputs of nodes by signature (class, inputs and those of all ancestors), bounded by bytes; what was used
// longest ago leaves first. A job holds the entries it uses, so evicting one never breaks it. Thread-safe.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/value.h"
#include "workflow/values.h"

namespace hearth::workflow {

struct CacheEntry {
  std::vector<NodeValues> outputs;
  Value ui;  // what the node showed, or null
  int64_t bytes = 0;
  bool keeps_model = false;
};

class Cache {
 public:
  explicit Cache(int64_t limit_bytes) : limit_(limit_bytes) {}

  std::shared_ptr<const CacheEntry> find(const std::string& signature);  // also marks it as used now
  /// Larger than the limit: not kept.
  void put(const std::string& signature, std::shared_ptr<const CacheEntry> entry);
  /// Everything goes: POST /free free_memory.
  void clear();
  /// Entries that hold weights go: POST /free unload_models, and when memory is short.
  void drop_models();

  int64_t held_bytes() const;
  size_t size() const;

 private:
  using Order = std::list<std::pair<std::string, std::shared_ptr<const CacheEntry>>>;
  void erase(Order::iterator entry);  // mutex_ held

  const int64_t limit_;
  mutable std::mutex mutex_;
  Order order_;  // used last first
  std::unordered_map<std::string, Order::iterator> by_signature_;
  int64_t held_ = 0;
};

}  // namespace hearth::workflow
