#include "ops/linear/row_codes_iq.h"

#include "ops/linear/byte_words.h"
#include "ops/quant/iq_grids.h"

namespace hearth {
namespace {

using namespace quant;

// Seven stored signs, the eighth making their number even.
constexpr std::array<uint8_t, 128> kEvenSigns = [] {
  std::array<uint8_t, 128> signs{};
  for (unsigned s = 0; s < 128; ++s) signs[s] = static_cast<uint8_t>(s | (std::popcount(s) & 1u) << 7);
  return signs;
}();

float iq2_scale(float d, uint32_t four_bits) { return d * (0.5f + static_cast<float>(four_bits)) * 0.25f; }

// The codes of one run of IQ1. The signs are random: a branch would guess half wrong.
uint64_t iq1_word(const uint64_t* words, int index, bool is_negative) {
  return words[index] - (kIq1Twos & (0 - static_cast<uint64_t>(is_negative)));
}

}  // namespace

std::span<const uint64_t, 2048> iq1_words() {
  static const std::array<uint64_t, 2048> words = [] {
    std::array<uint64_t, 2048> all{};
    for (size_t i = 0; i < all.size(); ++i) {
      for (size_t j = 0; j < 8; ++j) {
        all[i] |= static_cast<uint64_t>(iq1_grid()[i][j] * 8 + 1 + kIq1Zero) << 8 * j;
      }
    }
    return all;
  }();
  return words;
}

void codes_of_points(const BlockIQ2_XXS& b, RowCodes& out) {
  uint8_t *codes = out.codes, *signs = out.signs;
  const Point8* grid = iq2_xxs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* indices = b.qs + 8 * group;
    uint32_t word = load_word32(indices + 4);
    out.scale[group] = iq2_scale(d, word >> 28);
    for (int run = 0; run < 4; ++run, codes += 8) {
      std::memcpy(codes, &grid[indices[run]], 8);
      *signs++ = kEvenSigns[word >> 7 * run & 127];
    }
  }
}

void codes_of_points(const BlockIQ2_XS& b, RowCodes& out) {
  uint8_t *codes = out.codes, *signs = out.signs;
  const Point8* grid = iq2_xs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    out.scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    out.scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      uint32_t q = b.qs[4 * group + run];
      std::memcpy(codes, &grid[q & 511], 8);
      *signs++ = kEvenSigns[q >> 9];
    }
  }
}

void codes_of_points(const BlockIQ2_S& b, RowCodes& out) {
  uint8_t* codes = out.codes;
  const Point8* grid = iq2_s_grid().data();
  float d = half_to_float(b.d);
  std::memcpy(out.signs, b.signs, sizeof(b.signs));
  for (int group = 0; group < 8; ++group) {
    out.scale[2 * group] = iq2_scale(d, b.scales[group] & 15);
    out.scale[2 * group + 1] = iq2_scale(d, b.scales[group] >> 4);
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (b.qh[group] >> 2 * run & 3) << 8;
      std::memcpy(codes, &grid[index], 8);
    }
  }
}

void codes_of_points(const BlockIQ3_XXS& b, RowCodes& out) {
  uint8_t *codes = out.codes, *signs = out.signs;
  const Point4* grid = iq3_xxs_grid().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    uint32_t word = load_word32(b.scales_and_signs + 4 * group);
    out.scale[group] = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      std::memcpy(codes, &grid[pair[0]], 4);
      std::memcpy(codes + 4, &grid[pair[1]], 4);
      *signs++ = kEvenSigns[word >> 7 * run & 127];
    }
  }
}

void codes_of_points(const BlockIQ3_S& b, RowCodes& out) {
  uint8_t* codes = out.codes;
  const Point4* grid = iq3_s_grid().data();
  float d = half_to_float(b.d);
  std::memcpy(out.signs, b.signs, sizeof(b.signs));
  for (int group = 0; group < 8; ++group) {
    int nibble = b.scales[group / 2] >> group % 2 * 4 & 15;
    out.scale[group] = d * static_cast<float>(1 + 2 * nibble);
    for (int run = 0; run < 4; ++run, codes += 8) {
      const uint8_t* pair = b.qs + 8 * group + 2 * run;
      int high = b.qh[group] >> 2 * run;
      std::memcpy(codes, &grid[pair[0] | (high & 1) << 8], 4);
      std::memcpy(codes + 4, &grid[pair[1] | (high & 2) << 7], 4);
    }
  }
}

void codes_of_points(const BlockIQ1_S& b, RowCodes& out) {
  uint8_t* codes = out.codes;
  const uint64_t* words = iq1_words().data();
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    int high = b.qh[group];
    out.scale[group] = d * static_cast<float>(2 * (high >> 12 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int index = b.qs[4 * group + run] | (high >> 3 * run & 7) << 8;
      store_word(codes, iq1_word(words, index, (high & 0x8000) != 0));
    }
  }
}

void codes_of_points(const BlockIQ1_M& b, RowCodes& out) {
  uint8_t* codes = out.codes;
  const uint64_t* words = iq1_words().data();
  uint16_t scales[4];
  std::memcpy(scales, b.scales, sizeof(scales));
  int d_bits = scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12;
  float d = half_to_float(static_cast<uint16_t>(d_bits));
  for (int group = 0; group < 8; ++group) {
    int pair = scales[group / 2] >> group % 2 * 6;
    out.scale[2 * group] = d * static_cast<float>(2 * (pair & 7) + 1) * 0.125f;
    out.scale[2 * group + 1] = d * static_cast<float>(2 * (pair >> 3 & 7) + 1) * 0.125f;
    for (int run = 0; run < 4; ++run, codes += 8) {
      int high = b.qh[2 * group + run / 2] >> run % 2 * 4;
      int index = b.qs[4 * group + run] | (high & 7) << 8;
      store_word(codes, iq1_word(words, index, (high & 8) != 0));
    }
  }
}

}  // namespace hearth
