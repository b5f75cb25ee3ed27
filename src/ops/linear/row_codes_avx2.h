// What the vector forms of read_rows() share. Include inside an AVX2 region, or a better one, only.
#pragma once

namespace hearth::cpu {
namespace {

HEARTH_INLINE __m256i load32(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
HEARTH_INLINE __m128i load16(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
HEARTH_INLINE __m128i load8(const void* from) { return _mm_loadl_epi64(static_cast<const __m128i*>(from)); }
HEARTH_INLINE void store32(void* to, __m256i bytes) { _mm256_storeu_si256(static_cast<__m256i*>(to), bytes); }
HEARTH_INLINE void store16(void* to, __m128i bytes) { _mm_storeu_si128(static_cast<__m128i*>(to), bytes); }

HEARTH_INLINE int32_t word_at(const void* from) {
  int32_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

HEARTH_INLINE __m256i bits_of(__m256i bytes, int mask) {
  return _mm256_and_si256(bytes, _mm256_set1_epi8(static_cast<char>(mask)));
}
HEARTH_INLINE __m128i bits_of(__m128i bytes, int mask) {
  return _mm_and_si128(bytes, _mm_set1_epi8(static_cast<char>(mask)));
}

/// to[8] = d * integers.
HEARTH_INLINE void scale_words(__m256i words, float d, float* to) {
  _mm256_storeu_ps(to, _mm256_mul_ps(_mm256_cvtepi32_ps(words), _mm256_set1_ps(d)));
}
/// to[16] = d * bytes.
HEARTH_INLINE void scale_bytes(__m128i bytes, float d, float* to) {
  scale_words(_mm256_cvtepu8_epi32(bytes), d, to);
  scale_words(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), d, to + 8);
}
HEARTH_INLINE void scale_signed_bytes(__m128i bytes, float d, float* to) {
  scale_words(_mm256_cvtepi8_epi32(bytes), d, to);
  scale_words(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)), d, to + 8);
}

/// The eight nibbles of four bytes, low halves first.
HEARTH_INLINE __m256i eight_nibbles(const uint8_t* bytes) {
  const __m256i at = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
  return _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(word_at(bytes)), at), _mm256_set1_epi32(15));
}

}  // namespace
}  // namespace hearth::cpu
