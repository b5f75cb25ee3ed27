#include "ops/quant/decode.h"

#include <cstring>

#include "core/base/check.h"
#include "ops/quant/decode_block.h"

namespace hearth::quant {
namespace {

using DecodeRow = void (*)(const uint8_t* bytes, float* out, int64_t n);

Codebooks codebooks() {
  return {iq1_grid().data(), iq2_xxs_grid().data(), iq2_xs_grid().data(), iq2_s_grid().data(), iq3_xxs_grid().data(),
          iq3_s_grid().data()};
}

template <class Block>
void decode_blocks(const uint8_t* bytes, float* out, int64_t n) {
  const Codebooks books = codebooks();
  for (int64_t i = 0; i < n; i += Block::kElements, bytes += sizeof(Block)) {
    Block block;
    std::memcpy(&block, bytes, sizeof(Block));
    decode_block(block, books, out + i);
  }
}

template <class Stored, auto ToFloat>
void decode_scalars(const uint8_t* bytes, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    Stored stored;
    std::memcpy(&stored, bytes + i * static_cast<int64_t>(sizeof(Stored)), sizeof(Stored));
    out[i] = ToFloat(stored);
  }
}

template <class Stored>
float cast(Stored stored) {
  return static_cast<float>(stored);
}
float truth(uint8_t stored) { return stored != 0 ? 1.0f : 0.0f; }

DecodeRow row_decoder(DType type) {
  switch (type) {
    case DType::kF32: return decode_scalars<float, cast<float>>;
    case DType::kF16: return decode_scalars<uint16_t, f16_to_f32>;
    case DType::kBF16: return decode_scalars<uint16_t, bf16_to_f32>;
    case DType::kF64: return decode_scalars<double, cast<double>>;
    case DType::kI8: return decode_scalars<int8_t, cast<int8_t>>;
    case DType::kI16: return decode_scalars<int16_t, cast<int16_t>>;
    case DType::kI32: return decode_scalars<int32_t, cast<int32_t>>;
    case DType::kI64: return decode_scalars<int64_t, cast<int64_t>>;
    case DType::kU8: return decode_scalars<uint8_t, cast<uint8_t>>;
    case DType::kU16: return decode_scalars<uint16_t, cast<uint16_t>>;
    case DType::kU32: return decode_scalars<uint32_t, cast<uint32_t>>;
    case DType::kU64: return decode_scalars<uint64_t, cast<uint64_t>>;
    case DType::kBool: return decode_scalars<uint8_t, truth>;
    case DType::kF8E4M3: return decode_scalars<uint8_t, f8e4m3_to_f32>;
    case DType::kF8E5M2: return decode_scalars<uint8_t, f8e5m2_to_f32>;
    case DType::kF8E8M0: return decode_scalars<uint8_t, f8e8m0_to_f32>;
    case DType::kQ4_0: return decode_blocks<BlockQ4_0>;
    case DType::kQ4_1: return decode_blocks<BlockQ4_1>;
    case DType::kQ5_0: return decode_blocks<BlockQ5_0>;
    case DType::kQ5_1: return decode_blocks<BlockQ5_1>;
    case DType::kQ8_0: return decode_blocks<BlockQ8_0>;
    case DType::kQ8_1: return decode_blocks<BlockQ8_1>;
    case DType::kQ2_K: return decode_blocks<BlockQ2_K>;
    case DType::kQ3_K: return decode_blocks<BlockQ3_K>;
    case DType::kQ4_K: return decode_blocks<BlockQ4_K>;
    case DType::kQ5_K: return decode_blocks<BlockQ5_K>;
    case DType::kQ6_K: return decode_blocks<BlockQ6_K>;
    case DType::kQ8_K: return decode_blocks<BlockQ8_K>;
    case DType::kIQ1_S: return decode_blocks<BlockIQ1_S>;
    case DType::kIQ1_M: return decode_blocks<BlockIQ1_M>;
    case DType::kIQ2_XXS: return decode_blocks<BlockIQ2_XXS>;
    case DType::kIQ2_XS: return decode_blocks<BlockIQ2_XS>;
    case DType::kIQ2_S: return decode_blocks<BlockIQ2_S>;
    case DType::kIQ3_XXS: return decode_blocks<BlockIQ3_XXS>;
    case DType::kIQ3_S: return decode_blocks<BlockIQ3_S>;
    case DType::kIQ4_NL: return decode_blocks<BlockIQ4_NL>;
    case DType::kIQ4_XS: return decode_blocks<BlockIQ4_XS>;
    case DType::kTQ1_0: return decode_blocks<BlockTQ1_0>;
    case DType::kTQ2_0: return decode_blocks<BlockTQ2_0>;
    case DType::kMXFP4: return decode_blocks<BlockMXFP4>;
    case DType::kNVFP4: return decode_blocks<BlockNVFP4>;
    case DType::kQ1_0: return decode_blocks<BlockQ1_0>;
    case DType::kQ2_0: return decode_blocks<BlockQ2_0>;
    case DType::kCount: break;
  }
  return nullptr;
}

}  // namespace

bool supported(DType type) { return row_decoder(type) != nullptr; }

void decode_row(DType type, const void* blocks, float* out, int64_t n) {
  DecodeRow decode_all = row_decoder(type);
  check(decode_all != nullptr, "decode_row knows the type");
  check(n >= 0 && n % info(type).block_elements == 0, "a row holds whole blocks");
  decode_all(static_cast<const uint8_t*>(blocks), out, n);
}

}  // namespace hearth::quant
