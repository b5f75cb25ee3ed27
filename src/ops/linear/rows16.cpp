#include "ops/linear/rows16.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "ops/linear/row_codes.h"
#include "ops/quant/decode.h"
#include "ops/quant/decode_block.h"

namespace hearth::rows16 {
namespace {

constexpr int kQuads = 8;                 // of columns in a block
constexpr uint32_t kNibbles = 0x0f0f0f0f;  // of the four columns of a quad
constexpr uint32_t kLowBits = 0x01010101;

// Where a scheme keeps what in a file block, and how wide a code is.
struct Format {
  int code_bits;
  int d = -1, m = -1;     // byte offset of a half
  bool is_super = false;  // one d, m per 256 columns
};

Format format(DType scheme) {
  switch (scheme) {
    case DType::kQ4_0: return {4, 0};
    case DType::kQ4_1: return {4, 0, 2};
    case DType::kQ5_0: return {5, 0};
    case DType::kQ5_1: return {5, 0, 2};
    case DType::kQ8_0: return {8, 0};
    case DType::kQ8_1: return {8, 0, 2};  // the sum of the codes rides along unused
    case DType::kQ4_K: return {4, 0, 2, true};
    case DType::kQ5_K: return {5, 0, 2, true};
    case DType::kQ6_K: return {6, offsetof(quant::BlockQ6_K, d), -1, true};
    default: return {0};
  }
}

bool is_float(DType scheme) {
  return scheme == DType::kF32 || scheme == DType::kF16 || scheme == DType::kBF16 || scheme == DType::kF8E4M3 ||
         scheme == DType::kF8E5M2;
}

uint32_t load32(const void* from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

// One block of 32 codes of a row out of the planes. A row's part of a vector is four bytes.
void get_block(int code_bits, const std::byte* low, const std::byte* high, int row, uint8_t* codes) {
  uint32_t quads[kQuads];
  for (int q = 0; q < kQuads; ++q) {
    if (code_bits == 8) {
      quads[q] = load32(low + q * 64 + row * 4);
      continue;
    }
    quads[q] = load32(low + q % 4 * 64 + row * 4) >> q / 4 * 4 & kNibbles;
    if (code_bits == 5) quads[q] |= (load32(high + row * 4) >> q & kLowBits) << 4;
    if (code_bits == 6) quads[q] |= (load32(high + q / 4 * 64 + row * 4) >> q % 4 * 2 & 3 * kLowBits) << 4;
  }
  std::memcpy(codes, quads, sizeof(quads));
}

// One of Q4_K's and Q5_K's sixteen 6-bit numbers of a row.
quant::ScaleMin get_sub_scale(const uint8_t* sub, int s, int row) {
  int low = sub[s * 16 + row], high = sub[128 + s / 2 * 16 + row] >> s % 2 * 4;
  return {(low & 15) | (high & 3) << 4, low >> 4 | (high >> 2 & 3) << 4};
}

float get_half(const std::byte* plane, int index) {
  uint16_t bits;
  std::memcpy(&bits, plane + 2 * index, 2);
  return f16_to_f32(bits);
}

struct ScaleMin {
  float scale, min;
};

// What scales the columns [16 * s, 16 * s + 16) of a chunk, in the operations decode_row() has.
ScaleMin scale_at(DType scheme, const Chunk& at, const std::byte* tile, int s, int row) {
  const Format f = format(scheme);
  int block = f.is_super ? 0 : s / 2;
  float d = get_half(tile + at.d, block * kRows + row);
  float m = f.m >= 0 ? get_half(tile + at.m, block * kRows + row) : 0;
  const auto* sub = reinterpret_cast<const uint8_t*>(tile + at.sub);
  if (scheme == DType::kQ6_K) return {d * static_cast<float>(static_cast<int8_t>(sub[s * 16 + row])), 0};
  if (!f.is_super) return {d, m};
  quant::ScaleMin six_bits = get_sub_scale(sub, s / 2, row);
  return {d * static_cast<float>(six_bits.scale), -(m * static_cast<float>(six_bits.min))};
}

void unpack_chunk_row(DType scheme, const Chunk& at, const std::byte* tile, int row, float* out) {
  const Format f = format(scheme);
  const Coding c = coding(scheme);
  for (int b = 0; b < at.blocks; ++b, out += kBlock) {
    uint8_t codes[kBlock];
    get_block(f.code_bits, tile + at.low + b * (f.code_bits == 8 ? 512 : 256),
              tile + at.high + b * (f.code_bits == 6 ? 128 : 64), row, codes);
    for (int half = 0; half < 2; ++half) {
      ScaleMin by = scale_at(scheme, at, tile, 2 * b + half, row);
      for (int i = 16 * half; i < 16 * half + 16; ++i) {
        int code = c.is_signed ? static_cast<int8_t>(codes[i]) : codes[i] - c.zero;
        out[i] = static_cast<float>(code) * by.scale;
        if (c.has_min) out[i] += by.min;
      }
    }
  }
}

}  // namespace

bool exists(DType scheme, int64_t in) {
  return is_float(scheme) || (format(scheme).code_bits != 0 && in % info(scheme).block_elements == 0);
}

Chunk chunk(DType scheme, int64_t in, int64_t begin) {
  const Format f = format(scheme);
  Chunk at;
  at.blocks = std::min<int64_t>(kChunk, in - begin) / kBlock;
  int64_t next = tile_bytes(scheme, begin);
  auto plane = [&](int64_t bytes) {
    int64_t offset = next;
    next += bytes;
    return offset;
  };
  at.low = plane(at.blocks * (f.code_bits == 8 ? 512 : 256));
  at.high = plane(at.blocks * (f.code_bits == 5 ? 64 : f.code_bits == 6 ? 128 : 0));
  at.d = plane((f.is_super ? 1 : at.blocks) * 2 * kRows);
  at.m = plane(f.m >= 0 ? (f.is_super ? 1 : at.blocks) * 2 * kRows : 0);
  at.sub = plane(0);
  return at;
}

void expand_chunk(DType scheme, const std::byte* tile, const Chunk& at, uint8_t* codes, float* scale, float* min) {
  const Format f = format(scheme);
  const int per_block = kBlock / coding(scheme).columns;
  for (int row = 0; row < kRows; ++row) {
    for (int b = 0; b < at.blocks; ++b) {
      uint8_t block[kBlock];
      get_block(f.code_bits, tile + at.low + b * (f.code_bits == 8 ? 512 : 256),
                tile + at.high + b * (f.code_bits == 6 ? 128 : 64), row, block);
      for (int q = 0; q < kQuads; ++q) std::memcpy(codes + ((b * kQuads + q) * kRows + row) * 4, block + 4 * q, 4);
      for (int s = b * per_block; s < (b + 1) * per_block; ++s) {
        ScaleMin by = scale_at(scheme, at, tile, s * 2 / per_block, row);
        scale[s * kRows + row] = by.scale;
        min[s * kRows + row] = by.min;
      }
    }
  }
}

void unpack_row(DType scheme, int64_t in, const std::byte* tile, int row, float* out) {
  if (is_float(scheme)) {
    const int64_t size = info(scheme).block_bytes;
    std::byte gathered[kChunk * sizeof(float)];
    for (int64_t begin = 0; begin < in; begin += kChunk) {
      int64_t n = std::min<int64_t>(kChunk, in - begin);
      for (int64_t k = 0; k < n; ++k) {
        std::memcpy(gathered + k * size, tile + ((begin + k) * kRows + row) * size, static_cast<size_t>(size));
      }
      quant::decode_row(scheme, gathered, out + begin, n);
    }
    return;
  }
  for (int64_t begin = 0; begin < in; begin += kChunk) {
    unpack_chunk_row(scheme, chunk(scheme, in, begin), tile, row, out + begin);
  }
}

}  // namespace hearth::rows16
