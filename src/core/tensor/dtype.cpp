#include "core/tensor/dtype.h"

#include <array>
#include <utility>

#include "core/base/check.h"

namespace hearth {
namespace {

constexpr DTypeInfo real(std::string_view name, int bytes) { return {name, 1, bytes, true, false}; }
constexpr DTypeInfo whole(std::string_view name, int bytes) { return {name, 1, bytes, false, false}; }
constexpr DTypeInfo block(std::string_view name, int elements, int bytes) {
  return {name, elements, bytes, false, true};
}

// In the order of the enum. Block bytes are written as scales + high bits + quants, in no particular order.
constexpr std::array<DTypeInfo, static_cast<size_t>(DType::kCount)> kInfos = {
    real("f32", 4),
    real("f16", 2),
    real("bf16", 2),
    real("f64", 8),
    whole("i8", 1),
    whole("i16", 2),
    whole("i32", 4),
    whole("i64", 8),
    whole("u8", 1),
    whole("u16", 2),
    whole("u32", 4),
    whole("u64", 8),
    whole("bool", 1),
    real("f8_e4m3", 1),
    real("f8_e5m2", 1),
    real("f8_e8m0", 1),
    block("q4_0", 32, 2 + 16),
    block("q4_1", 32, 2 + 2 + 16),
    block("q5_0", 32, 2 + 4 + 16),
    block("q5_1", 32, 2 + 2 + 4 + 16),
    block("q8_0", 32, 2 + 32),
    block("q8_1", 32, 2 + 2 + 32),
    block("q2_k", 256, 16 + 64 + 2 + 2),
    block("q3_k", 256, 32 + 64 + 12 + 2),
    block("q4_k", 256, 2 + 2 + 12 + 128),
    block("q5_k", 256, 2 + 2 + 12 + 32 + 128),
    block("q6_k", 256, 128 + 64 + 16 + 2),
    block("q8_k", 256, 4 + 256 + 32),
    block("iq1_s", 256, 2 + 32 + 16),
    block("iq1_m", 256, 32 + 16 + 8),
    block("iq2_xxs", 256, 2 + 64),
    block("iq2_xs", 256, 2 + 64 + 8),
    block("iq2_s", 256, 2 + 64 + 8 + 8),
    block("iq3_xxs", 256, 2 + 64 + 32),
    block("iq3_s", 256, 2 + 64 + 8 + 32 + 4),
    block("iq4_nl", 32, 2 + 16),
    block("iq4_xs", 256, 2 + 2 + 4 + 128),
    block("tq1_0", 256, 48 + 4 + 2),
    block("tq2_0", 256, 64 + 2),
    block("mxfp4", 32, 1 + 16),
    block("nvfp4", 64, 4 + 32),
    block("q1_0", 128, 2 + 16),
    block("q2_0", 64, 2 + 16),
};

// Indexed by ggml's type id; kCount marks the ids that were removed or exist in memory only.
constexpr std::array<DType, 43> kFromGgml = {
    DType::kF32,   DType::kF16,   DType::kQ4_0,    DType::kQ4_1,   DType::kCount,   DType::kCount, DType::kQ5_0,
    DType::kQ5_1,  DType::kQ8_0,  DType::kQ8_1,    DType::kQ2_K,   DType::kQ3_K,    DType::kQ4_K,  DType::kQ5_K,
    DType::kQ6_K,  DType::kQ8_K,  DType::kIQ2_XXS, DType::kIQ2_XS, DType::kIQ3_XXS, DType::kIQ1_S, DType::kIQ4_NL,
    DType::kIQ3_S, DType::kIQ2_S, DType::kIQ4_XS,  DType::kI8,     DType::kI16,     DType::kI32,   DType::kI64,
    DType::kF64,   DType::kIQ1_M, DType::kBF16,    DType::kCount,  DType::kCount,   DType::kCount, DType::kTQ1_0,
    DType::kTQ2_0, DType::kCount, DType::kCount,   DType::kCount,  DType::kMXFP4,   DType::kNVFP4, DType::kQ1_0,
    DType::kQ2_0,
};

constexpr std::pair<std::string_view, DType> kSafetensorsNames[] = {
    {"F64", DType::kF64},        {"F32", DType::kF32},        {"F16", DType::kF16},        {"BF16", DType::kBF16},
    {"F8_E4M3", DType::kF8E4M3}, {"F8_E5M2", DType::kF8E5M2}, {"F8_E8M0", DType::kF8E8M0}, {"I64", DType::kI64},
    {"I32", DType::kI32},        {"I16", DType::kI16},        {"I8", DType::kI8},          {"U64", DType::kU64},
    {"U32", DType::kU32},        {"U16", DType::kU16},        {"U8", DType::kU8},          {"BOOL", DType::kBool},
};

uint32_t bits_of(float value) { return __builtin_bit_cast(uint32_t, value); }
float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }

}  // namespace

const DTypeInfo& info(DType type) {
  check(type < DType::kCount, "a DType is one of the enumerators");
  return kInfos[static_cast<size_t>(type)];
}

int64_t row_bytes(DType type, int64_t n) {
  const DTypeInfo& of = info(type);
  check(n >= 0 && n % of.block_elements == 0, "a row holds whole blocks");
  return n / of.block_elements * of.block_bytes;
}

std::optional<DType> from_ggml(uint32_t ggml_type) {
  if (ggml_type >= kFromGgml.size() || kFromGgml[ggml_type] == DType::kCount) return std::nullopt;
  return kFromGgml[ggml_type];
}

std::optional<DType> from_safetensors(std::string_view name) {
  for (auto [spelling, type] : kSafetensorsNames) {
    if (spelling == name) return type;
  }
  return std::nullopt;
}

std::optional<DType> from_name(std::string_view name) {
  for (size_t i = 0; i < kInfos.size(); ++i) {
    if (kInfos[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

float f16_to_f32(uint16_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  uint32_t exponent = bits >> 10 & 0x1f;
  uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0) return float_of(bits_of(static_cast<float>(mantissa) * 0x1p-24f) | sign);
  if (exponent == 31) return float_of(sign | 0x7f800000 | mantissa << 13);
  return float_of(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

uint16_t f32_to_f16(float value) {
  uint32_t bits = bits_of(value);
  auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return static_cast<uint16_t>(sign | 0x7e00 | (magnitude >> 13 & 0x1ff));
  if (magnitude >= bits_of(65520.0f)) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < bits_of(0x1p-14f)) {
    // The last bit of 0.5f is worth 2^-24, the unit of subnormal halves: the addition does the rounding.
    return static_cast<uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5f) - bits_of(0.5f)));
  }
  uint32_t rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
  return static_cast<uint16_t>(sign | (rounded - ((127u - 15u) << 23)) >> 13);
}

uint16_t f32_to_bf16(float value) {
  uint32_t bits = bits_of(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float f8e4m3_to_f32(uint8_t bits) {
  uint32_t sign = static_cast<uint32_t>(bits & 0x80) << 24;
  uint32_t exponent = bits >> 3 & 0xf;
  uint32_t mantissa = bits & 7;
  if ((bits & 0x7f) == 0x7f) return float_of(sign | 0x7fc00000);
  if (exponent == 0) return float_of(bits_of(static_cast<float>(mantissa) * 0x1p-9f) | sign);
  return float_of(sign | (exponent + 127 - 7) << 23 | mantissa << 20);
}

// E5M2 is the upper byte of a half.
float f8e5m2_to_f32(uint8_t bits) { return f16_to_f32(static_cast<uint16_t>(bits << 8)); }

// The exponent field of a float; 2^-127 is a subnormal one.
float f8e8m0_to_f32(uint8_t bits) {
  if (bits == 0xff) return float_of(0x7fc00000);
  return bits == 0 ? 0x1p-127f : float_of(static_cast<uint32_t>(bits) << 23);
}

}  // namespace hearth
