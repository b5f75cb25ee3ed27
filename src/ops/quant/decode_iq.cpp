// Codebook formats. A super-block of 256 is eight groups of 32; a group is four runs of 8 elements, each a codebook
// point times a scale, with a sign bit per element (IQ2, IQ3) or a common shift (IQ1).
#include <bit>
#include <cstring>

#include "ops/quant/decode_block.h"
#include "ops/quant/iq_grids.h"

namespace hearth::quant {
namespace {

constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr float kIq1Shift = 0.125f;

uint32_t load32(const uint8_t* bytes) {
  uint32_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// Seven stored signs; the eighth makes their number even.
int eight_signs(uint32_t seven) {
  seven &= 127;
  return static_cast<int>(seven | (std::popcount(seven) & 1u) << 7);
}

template <size_t N>
void put_signed(const std::array<int8_t, N>& point, float scale, int signs, float* out) {
  for (size_t j = 0; j < N; ++j) {
    float value = scale * static_cast<float>(point[j]);
    out[j] = (signs >> j & 1) != 0 ? -value : value;
  }
}

void put_shifted(const Point8& point, float scale, float shift, float* out) {
  for (size_t j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(point[j]) + shift);
}

/// IQ2's scale of 4 bits: steps of d/4 with half a step of offset.
float iq2_scale(float d, uint32_t four_bits) { return d * (0.5f + static_cast<float>(four_bits)) * 0.25f; }

/// The nibble of run `run` in a scale byte that covers two runs each.
uint32_t run_nibble(uint8_t byte, int run) { return run < 2 ? byte & 15u : byte >> 4; }

}  // namespace

void decode(const BlockIQ2_XXS& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* indices = block.qs + 8 * group;
    uint32_t word = load32(indices + 4);  // four times 7 sign bits, then the scale
    for (int run = 0; run < 4; ++run, out += 8) {
      put_signed(iq2_xxs_grid()[indices[run]], iq2_scale(d, word >> 28), eight_signs(word >> 7 * run), out);
    }
  }
}

void decode(const BlockIQ2_XS& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    for (int run = 0; run < 4; ++run, out += 8) {
      uint32_t q = block.qs[4 * group + run];  // 9 bits of index, 7 signs
      float scale = iq2_scale(d, run_nibble(block.scales[group], run));
      put_signed(iq2_xs_grid()[q & 511], scale, eight_signs(q >> 9), out);
    }
  }
}

void decode(const BlockIQ2_S& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    for (int run = 0; run < 4; ++run, out += 8) {
      int index = block.qs[4 * group + run] | (block.qh[group] >> 2 * run & 3) << 8;
      float scale = iq2_scale(d, run_nibble(block.scales[group], run));
      put_signed(iq2_s_grid()[index], scale, block.signs[4 * group + run], out);
    }
  }
}

void decode(const BlockIQ3_XXS& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    uint32_t word = load32(block.scales_and_signs + 4 * group);
    float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int run = 0; run < 4; ++run, out += 8) {
      const uint8_t* pair = block.qs + 8 * group + 2 * run;
      int signs = eight_signs(word >> 7 * run);
      put_signed(iq3_xxs_grid()[pair[0]], scale, signs, out);
      put_signed(iq3_xxs_grid()[pair[1]], scale, signs >> 4, out + 4);
    }
  }
}

void decode(const BlockIQ3_S& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    int nibble = block.scales[group / 2] >> group % 2 * 4 & 15;
    float scale = d * static_cast<float>(1 + 2 * nibble);
    for (int half = 0; half < 8; ++half, out += 4) {  // points of four elements
      int index = block.qs[8 * group + half] | (block.qh[group] >> half & 1) << 8;
      put_signed(iq3_s_grid()[index], scale, block.signs[4 * group + half / 2] >> half % 2 * 4, out);
    }
  }
}

void decode(const BlockIQ1_S& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group) {
    int high = block.qh[group];  // four times 3 index bits, 3 bits of scale, the shift's sign
    float scale = d * static_cast<float>(2 * (high >> 12 & 7) + 1);
    float shift = (high & 0x8000) != 0 ? -kIq1Shift : kIq1Shift;
    for (int run = 0; run < 4; ++run, out += 8) {
      int index = block.qs[4 * group + run] | (high >> 3 * run & 7) << 8;
      put_shifted(iq1_grid()[index], scale, shift, out);
    }
  }
}

void decode(const BlockIQ1_M& block, float* out) {
  uint16_t scales[4];  // each four times 3 bits; their top nibbles together are the half d
  std::memcpy(scales, block.scales, sizeof(scales));
  int d_bits = scales[0] >> 12 | scales[1] >> 12 << 4 | scales[2] >> 12 << 8 | scales[3] >> 12 << 12;
  float d = f16_to_f32(static_cast<uint16_t>(d_bits));
  for (int group = 0; group < 8; ++group) {
    for (int run = 0; run < 4; ++run, out += 8) {
      int high = block.qh[2 * group + run / 2] >> run % 2 * 4;  // 3 index bits, the shift's sign
      int scale_bits = scales[group / 2] >> (group % 2 * 6 + run / 2 * 3) & 7;
      int index = block.qs[4 * group + run] | (high & 7) << 8;
      float shift = (high & 8) != 0 ? -kIq1Shift : kIq1Shift;
      put_shifted(iq1_grid()[index], d * static_cast<float>(2 * scale_bits + 1), shift, out);
    }
  }
}

void decode(const BlockIQ4_NL& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(kIq4Levels[block.qs[j] & 15]);
    out[j + 16] = d * static_cast<float>(kIq4Levels[block.qs[j] >> 4]);
  }
}

void decode(const BlockIQ4_XS& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int group = 0; group < 8; ++group, out += 32) {
    int low = block.scales_l[group / 2] >> group % 2 * 4 & 15;
    int high = block.scales_h >> 2 * group & 3;
    float scale = d * static_cast<float>((low | high << 4) - 32);
    for (int j = 0; j < 16; ++j) {
      uint8_t pair = block.qs[16 * group + j];
      out[j] = scale * static_cast<float>(kIq4Levels[pair & 15]);
      out[j + 16] = scale * static_cast<float>(kIq4Levels[pair >> 4]);
    }
  }
}

}  // namespace hearth::quant
