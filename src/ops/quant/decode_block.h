// One block to floats, run by run: how a format's bits become values is said once, in runs_*.h, for CPU and CUDA.
#pragma once
#include "ops/quant/runs_fp4.h"
#include "ops/quant/runs_iq.h"
#include "ops/quant/runs_k.h"
#include "ops/quant/runs_legacy.h"
#include "ops/quant/runs_low.h"

namespace hearth::quant {

inline constexpr int kRun = 8;  // elements decode_run() gives; every format's blocks are whole runs

template <class Block>
inline constexpr bool kHasCodebook = requires(const Block& block, const Codebooks& books, float* out) {
  decode_run(block, 0, books, out);
};

/// Run `run` of a block, elements [8 run, 8 run + 8). `books` is read by formats with a codebook only.
template <class Block>
constexpr void decode_run_of(const Block& block, int run, const Codebooks& books, float* out) {
  if constexpr (kHasCodebook<Block>) {
    decode_run(block, run, books, out);
  } else {
    decode_run(block, run, out);
  }
}

/// A whole block; `out` takes Block::kElements values.
template <class Block>
constexpr void decode_block(const Block& block, const Codebooks& books, float* out) {
  for (int run = 0; run < Block::kElements / kRun; ++run) decode_run_of(block, run, books, out + run * kRun);
}

}  // namespace hearth::quant
