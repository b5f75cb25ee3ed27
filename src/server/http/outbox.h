// Outbox: bytes on their way to a client: what is being written now and what came meanwhile. Added to and taken from on
// one thread; bytes() may be read from any.
#pragma once
#include <atomic>
#include <string>
#include <string_view>

namespace hearth::http {

class Outbox {
 public:
  void add(std::string_view text) {
    waiting_ += text;
    bytes_ += text.size();
  }
  /// What to write next; stays where it is until taken(). Empty: nothing waits.
  std::string_view next() {
    if (written_ == writing_.size()) {
      writing_.clear();
      written_ = 0;
      writing_.swap(waiting_);
    }
    return std::string_view(writing_).substr(written_);
  }
  /// The client took the first `bytes` of next().
  void taken(size_t bytes) {
    written_ += bytes;
    bytes_ -= bytes;
  }
  size_t bytes() const { return bytes_; }

 private:
  std::string waiting_, writing_;
  size_t written_ = 0;
  std::atomic<size_t> bytes_{0};
};

}  // namespace hearth::http
