// The layout kRows16, for CPU kernels that make 16 outputs at once. A weight is a run of tiles of 16 output rows (the
// last one padded with zeros); a tile is a run of chunks of up to 256 input columns. A chunk takes exactly the bytes
// of its 16 rows in the file, regrouped into planes so that one vector load holds 16 rows x 4 columns:
//   low    per block of 32 columns, eight quads of columns, each [16 rows][4 columns]:
//          8-bit codes: one byte each, quads 0 to 7 in order;
//          others: the low nibbles, byte q of [4][16][4] holding quad q below and quad q + 4 above
//   high   per block [16][4] bytes whose bit q is bit 4 of quad q's code (5-bit codes), or two such planes for quads
//          0-3 and 4-7 whose bits 2q and 2q+1 are bits 4 and 5 (6-bit codes)
//   d, m   the halves of the file, 16 rows together: per block of 32, or once per chunk for the K types
//   sub    Q4_K, Q5_K: per block [16] bytes scale & 15 | (min & 15) << 4, then per pair of blocks [16] bytes with
//          scale >> 4 | (min >> 4) << 2 of the even block in the low nibble and of the odd one in the high nibble;
//          Q6_K: per 16 columns [16] signed bytes
// Float weights are [columns][16 rows] of their scalar.
#pragma once
#include "core/tensor/weight.h"

namespace hearth::rows16 {

inline constexpr int kRows = 16;
inline constexpr int kChunk = 256;
inline constexpr int kBlock = 32;

/// Whether the layout exists for a scheme and a row length.
bool exists(DType scheme, int64_t in);

inline int64_t tiles(int64_t out) { return (out + kRows - 1) / kRows; }
inline int64_t tile_bytes(DType scheme, int64_t in) { return kRows * row_bytes(scheme, in); }

/// Byte offsets of a chunk's planes from the first byte of its tile; -1 for a plane the scheme lacks.
struct Chunk {
  int64_t blocks = 0;  // of 32 columns
  int64_t low = -1, high = -1, d = -1, m = -1, sub = -1;
};

/// The chunk that starts at column `begin`, a multiple of 256. Block schemes only.
Chunk chunk(DType scheme, int64_t in, int64_t begin);

/// Repacks 16 file rows of one tile; `n_rows` of them exist, the others become zeros.
void pack_tile(DType scheme, int64_t in, int n_rows, const std::byte* file_rows, std::byte* tile);

/// A chunk as codes [blocks][8 quads][16 rows][4 columns] with scales, and minima where the scheme has them, per
/// coding(scheme).columns as [scales][16 rows]. The plain form of what each instruction set has its own version of.
void expand_chunk(DType scheme, const std::byte* tile, const Chunk& at, uint8_t* codes, float* scale, float* min);

/// Row `row` of a tile as float32, bit for bit what decoding the file's row gives.
void unpack_row(DType scheme, int64_t in, const std::byte* tile, int row, float* out);

}  // namespace hearth::rows16
