// Code for one instruction set inside a baseline build: everything between HEARTH_BEGIN_<SET> and HEARTH_END_TARGET is
// compiled for that set, and only called after Caps::isa said that the CPU has it. Standard headers come first, outside
// the region, so that no shared inline function is emitted with instructions an older CPU lacks.
#pragma once

#define HEARTH_INLINE inline __attribute__((always_inline))

#if defined(__clang__)
#define HEARTH_UNROLL _Pragma("clang loop unroll(full)")
#define HEARTH_BEGIN_AVX2 \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c\"))), apply_to = function)")
#define HEARTH_BEGIN_AVX512 \
  _Pragma("clang attribute push(__attribute__((target(\"avx512f,avx512bw,avx512vl,avx512dq,avx512vnni\"))), apply_to = function)")
#define HEARTH_END_TARGET _Pragma("clang attribute pop")
#else
#define HEARTH_UNROLL _Pragma("GCC unroll 16")
#define HEARTH_BEGIN_AVX2 _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c\")")
#define HEARTH_BEGIN_AVX512 \
  _Pragma("GCC push_options") _Pragma("GCC target(\"avx512f,avx512bw,avx512vl,avx512dq,avx512vnni\")")
#define HEARTH_END_TARGET _Pragma("GCC pop_options")
#endif
