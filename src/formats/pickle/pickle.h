// torch checkpoints (.ckpt, .pt, .pth, .bin): the zip form and the older one without an archive. Such a file is a
// pickle, a program for Python; here it is read and never run. Only tensors, plain containers, numbers and texts are
// understood. A few names that checkpoints carry beside their tensors (numpy scalars, trainer options, paths, dates)
// become empty values; every other name is refused with Error{kUnsupported} that says it.
//
// The result describes tensors as a safetensors file does, but two tensors may share bytes (tied weights). A training
// checkpoint is entered: its "state_dict", or the one dictionary that a file consists of, is what the names are of.
// Deeper dictionaries and lists join their keys with dots ("string_to_param.*", "0.clip_l"). Numbers and texts beside
// the tensors are the metadata.
//
// Bounds: what a pickle makes never takes more than max(16 MiB, the file's size). Nothing but headers and the pickle is
// read, and the checksums of tensor bytes are not looked at.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "formats/tensor_file.h"

namespace hearth::pickle {

/// Throws Error{kCorruptFile} naming the file and what is wrong, kUnsupported for names, element types, orders of
/// elements (a tensor stored transposed or sliced) and archives (compressed tensors, big-endian) that are not read.
TensorFile open(const std::string& path);

/// Where the bytes of one storage lie in the file.
struct Span {
  int64_t offset = 0, bytes = 0;
};
using FindStorage = std::function<Span(std::string_view key)>;

/// The tensors of one pickle. `find` throws when there is no such storage; `name` is the path used in errors.
TensorFile parse(std::string_view pickle, const FindStorage& find, const std::string& name);

}  // namespace hearth::pickle
