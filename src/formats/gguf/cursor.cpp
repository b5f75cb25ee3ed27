#include "formats/gguf/cursor.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth::gguf {
namespace {

constexpr int64_t kPiece = 256 * KiB;

}  // namespace

std::string Cursor::text(std::string_view field, uint64_t most) {
  field_ = position();
  auto length = take<uint64_t>(field);
  require(length, field);
  if (length > most) fail(field, fmt::format("a text of {} bytes, wanted at most {}", length, most));
  std::string out(length, '\0');
  copy(out, field);
  return out;
}

int64_t Cursor::count(int64_t least_bytes, std::string_view field) {
  auto wanted = scalar<uint64_t>(field);
  auto most = static_cast<uint64_t>(remaining() / least_bytes);
  if (wanted > most) {
    fail(field, fmt::format("got {}, but the {} bytes left hold at most {}", wanted, remaining(), most));
  }
  return static_cast<int64_t>(wanted);
}

void Cursor::copy(std::span<char> into, std::string_view field) {
  require(into.size(), field);
  size_t ready = std::min(into.size(), window_.size() - at_);
  std::memcpy(into.data(), window_.data() + at_, ready);
  at_ += ready;
  into = into.subspan(ready);
  if (into.empty()) return;
  if (into.size() < static_cast<size_t>(kPiece)) return take_bytes(into, field);
  file_->read_at(position(), into);
  seek(position() + static_cast<int64_t>(into.size()));
}

void Cursor::skip(uint64_t count, std::string_view field) {
  require(count, field);
  seek(position() + static_cast<int64_t>(count));
}

void Cursor::seek(int64_t position) {
  if (position >= window_start_ && position <= window_start_ + static_cast<int64_t>(window_.size())) {
    at_ = static_cast<size_t>(position - window_start_);
    return;
  }
  window_start_ = position;
  window_ = {};
  at_ = 0;
}

void Cursor::fail(std::string_view field, std::string_view problem) const {
  throw Error(Code::kCorruptFile, fmt::format("{}: {} at byte {}: {}", name_, field, field_, problem));
}

void Cursor::require(uint64_t count, std::string_view field) const {
  if (count > static_cast<uint64_t>(remaining())) {
    fail(field,
         fmt::format("needs {} bytes, the header has {} left (truncated, or a length is wrong)", count, remaining()));
  }
}

void Cursor::refill(uint64_t count, std::string_view field) {
  require(count, field);
  // Only a file can get here: memory is all in the window.
  window_start_ = position();
  at_ = 0;
  buffer_.resize(static_cast<size_t>(std::min(kPiece, end_ - window_start_)));
  file_->read_at(window_start_, buffer_);
  window_ = std::string_view(buffer_.data(), buffer_.size());
}

}  // namespace hearth::gguf
