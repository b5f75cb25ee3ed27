// GGUF version 2 and 3, little endian: metadata and tensor table of one file or of a split set. Tensor data is never
// read or mapped. A file is untrusted: every count, length, offset and product is checked against the file's size
// before anything is allocated for it, and what is wrong comes out as Error{kCorruptFile} naming file, field, got and
// wanted (kUnsupported for big-endian files, other versions and removed tensor types).
// Metadata is an object with the keys in file order. Integers keep their value, floats become doubles, arrays become
// lists, packed unless they hold arrays. A header may take kMaxHeaderBytes, and what it makes in memory takes no more
// than it takes in the file, apart from containers whose number is bounded below: a key, an array in an array and a
// tensor cost some hundred bytes each, where the file may spend a dozen.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/units.h"
#include "formats/tensor_file.h"

namespace hearth::gguf {

using hearth::TensorInfo;
using File = hearth::TensorFile;

inline constexpr int64_t kMaxHeaderBytes = 256 * MiB;
inline constexpr int64_t kMaxMetadataItems = int64_t{1} << 22;  // five times the largest vocabulary with its merges
inline constexpr int64_t kMaxMetadataKeys = 4096;       // files have some fifty
inline constexpr int64_t kMaxNestedArrays = 1024;       // no known file has any
inline constexpr int64_t kMaxTensors = int64_t{1} << 16;  // the largest mixtures of experts have two thousand
inline constexpr uint64_t kMaxNameBytes = 65535;        // as the format says of keys
inline constexpr int kMaxArrayDepth = 8;

/// Reads the header of `path`. Of a split set (…-00001-of-00003.gguf) give the first part: the others are found
/// beside it, metadata is the first part's. GGUF dimensions come reversed, so that shape.back() is contiguous.
File open(const std::string& path);

/// The same for one file whose first bytes are in memory; `name` stands in for the path in messages. A split set is
/// not followed. `header_bytes` may end after the tensor table, `file_bytes` is the size of the whole file.
File parse(std::string_view header_bytes, int64_t file_bytes, const std::string& name);

}  // namespace hearth::gguf
