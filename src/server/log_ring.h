// LogRing: the last lines about prompts, for the terminal panel of ComfyUI's frontend. Thread-safe.
#pragma once
#include <deque>
#include <functional>
#include <mutex>
#include <string>

#include "core/base/value.h"

namespace hearth::server {

class LogRing {
 public:
  static constexpr size_t kMaxEntries = 300;
  /// Called with each new entry {t, m}, outside the lock.
  explicit LogRing(std::function<void(const Value& entry)> on_entry) : on_entry_(std::move(on_entry)) {}

  void add(const std::string& line);
  Value entries() const;  // [{"t": ISO time, "m": line with its end}, ...]
  std::string text() const;  // "time - line" of each

 private:
  const std::function<void(const Value&)> on_entry_;
  mutable std::mutex mutex_;
  std::deque<Value> entries_;
};

}  // namespace hearth::server
