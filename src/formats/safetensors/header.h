// The JSON header of one safetensors file and the index of a set of them, streamed: only what describes tensors and
// the metadata's texts are kept.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"

namespace hearth::safetensors {

inline constexpr size_t kMaxDimensions = 8;
inline constexpr size_t kMaxNameBytes = 65535;
inline constexpr size_t kMaxMetadataKeys = 4096;  // training tools write a hundred
inline constexpr size_t kMaxShards = 4096;

/// Fills metadata and tensors, in the order of the header, of `out`; each is checked by itself. out.paths[0] is the
/// name used in errors, the data lies from `data_start` to `file_bytes`.
void read_header(std::string_view text, int64_t data_start, int64_t file_bytes, TensorFile& out);

// Which file holds which tensors.
struct Index {
  struct Promise {
    uint32_t shard = 0;               // in shards
    uint32_t begin = 0, length = 0;   // of the tensor's name in names
  };

  Value metadata = Value::object();   // numbers and texts; what is nested is left out
  std::vector<std::string> shards;    // plain file names, sorted
  std::vector<Promise> promises;      // by shard
  std::string names;

  std::string_view name(const Promise& promise) const {
    return std::string_view(names).substr(promise.begin, promise.length);
  }
};

/// `path` is the name used in errors. A shard is a plain name: an index must not reach other folders.
Index read_index(std::string_view text, const std::string& path);

}  // namespace hearth::safetensors
