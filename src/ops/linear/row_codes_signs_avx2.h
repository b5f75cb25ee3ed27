// Signs and scales of the codebook formats, a block at once. Include inside an AVX2 region, or a better one, only.
#pragma once

namespace hearth::cpu {
namespace {

/// Seven bits to each byte of a word, from its low 28.
HEARTH_INLINE __m256i spread_sevens(__m256i words) {
  __m256i low = _mm256_and_si256(words, _mm256_set1_epi32(0x7f));
  __m256i second = _mm256_and_si256(_mm256_slli_epi32(words, 1), _mm256_set1_epi32(0x7f00));
  __m256i third = _mm256_and_si256(_mm256_slli_epi32(words, 2), _mm256_set1_epi32(0x7f0000));
  __m256i fourth = _mm256_and_si256(_mm256_slli_epi32(words, 3), _mm256_set1_epi32(0x7f000000));
  return _mm256_or_si256(_mm256_or_si256(low, second), _mm256_or_si256(third, fourth));
}

/// Bit 7 of each byte makes the number of its bits even. What shifts carry into a byte stays below the bits used.
HEARTH_INLINE __m256i make_even(__m256i sevens) {
  __m256i parity = _mm256_xor_si256(sevens, _mm256_slli_epi32(sevens, 4));
  parity = _mm256_xor_si256(parity, _mm256_slli_epi32(parity, 2));
  parity = _mm256_xor_si256(parity, _mm256_slli_epi32(parity, 1));
  return _mm256_or_si256(sevens, bits_of(parity, 0x80));
}

/// to[8] = d * (words + 1/2) * step.
HEARTH_INLINE void half_step_scales(__m256i words, float d, float step, float* to) {
  __m256 steps = _mm256_add_ps(_mm256_cvtepi32_ps(words), _mm256_set1_ps(0.5f));
  _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_mul_ps(steps, _mm256_set1_ps(d)), _mm256_set1_ps(step)));
}

/// Sixteen scales of IQ2, nibbles of eight bytes.
HEARTH_INLINE void nibble_scales(const uint8_t* bytes, float d, float* to) {
  half_step_scales(eight_nibbles(bytes), d, 0.25f, to);
  half_step_scales(eight_nibbles(bytes + 4), d, 0.25f, to + 8);
}

/// to[8] = d * (2 * words + 1) / 8.
HEARTH_INLINE void odd_eighths(__m256i words, float d, float* to) {
  __m256i odd = _mm256_add_epi32(_mm256_add_epi32(words, words), _mm256_set1_epi32(1));
  __m256 steps = _mm256_mul_ps(_mm256_cvtepi32_ps(odd), _mm256_set1_ps(d));
  _mm256_storeu_ps(to, _mm256_mul_ps(steps, _mm256_set1_ps(0.125f)));
}

HEARTH_INLINE void finish(const quant::BlockIQ2_XXS& b, RowCodes& out) {
  // Every other word: four times seven signs, then the scale.
  __m256 pairs =
      _mm256_shuffle_ps(_mm256_castsi256_ps(load32(b.qs)), _mm256_castsi256_ps(load32(b.qs + 32)), 0b11011101);
  __m256i words = _mm256_permute4x64_epi64(_mm256_castps_si256(pairs), 0b11011000);
  store32(out.signs, make_even(spread_sevens(words)));
  half_step_scales(_mm256_srli_epi32(words, 28), half_to_float(b.d), 0.25f, out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ2_XS& b, RowCodes& out) {
  __m256i first = _mm256_srli_epi16(load32(b.qs), 9), second = _mm256_srli_epi16(load32(b.qs + 16), 9);
  __m256i sevens = _mm256_permute4x64_epi64(_mm256_packus_epi16(first, second), 0b11011000);
  store32(out.signs, make_even(sevens));
  nibble_scales(b.scales, half_to_float(b.d), out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ2_S& b, RowCodes& out) {
  store32(out.signs, load32(b.signs));
  nibble_scales(b.scales, half_to_float(b.d), out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ3_XXS& b, RowCodes& out) {
  __m256i words = load32(b.scales_and_signs);
  store32(out.signs, make_even(spread_sevens(words)));
  half_step_scales(_mm256_srli_epi32(words, 28), half_to_float(b.d), 0.5f, out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ3_S& b, RowCodes& out) {
  store32(out.signs, load32(b.signs));
  __m256i nibbles = eight_nibbles(b.scales);
  __m256i odd = _mm256_add_epi32(_mm256_add_epi32(nibbles, nibbles), _mm256_set1_epi32(1));
  scale_words(odd, half_to_float(b.d), out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ1_S& b, RowCodes& out) {
  __m256i three = _mm256_cvtepu16_epi32(load16(b.qh));
  odd_eighths(_mm256_and_si256(_mm256_srli_epi32(three, 12), _mm256_set1_epi32(7)), half_to_float(b.d), out.scale);
}

HEARTH_INLINE void finish(const quant::BlockIQ1_M& b, RowCodes& out) {
  uint64_t scales;
  std::memcpy(&scales, b.scales, sizeof(scales));
  uint16_t d = static_cast<uint16_t>((scales >> 12 & 15) | (scales >> 24 & 0xf0) | (scales >> 36 & 0xf00) |
                                     (scales >> 48 & 0xf000));
  const __m256i at = _mm256_setr_epi32(0, 3, 6, 9, 0, 3, 6, 9), seven = _mm256_set1_epi32(7);
  __m256i wide_words = _mm256_castsi128_si256(_mm_cvtepu16_epi32(load8(b.scales)));
  __m256i first = _mm256_permutevar8x32_epi32(wide_words, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
  __m256i second = _mm256_permutevar8x32_epi32(wide_words, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3));
  odd_eighths(_mm256_and_si256(_mm256_srlv_epi32(first, at), seven), half_to_float(d), out.scale);
  odd_eighths(_mm256_and_si256(_mm256_srlv_epi32(second, at), seven), half_to_float(d), out.scale + 8);
}

}  // namespace
}  // namespace hearth::cpu
