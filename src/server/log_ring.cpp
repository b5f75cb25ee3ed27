#include "server/log_ring.h"

#include <ctime>

#include <fmt/format.h>

#include "server/clock.h"

namespace hearth::server {
namespace {

std::string iso_time(int64_t ms) {
  const std::time_t seconds = ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  return fmt::format("{}.{:03}", std::string_view(text, length), ms % 1000);
}

}  // namespace

void LogRing::add(const std::string& line) {
  const Value entry = Value::object({{"t", iso_time(unix_ms())}, {"m", line + "\n"}});
  {
    std::lock_guard lock(mutex_);
    entries_.push_back(entry);
    if (entries_.size() > kMaxEntries) entries_.pop_front();
  }
  on_entry_(entry);
}

Value LogRing::entries() const {
  std::lock_guard lock(mutex_);
  Value out = Value::list();
  for (const Value& entry : entries_) out.push(entry);
  return out;
}

std::string LogRing::text() const {
  std::lock_guard lock(mutex_);
  std::string out;
  for (const Value& entry : entries_) out += entry.at("t").as_string() + " - " + entry.at("m").as_string();
  return out;
}

}  // namespace hearth::server
