// Bytes handled several at a time without naming an instruction set: 64-bit words and 16-byte vectors.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "core/tensor/dtype.h"

namespace hearth {

static_assert(std::endian::native == std::endian::little, "bytes of a word are in memory order");

using Bytes16 = uint8_t __attribute__((vector_size(16)));

inline Bytes16 load_bytes(const uint8_t* from) {
  Bytes16 bytes;
  std::memcpy(&bytes, from, sizeof(bytes));
  return bytes;
}
inline void store_bytes(uint8_t* to, Bytes16 bytes) { std::memcpy(to, &bytes, sizeof(bytes)); }
inline void store_word(uint8_t* to, uint64_t word) { std::memcpy(to, &word, sizeof(word)); }
inline uint32_t load_word32(const uint8_t* from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

/// Byte j of entry s is 0xff when bit j of s is set.
inline constexpr std::array<uint64_t, 256> kByteMasks = [] {
  std::array<uint64_t, 256> masks{};
  for (uint64_t s = 0; s < 256; ++s) {
    for (int j = 0; j < 8; ++j) masks[s] |= (s >> j & 1) * 0xffu << 8 * j;
  }
  return masks;
}();

/// f16_to_f32 without a call: the exponent is moved by a product, which also normalises subnormals exactly.
inline float half_to_float(uint16_t bits) {
  if ((bits & 0x7c00) == 0x7c00) [[unlikely]] return f16_to_f32(bits);
  float magnitude = __builtin_bit_cast(float, static_cast<uint32_t>(bits & 0x7fff) << 13) * 0x1p112f;
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

}  // namespace hearth
