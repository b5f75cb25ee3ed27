// safetensors: one file, or the shards that a model.safetensors.index.json names. Only headers are read. A file is
// untrusted: header length, JSON, dtype, shape and byte ranges are checked, and the ranges must tile the data exactly
// as the format demands. What is wrong comes out as Error{kCorruptFile} naming file, tensor, got and wanted;
// kUnsupported for an element type this build does not know.
// Metadata is the __metadata__ object of a single file, or the "metadata" object of an index. Tensors are in the
// order of their bytes, shard by shard. Headers are streamed: what is not asked for is never held, so that reading one
// takes the text, the metadata's texts and some hundred bytes for each tensor.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/units.h"
#include "formats/tensor_file.h"

namespace hearth::safetensors {

using hearth::TensorInfo;
using File = hearth::TensorFile;

inline constexpr int64_t kMaxHeaderBytes = 64 * MiB;  // half a million tensors

/// `path` is a .safetensors file or an index (.json), whose shards lie beside it.
File open(const std::string& path);

/// One file whose first bytes are in memory; `file_bytes` is the size of the whole file, `name` stands in for its path.
File parse(std::string_view header_bytes, int64_t file_bytes, const std::string& name);

}  // namespace hearth::safetensors
