#include "server/uuid.h"

#include <cstdint>
#include <mutex>
#include <random>

#include <fmt/format.h>

namespace hearth::server {
namespace {

uint64_t random_bits() {
  static std::mutex mutex;
  static std::random_device device;
  std::lock_guard lock(mutex);
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace

std::string make_hex_id() { return fmt::format("{:016x}{:016x}", random_bits(), random_bits()); }

std::string make_uuid() {
  std::string hex = make_hex_id();
  hex[12] = '4';
  hex[16] = "89ab"[(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10) & 3];
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20));
}

}  // namespace hearth::server
