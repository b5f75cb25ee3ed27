#include "governor/budget/journal.h"

#include <chrono>

#include "core/base/value.h"

namespace hearth::governor {

void Journal::add(Kind kind, std::string_view who, int64_t bytes, std::string_view why) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  std::lock_guard lock(mutex_);
  switch (kind) {
    case Kind::kEviction:
      ++counts_.evictions;
      counts_.evicted_bytes += static_cast<uint64_t>(bytes);
      break;
    case Kind::kRefusal: ++counts_.refusals; break;
    case Kind::kAbort: ++counts_.aborts; break;
    case Kind::kLevel: break;
  }
  entries_.push_back({kind, std::chrono::duration_cast<std::chrono::milliseconds>(now).count(), std::string(who), bytes,
                      std::string(why)});
  if (entries_.size() > kKept) entries_.pop_front();
}

void Journal::refused(const Error& error) {
  if (error.code() != Code::kNoMemory) return;
  const Value* details = error.details().get();
  const Value* who = details ? details->find("wanted_by") : nullptr;
  const Value* bytes = details ? details->find("needed_bytes") : nullptr;
  add(Kind::kRefusal, who ? who->as_string() : "", bytes ? bytes->as_int() : 0, error.message());
}

Journal::Counts Journal::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

std::vector<Journal::Entry> Journal::entries() const {
  std::lock_guard lock(mutex_);
  return {entries_.begin(), entries_.end()};
}

std::string_view name_of(Journal::Kind kind) {
  switch (kind) {
    case Journal::Kind::kEviction: return "eviction";
    case Journal::Kind::kRefusal: return "refusal";
    case Journal::Kind::kAbort: return "abort";
    case Journal::Kind::kLevel: return "level";
  }
  return "?";
}

}  // namespace hearth::governor
