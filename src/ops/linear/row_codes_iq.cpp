#include "ops/linear/row_codes_iq.h"

#include <array>
#include <bit>
#include <cstring>

#include "ops/quant/iq_grids.h"

namespace hearth {
namespace {

using namespace quant;

static_assert(std::endian::native == std::endian::little, "bytes of a word are in memory order");

constexpr uint64_t kOnes = 0x0101010101010101u;

// Byte j of entry s is 0xff when bit j of s is set.
constexpr std::array<uint64_t, 256> kByteMasks = [] {
  std::array<uint64_t, 256> masks{};
  for (uint64_t s = 0; s < 256; ++s) {
    for (int j = 0; j < 8; ++j) masks[s] |= (s >> j & 1) * 0xffu << 8 * j;
  }
  return masks;
}();

// The same for seven stored signs, the eighth making their number even.
constexpr std::array<uint64_t, 128> kEvenMasks = [] {
  std::array<uint64_t, 128> masks{};
  for (unsigned s = 0; s < 128; ++s) masks[s] = kByteMasks[s | (std::popcount(s) & 1u) << 7];
  return masks;
}();

// A codebook as words, fetched once per use: the grids are spans of their own arrays.
template <class Word, class Point>
Word word_of(const Point& point) {
  static_assert(sizeof(Word) == sizeof(Point));
  Word word;
  std::memcpy(&word, &point, sizeof(word));
  return word;
}

void store(uint8_t* codes, uint64_t word) { std::memcpy(codes, &word, sizeof(word)); }

// Negates the bytes under the mask; none of them is zero, so no carry leaves its byte.
uint64_t negate(uint64_t word, uint64_t mask) { return (word ^ mask) + (mask & kOnes); }

uint64_t pair_word(const Point4& low, const Point4& high) {
  return word_of<uint32_t>(low) | static_cast<uint64_t>(word_of<uint32_t>(high)) << 32;
}

uint32_t load32(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

float iq2_scale(float d, uint32_t four_bits) { return d * (0.5f + static_cast<float>(four_bits)) * 0.25f; }

// IQ1 points of {-1, 0, 1} plus or minus an eighth, in eighths.
uint64_t shifted_eighths(const Point8& point, bool is_negative) {
  uint64_t eighths = word_of<uint64_t>(point) << 3 & 0xf8f8f8f8f8f8f8f8u;
  if (!is_negative) return eighths | kOnes;
  constexpr uint64_t kTops = 0x8080808080808080u;
  return ((eighths | kTops) - kOnes) ^ (~eighths & kTops);  // bytewise eighths - 1
}

constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int8_t kTwiceE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

template <int kBytes>
void look_up(const int8_t (&levels)[16], const uint8_t* qs, uint8_t* codes) {
  for (int j = 0; j < kBytes; ++j) {
    codes[j] = static_cast<uint8_t>(levels[qs[j] & 15]);
    codes[j + kBytes] = static_cast<uint8_t>(levels[qs[j] >> 4]);
  }
}

float half_e8m0(uint8_t bits) {
  return __builtin_bit_cast(float, bits < 2 ? 0x00200000u << bits : (bits - 1u) << 23);
}

// Unsigned E4M3, halved; the NaN pattern counts as zero.
float half_ue4m3(uint8_t bits) { return bits == 0x7f ? 0 : f8e4m3_to_f32(bits & 0x7f) * 0.5f; }

}  // namespace

void codes_of(const BlockIQ2_XXS& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_xxs_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* indices = b.qs + 8 * group;
    uint32_t word = load32(indices + 4);
    scale[group] = iq2_scale(d, word >> 28);
    for (int run = 0; run < 4; ++run, codes += 8) {
      store(codes, negate(word_of<uint64_t>(grid[indices[run]]), kEvenMasks[word >> 7 * run & 127]));
    }
  }
}

void codes_of(const BlockIQ2_XS& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_xs_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      uint32_t q = b.qs[4 * group + run];
      store(codes, negate(word_of<uint64_t>(grid[q & 511]), kEvenMasks[q >> 9]));
    }
  }
}

void codes_of(const BlockIQ2_S& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_s_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (b.qh[group] >> 2 * run & 3) << 8;
      store(codes, negate(word_of<uint64_t>(grid[index]), kByteMasks[b.signs[4 * group + run]]));
    }
  }
}

void codes_of(const BlockIQ3_XXS& b, uint8_t* codes, float* scale, float* min) {
  const Point4* grid = iq3_xxs_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    uint32_t word = load32(b.scales_and_signs + 4 * group);
    scale[group] = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      store(codes, negate(pair_word(grid[pair[0]], grid[pair[1]]), kEvenMasks[word >> 7 * run & 127]));
    }
  }
}

void codes_of(const BlockIQ3_S& b, uint8_t* codes, float* scale, float* min) {
  const Point4* grid = iq3_s_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    int nibble = b.scales[group / 2] >> group % 2 * 4 & 15;
    scale[group] = d * static_cast<float>(1 + 2 * nibble);
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      int high = b.qh[group] >> 2 * run;
      uint64_t word = pair_word(grid[pair[0] | (high & 1) << 8], grid[pair[1] | (high & 2) << 7]);
      store(codes, negate(word, kByteMasks[b.signs[4 * group + run]]));
    }
  }
}

void codes_of(const BlockIQ1_S& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq1_grid().data();
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    int high = b.qh[group];
    scale[group] = d * static_cast<float>(2 * (high >> 12 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (high >> 3 * run & 7) << 8;
      store(codes, shifted_eighths(grid[index], (high & 0x8000) != 0));
    }
  }
}

void codes_of(const BlockIQ1_M& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq1_grid().data();
  uint16_t scales[4];
  std::memcpy(scales, b.scales, sizeof(scales));
  int d_bits = scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12;
  float d = f16_to_f32(static_cast<uint16_t>(d_bits));
  for (int group = 0; group < 8; ++group) {
    int pair = scales[group / 2] >> group % 2 * 6;
    scale[2 * group] = d * static_cast<float>(2 * (pair & 7) + 1) * 0.125f;
    scale[2 * group + 1] = d * static_cast<float>(2 * (pair >> 3 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int high = b.qh[2 * group + run / 2] >> run % 2 * 4;
      int index = b.qs[4 * group + run] | (high & 7) << 8;
      store(codes, shifted_eighths(grid[index], (high & 8) != 0));
    }
  }
}

void codes_of(const BlockIQ4_NL& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  look_up<16>(kIq4Levels, b.qs, codes);
}

void codes_of(const BlockIQ4_XS& b, uint8_t* codes, float* scale, float* min) {
  float d = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    int low = b.scales_l[group / 2] >> group % 2 * 4 & 15;
    int high = b.scales_h >> 2 * group & 3;
    scale[group] = d * static_cast<float>((low | high << 4) - 32);
    look_up<16>(kIq4Levels, b.qs + 16 * group, codes + 32 * group);
  }
}

void codes_of(const BlockMXFP4& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_e8m0(b.e);
  look_up<16>(kTwiceE2M1, b.qs, codes);
}

void codes_of(const BlockNVFP4& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 4; ++sub) {
    scale[sub] = half_ue4m3(b.d[sub]);
    look_up<8>(kTwiceE2M1, b.qs + 8 * sub, codes + 16 * sub);
  }
}

}  // namespace hearth
