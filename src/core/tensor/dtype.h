// DType: what one element, or one block of elements, of a tensor is in memory. Scalars are what ops compute on; ggml
// block types are what a GGUF file may hold and only appear inside a Weight. Numbers of the ggml types follow the
// GGUF specification (ggml.h, enum ggml_type), so a file's type id maps through from_ggml().
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace hearth {

enum class DType : uint8_t {
  // scalars
  kF32, kF16, kBF16, kF64, kI8, kI16, kI32, kI64, kU8, kU16, kU32, kU64, kBool,
  kF8E4M3, kF8E5M2, kF8E8M0,
  // ggml blocks
  kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ8_1,
  kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K, kQ8_K,
  kIQ1_S, kIQ1_M, kIQ2_XXS, kIQ2_XS, kIQ2_S, kIQ3_XXS, kIQ3_S, kIQ4_NL, kIQ4_XS,
  kTQ1_0, kTQ2_0, kMXFP4, kNVFP4, kQ1_0, kQ2_0,
  kCount,
};

struct DTypeInfo {
  std::string_view name;   // "f32", "q4_k": llama.cpp's and safetensors' spelling in lower case
  int block_elements;      // 1 for scalars
  int block_bytes;         // bytes of one block
  bool is_float;           // a scalar floating-point type
  bool is_block;           // a ggml block type
};

const DTypeInfo& info(DType type);
inline std::string_view name(DType type) { return info(type).name; }

/// Bytes of a row of n elements. `n` must be a multiple of the block (a bug otherwise: parsers check first).
int64_t row_bytes(DType type, int64_t n);

/// The GGUF type id as a DType; nothing for removed, unknown or repacked ids.
std::optional<DType> from_ggml(uint32_t ggml_type);
/// The safetensors spelling ("F32", "BF16", "F8_E4M3", ...); nothing when unknown.
std::optional<DType> from_safetensors(std::string_view name);
/// The name info() gives, such as "f16" or "q8_0" (configuration files, flags).
std::optional<DType> from_name(std::string_view name);

// Scalar conversions, IEEE round to nearest even. Fast paths live in the ops.
float f16_to_f32(uint16_t bits);
uint16_t f32_to_f16(float value);
inline float bf16_to_f32(uint16_t bits) { return __builtin_bit_cast(float, static_cast<uint32_t>(bits) << 16); }
uint16_t f32_to_bf16(float value);
float f8e4m3_to_f32(uint8_t bits);  // OCP FN: no infinities, 0x7f and 0xff are NaN
float f8e5m2_to_f32(uint8_t bits);
float f8e8m0_to_f32(uint8_t bits);  // a scale: a power of two from 2^-127 to 2^127, 0xff is NaN

}  // namespace hearth
