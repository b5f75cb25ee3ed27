// Stream: one JSON text, value by value as it goes by, so that a reader keeps only what it wants and can refuse the
// rest before it takes memory. For headers: depth and the length of a token are bounded. What is wrong with the text
// comes out as Error{kCorruptFile} naming the file and the byte.
#pragma once
#include <string>
#include <string_view>
#include <utility>

#include "core/base/units.h"
#include "core/base/value.h"

namespace hearth::json {

// The JSON library holds a token several times while it reads it. Training notes in LoRA files run to a few MiB.
inline constexpr int64_t kMaxTokenBytes = 8 * MiB;
inline constexpr int kMaxStreamDepth = 128;

class Stream {
 public:
  /// `part` stands before complaints about the JSON itself, for a text that is not the whole file.
  explicit Stream(std::string file, std::string part = "") : file_(std::move(file)), part_(std::move(part)) {}
  virtual ~Stream() = default;

  /// Calls the functions below in the order of the text. What they throw comes out unchanged.
  void read(std::string_view text);

 protected:
  virtual void on_key(std::string_view name) = 0;
  virtual void on_scalar(Value value) = 0;
  /// depth() is that of what holds the list or object, 0 for the outermost.
  virtual void on_open(bool is_object) = 0;
  virtual void on_close() = 0;

  int depth() const { return depth_; }
  const std::string& file() const { return file_; }
  [[noreturn]] void corrupt(std::string_view problem) const;

 private:
  friend class Events;
  void refuse_endless_tokens(std::string_view text) const;
  [[noreturn]] void invalid(std::string_view problem) const;

  std::string file_, part_;
  int depth_ = 0;
};

/// The beginning of a text that may be long, for a message.
std::string clipped(std::string_view text);

}  // namespace hearth::json
