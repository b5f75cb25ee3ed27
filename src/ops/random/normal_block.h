// Box-Muller over blocks of sixteen uniforms in place: numbers j and j + 8 of a block become a pair of normals.
#pragma once
#include <cstddef>
#include <span>

#include "ops/random/noise.h"

namespace hearth {

inline constexpr size_t kNormalBlock = 16;

/// Turns uniforms into normals; the size is a multiple of kNormalBlock.
using NormalBlockFn = void (*)(std::span<float> values);

/// The fastest code this CPU has for a flavour; every one of a flavour gives the same bits.
NormalBlockFn normal_block(NormalFlavour flavour);

/// The definition of kPolynomial and of kLibm.
void normal_block_polynomial(std::span<float> values);
void normal_block_libm(std::span<float> values);
/// kPolynomial, eight at a time; null where the build has none for this CPU.
NormalBlockFn normal_block_avx2();

/// The polynomials of kPolynomial: Cephes' single precision ones with multiply-adds fused.
float log_polynomial(float x);
void sin_cos_polynomial(float x, float& sin, float& cos);

}  // namespace hearth
