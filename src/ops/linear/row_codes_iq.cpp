#include "ops/linear/row_codes_iq.h"

#include "ops/quant/iq_grids.h"

namespace hearth {
namespace {

using namespace quant;

constexpr uint64_t kOnes = 0x0101010101010101u;

// kByteMasks of seven stored signs, the eighth making their number even.
constexpr std::array<uint64_t, 128> kEvenMasks = [] {
  std::array<uint64_t, 128> masks{};
  for (unsigned s = 0; s < 128; ++s) masks[s] = kByteMasks[s | (std::popcount(s) & 1u) << 7];
  return masks;
}();

template <class Word, class Point>
Word word_of(const Point& point) {
  static_assert(sizeof(Word) == sizeof(Point));
  Word word;
  std::memcpy(&word, &point, sizeof(word));
  return word;
}

// Negates the bytes under the mask; none of them is zero, so no carry leaves its byte.
uint64_t negate(uint64_t word, uint64_t mask) { return (word ^ mask) + (mask & kOnes); }

uint64_t pair_word(const Point4& low, const Point4& high) {
  return word_of<uint32_t>(low) | static_cast<uint64_t>(word_of<uint32_t>(high)) << 32;
}

float iq2_scale(float d, uint32_t four_bits) { return d * (0.5f + static_cast<float>(four_bits)) * 0.25f; }

// IQ1 points of {-1, 0, 1} plus or minus an eighth, in eighths. The signs are random: a branch would guess half wrong.
uint64_t shifted_eighths(const Point8& point, bool is_negative) {
  constexpr uint64_t kTops = 0x8080808080808080u;
  uint64_t eighths = word_of<uint64_t>(point) << 3 & 0xf8f8f8f8f8f8f8f8u;
  uint64_t less = ((eighths | kTops) - kOnes) ^ (~eighths & kTops);  // bytewise eighths - 1
  uint64_t mask = 0 - static_cast<uint64_t>(is_negative);
  return (less & mask) | ((eighths | kOnes) & ~mask);
}

}  // namespace

void codes_of(const BlockIQ2_XXS& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_xxs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* indices = b.qs + 8 * group;
    uint32_t word = load_word32(indices + 4);
    scale[group] = iq2_scale(d, word >> 28);
    for (int run = 0; run < 4; ++run, codes += 8) {
      store_word(codes, negate(word_of<uint64_t>(grid[indices[run]]), kEvenMasks[word >> 7 * run & 127]));
    }
  }
}

void codes_of(const BlockIQ2_XS& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_xs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      uint32_t q = b.qs[4 * group + run];
      store_word(codes, negate(word_of<uint64_t>(grid[q & 511]), kEvenMasks[q >> 9]));
    }
  }
}

void codes_of(const BlockIQ2_S& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq2_s_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (b.qh[group] >> 2 * run & 3) << 8;
      store_word(codes, negate(word_of<uint64_t>(grid[index]), kByteMasks[b.signs[4 * group + run]]));
    }
  }
}

void codes_of(const BlockIQ3_XXS& b, uint8_t* codes, float* scale, float* min) {
  const Point4* grid = iq3_xxs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    uint32_t word = load_word32(b.scales_and_signs + 4 * group);
    scale[group] = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      store_word(codes, negate(pair_word(grid[pair[0]], grid[pair[1]]), kEvenMasks[word >> 7 * run & 127]));
    }
  }
}

void codes_of(const BlockIQ3_S& b, uint8_t* codes, float* scale, float* min) {
  const Point4* grid = iq3_s_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    int nibble = b.scales[group / 2] >> group % 2 * 4 & 15;
    scale[group] = d * static_cast<float>(1 + 2 * nibble);
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      int high = b.qh[group] >> 2 * run;
      uint64_t word = pair_word(grid[pair[0] | (high & 1) << 8], grid[pair[1] | (high & 2) << 7]);
      store_word(codes, negate(word, kByteMasks[b.signs[4 * group + run]]));
    }
  }
}

void codes_of(const BlockIQ1_S& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq1_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    int high = b.qh[group];
    scale[group] = d * static_cast<float>(2 * (high >> 12 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (high >> 3 * run & 7) << 8;
      store_word(codes, shifted_eighths(grid[index], (high & 0x8000) != 0));
    }
  }
}

void codes_of(const BlockIQ1_M& b, uint8_t* codes, float* scale, float* min) {
  const Point8* grid = iq1_grid().data();
  uint16_t scales[4];
  std::memcpy(scales, b.scales, sizeof(scales));
  int d_bits = scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12;
  float d = half_to_float(static_cast<uint16_t>(d_bits));
  for (int group = 0; group < 8; ++group) {
    int pair = scales[group / 2] >> group % 2 * 6;
    scale[2 * group] = d * static_cast<float>(2 * (pair & 7) + 1) * 0.125f;
    scale[2 * group + 1] = d * static_cast<float>(2 * (pair >> 3 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int high = b.qh[2 * group + run / 2] >> run % 2 * 4;
      int index = b.qs[4 * group + run] | (high & 7) << 8;
      store_word(codes, shifted_eighths(grid[index], (high & 8) != 0));
    }
  }
}

}  // namespace hearth
