// UnknownFields: says once per name that a field of a request is read by nobody. Thread-safe; bounded, because names
// come from outside.
#pragma once
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace hearth::server {

class UnknownFields {
 public:
  void note(const std::string& request_id, const std::vector<std::string>& names);

 private:
  static constexpr size_t kMaxNames = 256;
  std::mutex mutex_;
  std::set<std::string> seen_;
};

}  // namespace hearth::server
