#include "ops/quant/encode.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/base/check.h"
#include "ops/quant/blocks.h"

namespace hearth::quant {
namespace {

float inverse(float d) { return d != 0 ? 1.0f / d : 0.0f; }

/// The element of the largest magnitude, with its sign; the first of equals.
float extreme(const float* in, int n) {
  return *std::max_element(in, in + n, [](float a, float b) { return std::abs(a) < std::abs(b); });
}

int clamped(float value, int low, int high) { return std::clamp(static_cast<int>(value), low, high); }
int rounded(float value, int low, int high) { return std::clamp(static_cast<int>(std::lround(value)), low, high); }

void put_nibbles(const int* q, uint8_t* qs) {
  for (int j = 0; j < 16; ++j) qs[j] = static_cast<uint8_t>((q[j] & 15) | (q[j + 16] & 15) << 4);
}

void put_fifth_bits(const int* q, uint8_t* qh) {
  std::memset(qh, 0, 4);
  for (int i = 0; i < 32; ++i) qh[i / 8] = static_cast<uint8_t>(qh[i / 8] | (q[i] >> 4 & 1) << i % 8);
}

/// Symmetric: the extreme element becomes exactly -levels/2. Returns d.
float quantise_symmetric(const float* in, int levels, int* q) {
  float half = static_cast<float>(levels) / 2;
  float d = extreme(in, 32) / -half;
  float id = inverse(d);
  for (int i = 0; i < 32; ++i) q[i] = clamped(in[i] * id + (half + 0.5f), 0, levels - 1);
  return d;
}

struct Affine {
  float d, min;
};

Affine quantise_affine(const float* in, int levels, int* q) {
  auto [low, high] = std::minmax_element(in, in + 32);
  float d = (*high - *low) / static_cast<float>(levels - 1);
  float id = inverse(d);
  for (int i = 0; i < 32; ++i) q[i] = clamped((in[i] - *low) * id + 0.5f, 0, levels - 1);
  return {d, *low};
}

void encode(const float* in, BlockQ4_0& block) {
  int q[32];
  block.d = f32_to_f16(quantise_symmetric(in, 16, q));
  put_nibbles(q, block.qs);
}

void encode(const float* in, BlockQ4_1& block) {
  int q[32];
  Affine fit = quantise_affine(in, 16, q);
  block.d = f32_to_f16(fit.d);
  block.m = f32_to_f16(fit.min);
  put_nibbles(q, block.qs);
}

void encode(const float* in, BlockQ5_0& block) {
  int q[32];
  block.d = f32_to_f16(quantise_symmetric(in, 32, q));
  put_nibbles(q, block.qs);
  put_fifth_bits(q, block.qh);
}

void encode(const float* in, BlockQ5_1& block) {
  int q[32];
  Affine fit = quantise_affine(in, 32, q);
  block.d = f32_to_f16(fit.d);
  block.m = f32_to_f16(fit.min);
  put_nibbles(q, block.qs);
  put_fifth_bits(q, block.qh);
}

void encode(const float* in, BlockQ8_0& block) {
  float d = std::abs(extreme(in, 32)) / 127.0f;
  float id = inverse(d);
  block.d = f32_to_f16(d);
  for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(std::round(in[i] * id));
}

/// Q4_K's eight 6-bit scales and minima into their 12 bytes; the inverse of k_scale_min().
void put_scale_mins(const int* scale, const int* min, uint8_t* packed) {
  for (int sub = 0; sub < 4; ++sub) {
    packed[sub] = static_cast<uint8_t>(scale[sub] | scale[sub + 4] >> 4 << 6);
    packed[sub + 4] = static_cast<uint8_t>(min[sub] | min[sub + 4] >> 4 << 6);
    packed[sub + 8] = static_cast<uint8_t>((scale[sub + 4] & 15) | (min[sub + 4] & 15) << 4);
  }
}

void encode(const float* in, BlockQ4_K& block) {
  float step[8], offset[8];  // of a sub-block: x = step * q - offset with 0 <= q <= 15
  for (int sub = 0; sub < 8; ++sub) {
    auto [low, high] = std::minmax_element(in + 32 * sub, in + 32 * sub + 32);
    offset[sub] = std::max(0.0f, -*low);
    step[sub] = std::max(0.0f, *high + offset[sub]) / 15.0f;
  }
  block.d = f32_to_f16(*std::max_element(step, step + 8) / 63.0f);
  block.dmin = f32_to_f16(*std::max_element(offset, offset + 8) / 63.0f);
  float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  int scale[8], min[8];
  for (int sub = 0; sub < 8; ++sub) {
    scale[sub] = rounded(step[sub] * inverse(d), 0, 63);
    min[sub] = rounded(offset[sub] * inverse(dmin), 0, 63);
  }
  put_scale_mins(scale, min, block.scales);
  std::memset(block.qs, 0, sizeof(block.qs));
  for (int i = 0; i < kSuper; ++i) {
    int sub = i / 32;
    float id = inverse(d * static_cast<float>(scale[sub]));
    int q = rounded((in[i] + dmin * static_cast<float>(min[sub])) * id, 0, 15);
    uint8_t& byte = block.qs[i / 64 * 32 + i % 32];
    byte = static_cast<uint8_t>(byte | q << (sub % 2 * 4));
  }
}

void encode(const float* in, BlockQ6_K& block) {
  float step[16];
  for (int sub = 0; sub < 16; ++sub) step[sub] = extreme(in + 16 * sub, 16) / -32.0f;
  block.d = f32_to_f16(std::abs(extreme(step, 16)) / 127.0f);
  float d = f16_to_f32(block.d);
  for (int sub = 0; sub < 16; ++sub) {
    block.scales[sub] = static_cast<int8_t>(rounded(step[sub] * inverse(d), -127, 127));
  }
  std::memset(block.ql, 0, sizeof(block.ql));
  std::memset(block.qh, 0, sizeof(block.qh));
  for (int i = 0; i < kSuper; ++i) {
    float id = inverse(d * static_cast<float>(block.scales[i / 16]));
    int q = rounded(in[i] * id, -32, 31) + 32;
    uint8_t& low = block.ql[i / 128 * 64 + i % 64];
    uint8_t& high = block.qh[i / 128 * 32 + i % 32];
    low = static_cast<uint8_t>(low | (q & 15) << (i % 128 / 64 * 4));
    high = static_cast<uint8_t>(high | q >> 4 << (i % 128 / 32 * 2));
  }
}

template <class Block>
void encode_blocks(const float* in, uint8_t* bytes, int64_t n) {
  for (int64_t i = 0; i < n; i += Block::kElements, bytes += sizeof(Block)) {
    Block block;
    encode(in + i, block);
    std::memcpy(bytes, &block, sizeof(Block));
  }
}

template <uint16_t (*Round)(float)>
void encode_halves(const float* in, uint8_t* bytes, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    uint16_t half = Round(in[i]);
    std::memcpy(bytes + 2 * i, &half, 2);
  }
}

void copy_floats(const float* in, uint8_t* bytes, int64_t n) {
  std::memcpy(bytes, in, static_cast<size_t>(n) * sizeof(float));
}

using EncodeRow = void (*)(const float*, uint8_t*, int64_t);

EncodeRow row_encoder(DType type) {
  switch (type) {
    case DType::kF32: return copy_floats;
    case DType::kF16: return encode_halves<f32_to_f16>;
    case DType::kBF16: return encode_halves<f32_to_bf16>;
    case DType::kQ4_0: return encode_blocks<BlockQ4_0>;
    case DType::kQ4_1: return encode_blocks<BlockQ4_1>;
    case DType::kQ5_0: return encode_blocks<BlockQ5_0>;
    case DType::kQ5_1: return encode_blocks<BlockQ5_1>;
    case DType::kQ8_0: return encode_blocks<BlockQ8_0>;
    case DType::kQ4_K: return encode_blocks<BlockQ4_K>;
    case DType::kQ6_K: return encode_blocks<BlockQ6_K>;
    default: return nullptr;
  }
}

}  // namespace

bool can_encode(DType type) { return row_encoder(type) != nullptr; }

void encode_row(DType type, const float* in, void* blocks, int64_t n) {
  EncodeRow encode_all = row_encoder(type);
  check(encode_all != nullptr, "encode_row knows the type");
  check(n >= 0 && n % info(type).block_elements == 0, "a row holds whole blocks");
  encode_all(in, static_cast<uint8_t*>(blocks), n);
}

}  // namespace hearth::quant
