// Codebook formats. A super-block of 256 is eight groups of 32; a group is four runs of 8 elements, each a codebook
// point times a scale, with a sign bit per element (IQ2, IQ3) or a common shift (IQ1). IQ4 looks single elements up.
#pragma once
#include "ops/quant/bits.h"
#include "ops/quant/blocks.h"
#include "ops/quant/iq_grids.h"

namespace hearth::quant {

/// Where the codebooks lie for whoever decodes: iq_grids.h on the CPU, iq_grids.cuh on CUDA.
struct Codebooks {
  const Point8 *iq1, *iq2_xxs, *iq2_xs, *iq2_s;
  const Point4 *iq3_xxs, *iq3_s;
};

inline constexpr float kIq1Shift = 0.125f;

/// IQ4's sixteen levels, -127 to 113.
constexpr int iq4_level(int q) { return byte_of(0xf6eaddcfbfad9881u, 0x7159453526190d01u, q); }

constexpr uint32_t word_at(const uint8_t* bytes) {
  return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

/// Seven stored signs; the eighth makes their number even.
constexpr int eight_signs(uint32_t seven) {
  seven &= 127;
  uint32_t parity = seven ^ seven >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return static_cast<int>(seven | (parity & 1) << 7);
}

template <size_t N>
constexpr void put_signed(const std::array<int8_t, N>& point, float scale, int signs, float* out) {
  for (size_t j = 0; j < N; ++j) {
    float value = scale * static_cast<float>(point[j]);
    out[j] = (signs >> j & 1) != 0 ? -value : value;
  }
}

constexpr void put_shifted(const Point8& point, float scale, float shift, float* out) {
  for (size_t j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(point[j]) + shift);
}

/// IQ2's scale of 4 bits: steps of d/4 with half a step of offset.
constexpr float iq2_scale(float d, uint32_t four_bits) { return d * (0.5f + static_cast<float>(four_bits)) * 0.25f; }

/// The nibble of run `run` of a group in a scale byte that covers two runs each.
constexpr uint32_t run_nibble(uint8_t byte, int run) { return run < 2 ? byte & 15u : byte >> 4; }

constexpr void decode_run(const BlockIQ2_XXS& block, int at, const Codebooks& books, float* out) {
  const uint8_t* indices = block.qs + at / 4 * 8;
  uint32_t word = word_at(indices + 4);  // four times 7 sign bits, then the scale
  put_signed(books.iq2_xxs[indices[at % 4]], iq2_scale(half_value(block.d), word >> 28),
             eight_signs(word >> at % 4 * 7), out);
}

constexpr void decode_run(const BlockIQ2_XS& block, int at, const Codebooks& books, float* out) {
  uint32_t q = block.qs[at];  // 9 bits of index, 7 signs
  float scale = iq2_scale(half_value(block.d), run_nibble(block.scales[at / 4], at % 4));
  put_signed(books.iq2_xs[q & 511], scale, eight_signs(q >> 9), out);
}

constexpr void decode_run(const BlockIQ2_S& block, int at, const Codebooks& books, float* out) {
  int index = block.qs[at] | (block.qh[at / 4] >> at % 4 * 2 & 3) << 8;
  float scale = iq2_scale(half_value(block.d), run_nibble(block.scales[at / 4], at % 4));
  put_signed(books.iq2_s[index], scale, block.signs[at], out);
}

constexpr void decode_run(const BlockIQ3_XXS& block, int at, const Codebooks& books, float* out) {
  uint32_t word = word_at(block.scales_and_signs + at / 4 * 4);
  float scale = half_value(block.d) * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
  int signs = eight_signs(word >> at % 4 * 7);
  put_signed(books.iq3_xxs[block.qs[2 * at]], scale, signs, out);
  put_signed(books.iq3_xxs[block.qs[2 * at + 1]], scale, signs >> 4, out + 4);
}

constexpr void decode_run(const BlockIQ3_S& block, int at, const Codebooks& books, float* out) {
  int group = at / 4, four = block.scales[group / 2] >> group % 2 * 4 & 15;
  float scale = half_value(block.d) * static_cast<float>(1 + 2 * four);
  for (int point = 2 * at; point < 2 * at + 2; ++point, out += 4) {  // points of four elements
    int index = block.qs[point] | (block.qh[group] >> point % 8 & 1) << 8;
    put_signed(books.iq3_s[index], scale, block.signs[at] >> point % 2 * 4, out);
  }
}

constexpr void decode_run(const BlockIQ1_S& block, int at, const Codebooks& books, float* out) {
  int high = block.qh[at / 4];  // four times 3 index bits, 3 bits of scale, the shift's sign
  float scale = half_value(block.d) * static_cast<float>(2 * (high >> 12 & 7) + 1);
  int index = block.qs[at] | (high >> at % 4 * 3 & 7) << 8;
  put_shifted(books.iq1[index], scale, (high & 0x8000) != 0 ? -kIq1Shift : kIq1Shift, out);
}

constexpr void decode_run(const BlockIQ1_M& block, int at, const Codebooks& books, float* out) {
  // Four words, each four times 3 bits of scale; their top nibbles together are the half d.
  int d =
      block.scales[1] >> 4 | (block.scales[3] & 0xf0) | (block.scales[5] & 0xf0) << 4 | (block.scales[7] & 0xf0) << 8;
  int group = at / 4, word = block.scales[group / 2 * 2] | block.scales[group / 2 * 2 + 1] << 8;
  int three = word >> (group % 2 * 6 + at % 4 / 2 * 3) & 7;
  int high = block.qh[at / 2] >> at % 2 * 4;  // 3 index bits, the shift's sign
  int index = block.qs[at] | (high & 7) << 8;
  put_shifted(books.iq1[index], half_value(static_cast<uint16_t>(d)) * static_cast<float>(2 * three + 1),
              (high & 8) != 0 ? -kIq1Shift : kIq1Shift, out);
}

constexpr void decode_run(const BlockIQ4_NL& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = d * static_cast<float>(iq4_level(nibble(block.qs, 16, 8 * run + j)));
}

constexpr void decode_run(const BlockIQ4_XS& block, int run, float* out) {
  int group = run / 4, low = block.scales_l[group / 2] >> group % 2 * 4 & 15, high = block.scales_h >> 2 * group & 3;
  float scale = half_value(block.d) * static_cast<float>((low | high << 4) - 32);
  for (int j = 0; j < 8; ++j) {
    out[j] = scale * static_cast<float>(iq4_level(nibble(block.qs + 16 * group, 16, run % 4 * 8 + j)));
  }
}

}  // namespace hearth::quant
