// File rows into tiles of 16. Weights pass here once, on their way from the disk: it must not be slower than the disk,
// so the codes of a block become the words of its planes without being decoded, words are moved by transposing squares
// of them, and memory is asked for ahead: 16 rows at once are more streams than a core follows by itself.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/base/check.h"
#include "ops/linear/byte_words.h"
#include "ops/linear/rows16.h"
#include "ops/quant/blocks.h"

namespace hearth::rows16 {
namespace {

using namespace quant;

constexpr int kVector = 16;  // bytes

using Words16 = uint16_t __attribute__((vector_size(kVector)));
using Words32 = uint32_t __attribute__((vector_size(kVector)));
template <class T>
using Vector = std::conditional_t<sizeof(T) == 1, Bytes16, std::conditional_t<sizeof(T) == 2, Words16, Words32>>;

// a0 b0 a1 b1 ... of the first and of the second halves.
Bytes16 zip_first(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
Bytes16 zip_second(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
Words16 zip_first(Words16 a, Words16 b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
Words16 zip_second(Words16 a, Words16 b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
Words32 zip_first(Words32 a, Words32 b) { return __builtin_shufflevector(a, b, 0, 4, 1, 5); }
Words32 zip_second(Words32 a, Words32 b) { return __builtin_shufflevector(a, b, 2, 6, 3, 7); }

// A square of n vectors of n elements: every round of zips brings rows twice as far apart together.
template <class T>
void transpose(Vector<T> (&square)[kVector / sizeof(T)]) {
  constexpr int n = kVector / sizeof(T);
  for (int apart = 1; apart < n; apart *= 2) {
    Vector<T> zipped[n];
    for (int i = 0; i < n / 2; ++i) {
      zipped[2 * i] = zip_first(square[i], square[i + n / 2]);
      zipped[2 * i + 1] = zip_second(square[i], square[i + n / 2]);
    }
    std::copy_n(zipped, n, square);
  }
}

// The same columns of the tile that lies behind, soon wanted: asked for in the order in which they lie. Past the end of
// a buffer it asks for nothing.
void fetch_next_tile(const std::byte* file_rows, int64_t row_size, int64_t begin, int64_t bytes) {
  constexpr int64_t kCacheLine = 64;
  const std::byte* next = file_rows + kRows * (row_size + begin);
  for (int64_t i = 0; i < kRows * bytes; i += kCacheLine) __builtin_prefetch(next + i);
}

// [16][in] -> [in][16].
template <class T>
void pack_scalars(int64_t in, int n_rows, const std::byte* rows, std::byte* tile) {
  constexpr int n = kVector / sizeof(T), kLine = 4;  // vectors of a cache line
  constexpr int64_t size = sizeof(T);
  alignas(64) Vector<T> held[kRows][kLine] = {};
  int64_t k = 0;
  for (; k + kLine * n <= in; k += kLine * n) {
    fetch_next_tile(rows, in * size, k * size, sizeof(held[0]));
    for (int row = 0; row < n_rows; ++row) std::memcpy(held[row], rows + (row * in + k) * size, sizeof(held[row]));
    for (int part = 0; part < kLine; ++part) {
      for (int first = 0; first < kRows; first += n) {
        Vector<T> square[n];
        for (int i = 0; i < n; ++i) square[i] = held[first + i][part];
        transpose<T>(square);
        for (int i = 0; i < n; ++i) {
          std::memcpy(tile + ((k + part * n + i) * kRows + first) * size, &square[i], kVector);
        }
      }
    }
  }
  for (; k < in; ++k) {
    for (int row = 0; row < n_rows; ++row) {
      std::memcpy(tile + (k * kRows + row) * size, rows + (row * in + k) * size, sizeof(T));
    }
  }
}

constexpr int kBlocks = kChunk / kBlock;  // at most, of a chunk

// What the planes hold of one row of a chunk.
struct RowWords {
  alignas(kVector) uint8_t low[kBlocks][kBlock];  // nibbles: the first 16 bytes
  uint8_t d[kBlocks][2], m[kBlocks][2];
  uint32_t high[kBlocks][2];
};

template <class Block>
const Block& block_at(const std::byte* file, int b) {
  return reinterpret_cast<const Block*>(file)[b];
}

// Bit 8 i + q: bit 4 q + i of 32, for columns i of quads q.
uint32_t fifth_bits(const uint8_t* qh) {
  constexpr uint32_t kEveryFourth = 0x11111111;
  uint32_t bits = load_word32(qh), word = 0;
  for (int i = 0; i < 4; ++i) {
    uint64_t quads = bits >> i & kEveryFourth;
    quads = (quads | quads >> 3) & 0x03030303;
    quads = (quads | quads >> 6) & 0x000f000f;
    word |= static_cast<uint32_t>((quads | quads >> 12) & 0xff) << 8 * i;
  }
  return word;
}

template <class Block>
void read_row(const std::byte* file, int n_blocks, RowWords& to) {
  for (int b = 0; b < n_blocks; ++b) {
    const Block& from = block_at<Block>(file, b);
    std::memcpy(to.low[b], from.qs, sizeof(from.qs));  // the low nibbles are columns 0 to 15, as in the plane
    std::memcpy(to.d[b], &from.d, 2);
    if constexpr (requires { from.m; }) std::memcpy(to.m[b], &from.m, 2);
    if constexpr (requires { from.s; }) std::memcpy(to.m[b], &from.s, 2);
    if constexpr (requires { from.qh; }) to.high[b][0] = fifth_bits(from.qh);
  }
}

void read_k_nibbles(const uint8_t* qs, RowWords& to) {
  for (int b = 0; b < kBlocks; b += 2, qs += 32) {
    const Bytes16 first = load_bytes(qs), second = load_bytes(qs + 16);
    store_bytes(to.low[b], (first & 15) | (second << 4));
    store_bytes(to.low[b + 1], (first >> 4) | (second & 0xf0));
  }
}

template <class Block>
void read_k_row(const Block& from, RowWords& to) {
  read_k_nibbles(from.qs, to);
  std::memcpy(to.d[0], &from.d, 2);
  std::memcpy(to.m[0], &from.dmin, 2);
  if constexpr (requires { from.qh; }) {
    constexpr uint32_t kLowBits = 0x01010101;
    for (int b = 0; b < kBlocks; ++b) {
      uint32_t bits = 0;
      for (int q = 0; q < 8; ++q) bits |= (load_word32(from.qh + 4 * q) >> b & kLowBits) << q;
      to.high[b][0] = bits;
    }
  }
}

void read_k_row(const BlockQ6_K& from, RowWords& to) {
  constexpr uint32_t kTwoBits = 0x03030303;
  std::memcpy(to.d[0], &from.d, 2);
  for (int b = 0; b < kBlocks; ++b) {
    const uint8_t* ql = from.ql + b / 4 * 64 + b % 2 * 32;
    const uint8_t* qh = from.qh + b / 4 * 32;
    const int shift = b % 4 / 2 * 4;
    store_bytes(to.low[b], (load_bytes(ql) >> shift & 15) | (load_bytes(ql + 16) >> shift << 4));
    for (int half = 0; half < 2; ++half) {
      uint32_t bits = 0;
      for (int q = 0; q < 4; ++q) {
        bits |= (load_word32(qh + 16 * half + 4 * q) >> b % 4 * 2 & kTwoBits) << 2 * q;
      }
      to.high[b][half] = bits;
    }
  }
}

// Q4_K's and Q5_K's sixteen 6-bit numbers of a row, four in a word.
void put_sub_scales(const uint8_t* scales, int row, uint8_t* sub) {
  constexpr uint32_t kSix = 0x3f3f3f3f, kFour = 0x0f0f0f0f, kTwo = 0x03030303;
  const uint32_t first = load_word32(scales), second = load_word32(scales + 4), third = load_word32(scales + 8);
  const uint32_t scale[2] = {first & kSix, (third & kFour) | (first >> 6 & kTwo) << 4};
  const uint32_t min[2] = {second & kSix, (third >> 4 & kFour) | (second >> 6 & kTwo) << 4};
  for (int half = 0; half < 2; ++half) {
    const uint32_t low = (scale[half] & kFour) | (min[half] & kFour) << 4;
    const uint32_t high = (scale[half] >> 4 & kTwo) | (min[half] >> 4 & kTwo) << 2;
    const uint32_t pairs = high | high >> 4;  // bytes 0 and 2
    for (int s = 0; s < 4; ++s) sub[(4 * half + s) * kRows + row] = static_cast<uint8_t>(low >> 8 * s);
    for (int s = 0; s < 2; ++s) sub[128 + (2 * half + s) * kRows + row] = static_cast<uint8_t>(pairs >> 16 * s);
  }
}

// Words of 16 rows to the plane [quads][16 rows], four bytes each.
void spread_low(const RowWords* rows, int b, int quads, std::byte* plane) {
  for (int q = 0; q < quads; q += 4) {
    for (int first = 0; first < kRows; first += 4) {
      Words32 square[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&square[i], rows[first + i].low[b] + 4 * q, kVector);
      transpose<uint32_t>(square);
      for (int i = 0; i < 4; ++i) std::memcpy(plane + (q + i) * 64 + first * 4, &square[i], kVector);
    }
  }
}

struct Planes {
  int quads = 4;          // of the low plane: 8 of whole bytes
  int high = 0;           // words of a row and block
  bool has_min = false;
  bool is_super = false;  // one d, m per 256 columns
};

template <class Block>
constexpr Planes planes_of() {
  Planes planes;
  if constexpr (requires(Block b) { b.ql; }) return {.high = 2, .is_super = true};
  if constexpr (requires(Block b) { b.qh; }) planes.high = 1;
  if constexpr (requires(Block b) { b.m; } || requires(Block b) { b.s; }) planes.has_min = true;
  if constexpr (requires(Block b) { b.dmin; }) planes.has_min = planes.is_super = true;
  if constexpr (sizeof(Block) >= sizeof(BlockQ8_0) && !requires(Block b) { b.scales; }) planes.quads = 8;
  return planes;
}

template <class Block>
void put_chunk(const RowWords* rows, const Chunk& at, std::byte* tile) {
  constexpr Planes planes = planes_of<Block>();
  for (int b = 0; b < at.blocks; ++b) {
    spread_low(rows, b, planes.quads, tile + at.low + b * planes.quads * 64);
    for (int word = 0; word < planes.high; ++word) {
      std::byte* plane = tile + at.high + (b * planes.high + word) * 64;
      for (int row = 0; row < kRows; ++row) std::memcpy(plane + row * 4, &rows[row].high[b][word], 4);
    }
  }
  for (int b = 0; b < (planes.is_super ? 1 : at.blocks); ++b) {
    for (int row = 0; row < kRows; ++row) {
      std::memcpy(tile + at.d + (b * kRows + row) * 2, rows[row].d[b], 2);
      if (planes.has_min) std::memcpy(tile + at.m + (b * kRows + row) * 2, rows[row].m[b], 2);
    }
  }
}

// A chunk is put together in the first level cache and leaves it as one run: stores here and there into lines that are
// not there yet would wait for each of them.
template <class Block>
void pack_blocks(DType scheme, int64_t in, int n_rows, const std::byte* file_rows, std::byte* tile) {
  constexpr bool kIsSuper = planes_of<Block>().is_super;
  const int64_t row_size = row_bytes(scheme, in);
  RowWords rows[kRows];
  std::memset(static_cast<void*>(rows), 0, sizeof(rows));
  alignas(64) std::byte held[kRows * sizeof(Block) * (kIsSuper ? 1 : kBlocks)] = {};
  for (int64_t begin = 0; begin < in; begin += kChunk) {
    const Chunk at = chunk(scheme, in - begin, 0);
    const int64_t from = row_bytes(scheme, begin), bytes = row_bytes(scheme, at.blocks * kBlock);
    fetch_next_tile(file_rows, row_size, from, bytes);
    for (int row = 0; row < n_rows; ++row) {
      const std::byte* file = file_rows + row * row_size + from;
      if constexpr (kIsSuper) {
        const Block& block = block_at<Block>(file, 0);
        read_k_row(block, rows[row]);
        auto* sub = reinterpret_cast<uint8_t*>(held + at.sub);
        if constexpr (requires { block.dmin; }) {
          put_sub_scales(block.scales, row, sub);
        } else {
          for (int s = 0; s < 16; ++s) sub[s * kRows + row] = static_cast<uint8_t>(block.scales[s]);
        }
      } else {
        read_row<Block>(file, static_cast<int>(at.blocks), rows[row]);
      }
    }
    put_chunk<Block>(rows, at, held);
    std::memcpy(tile + kRows * from, held, static_cast<size_t>(kRows * bytes));
  }
}

}  // namespace

void pack_tile(DType scheme, int64_t in, int n_rows, const std::byte* file_rows, std::byte* tile) {
  if (n_rows < kRows) std::memset(tile, 0, static_cast<size_t>(tile_bytes(scheme, in)));
  switch (scheme) {
    case DType::kF32: return pack_scalars<uint32_t>(in, n_rows, file_rows, tile);
    case DType::kF16:
    case DType::kBF16: return pack_scalars<uint16_t>(in, n_rows, file_rows, tile);
    case DType::kF8E4M3:
    case DType::kF8E5M2: return pack_scalars<uint8_t>(in, n_rows, file_rows, tile);
    case DType::kQ4_0: return pack_blocks<BlockQ4_0>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ4_1: return pack_blocks<BlockQ4_1>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ5_0: return pack_blocks<BlockQ5_0>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ5_1: return pack_blocks<BlockQ5_1>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ8_0: return pack_blocks<BlockQ8_0>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ8_1: return pack_blocks<BlockQ8_1>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ4_K: return pack_blocks<BlockQ4_K>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ5_K: return pack_blocks<BlockQ5_K>(scheme, in, n_rows, file_rows, tile);
    case DType::kQ6_K: return pack_blocks<BlockQ6_K>(scheme, in, n_rows, file_rows, tile);
    default: check(false, "a scheme that rows16 has");
  }
}

}  // namespace hearth::rows16
