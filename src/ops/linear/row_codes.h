// Quantised rows as integers: every block type of a file is read as unsigned or signed 8-bit codes with a scale, and
// sometimes a minimum, per 16 or 32 columns:
//     value = scale * (code - zero)            or            value = scale * code + min
// What vectors do to many codes at once is left to the kernels that lay codes out: a few types index 16 levels, and
// their codes are the indices; others give magnitudes and a bit per column that negates them. Integer kernels multiply
// the codes; decode_row() in ops/quant stays the definition of the values.
// Threads: pure functions.
#pragma once
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hearth {

struct Coding {
  int columns = 0;         // per scale: 16 or 32; 0 when the type has no codes
  bool has_min = false;
  bool is_signed = false;  // codes are int8 and zero is 0
  int zero = 0;            // subtracted from unsigned codes
  int max_code = 0;        // of unsigned codes
  const int8_t* levels = nullptr;  // 16 values that read_codes() gives indices of; they count as signed codes
  bool has_signs = false;          // codes are magnitudes, to be negated where RowCodes::signs says; signed thereafter
};

/// How a type is coded; columns is 0 for scalars.
Coding coding(DType type);

inline constexpr int kCodeChunk = 256;  // the longest run read_codes() is asked for; a multiple of every block

/// One row's codes: out of `n` columns (whole blocks, at most kCodeChunk) at `blocks`, which is aligned as its words
/// are: rows of an aligned tensor or file.
struct RowCodes {
  alignas(64) uint8_t codes[kCodeChunk];
  float scale[kCodeChunk / 16];
  float min[kCodeChunk / 16];
  alignas(8) uint8_t signs[kCodeChunk / 8];  // only with coding().has_signs: bit j of byte i is of column 8 i + j
};
void read_codes(DType type, const uint8_t* blocks, int64_t n, RowCodes& out);

/// The same of several rows, `stride` bytes apart.
struct FileRows {
  const uint8_t* first = nullptr;
  int64_t stride = 0;
  int rows = 0;
};
void read_rows(DType type, const FileRows& from, int64_t n, RowCodes* out);

}  // namespace hearth
