#include "formats/gguf/cursor.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth::gguf {
namespace {

constexpr int64_t kPiece = 4 * MiB;

}  // namespace

int64_t Cursor::count(int64_t least_bytes, std::string_view field) {
  auto wanted = scalar<uint64_t>(field);
  auto most = static_cast<uint64_t>(remaining() / least_bytes);
  if (wanted > most) {
    fail(field, fmt::format("got {}, but the {} bytes left hold at most {}", wanted, remaining(), most));
  }
  return static_cast<int64_t>(wanted);
}

void Cursor::fail(std::string_view field, std::string_view problem) const {
  throw Error(Code::kCorruptFile, fmt::format("{}: {} at byte {}: {}", name_, field, position(), problem));
}

void Cursor::refill(uint64_t count, std::string_view field) {
  if (count > static_cast<uint64_t>(remaining())) {
    fail(field,
         fmt::format("needs {} bytes, the header has {} left (truncated, or a length is wrong)", count, remaining()));
  }
  // Only a file can get here: memory is all in the window.
  window_start_ = position();
  auto wanted = std::max(static_cast<int64_t>(count), kPiece);
  buffer_.resize(static_cast<size_t>(std::min(wanted, end_ - window_start_)));
  file_->read_at(window_start_, buffer_);
  window_ = std::string_view(buffer_.data(), buffer_.size());
  at_ = 0;
}

}  // namespace hearth::gguf
