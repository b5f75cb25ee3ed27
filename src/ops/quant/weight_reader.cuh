// A row of a weight as device code reads it: runs of eight values, decoded in registers. One reader per scheme.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <type_traits>

#include "ops/quant/decode_block.h"
#include "ops/quant/iq_grids.cuh"

namespace hearth::cuda {

/// Scalars; a row may end with a part of a run, which load_one() reads.
template <DType T, class Cell>
struct ScalarReader {
  static constexpr DType kType = T;
  static constexpr bool kHasTail = true;
  static __device__ float value(float cell) { return cell; }
  static __device__ float value(__half cell) { return __half2float(cell); }
  static __device__ float value(__nv_bfloat16 cell) { return __bfloat162float(cell); }
  static __device__ float value(__nv_fp8_e4m3 cell) { return static_cast<float>(cell); }
  static __device__ float value(__nv_fp8_e5m2 cell) { return static_cast<float>(cell); }

  static __device__ float load_one(const std::byte* row, int64_t i) {
    return value(reinterpret_cast<const Cell*>(row)[i]);
  }
  /// kAligned: every row begins at a multiple of 16 bytes.
  template <bool kAligned>
  static __device__ void load(const std::byte* row, int64_t run, float* out) {
    alignas(16) Cell cells[8];
    using Word = std::conditional_t<sizeof(cells) % 16 == 0, uint4, uint2>;
    const Cell* from = reinterpret_cast<const Cell*>(row) + 8 * run;
    if constexpr (kAligned) {
#pragma unroll
      for (int i = 0; i < static_cast<int>(sizeof(cells) / sizeof(Word)); ++i) {
        reinterpret_cast<Word*>(cells)[i] = __ldg(reinterpret_cast<const Word*>(from) + i);
      }
    } else {
#pragma unroll
      for (int i = 0; i < 8; ++i) cells[i] = from[i];
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) out[i] = value(cells[i]);
  }
};

/// Blocks: a row is whole blocks, so whole runs.
template <class Block>
struct BlockReader {
  static constexpr DType kType = Block::kType;
  static constexpr bool kHasTail = false;

  template <bool>
  static __device__ void load(const std::byte* row, int64_t run, float* out) {
    constexpr int kRuns = Block::kElements / quant::kRun;
    const Block& block = reinterpret_cast<const Block*>(row)[run / kRuns];
    int at = static_cast<int>(run % kRuns);
    if constexpr (quant::kHasCodebook<Block>) {
      quant::decode_run(block, at, quant::device_codebooks(), out);
    } else {
      quant::decode_run(block, at, out);
    }
  }
};

template <class... Readers>
struct ReaderList {};

using FloatReaders = ReaderList<ScalarReader<DType::kF32, float>, ScalarReader<DType::kF16, __half>,
                                ScalarReader<DType::kBF16, __nv_bfloat16>, ScalarReader<DType::kF8E4M3, __nv_fp8_e4m3>,
                                ScalarReader<DType::kF8E5M2, __nv_fp8_e5m2>>;
template <class... Blocks>
using BlockReaders = ReaderList<BlockReader<Blocks>...>;
using LegacyReaders = BlockReaders<quant::BlockQ4_0, quant::BlockQ4_1, quant::BlockQ5_0, quant::BlockQ5_1,
                                   quant::BlockQ8_0, quant::BlockQ8_1>;
using KReaders = BlockReaders<quant::BlockQ2_K, quant::BlockQ3_K, quant::BlockQ4_K, quant::BlockQ5_K, quant::BlockQ6_K,
                              quant::BlockQ8_K>;
using IqReaders =
    BlockReaders<quant::BlockIQ1_S, quant::BlockIQ1_M, quant::BlockIQ2_XXS, quant::BlockIQ2_XS, quant::BlockIQ2_S,
                 quant::BlockIQ3_XXS, quant::BlockIQ3_S, quant::BlockIQ4_NL, quant::BlockIQ4_XS>;
using LowReaders = BlockReaders<quant::BlockTQ1_0, quant::BlockTQ2_0, quant::BlockQ1_0, quant::BlockQ2_0,
                                quant::BlockMXFP4, quant::BlockNVFP4>;

/// What make(std::type_identity<Reader>) gives for the scheme's reader in the list; null when it is not there.
template <class Function, class... Readers, class Make>
Function pick_reader(ReaderList<Readers...>, DType scheme, Make make) {
  Function found = nullptr;
  ((Readers::kType == scheme ? void(found = make(std::type_identity<Readers>{})) : void()), ...);
  return found;
}

}  // namespace hearth::cuda
