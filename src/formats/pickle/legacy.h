// torch checkpoints from before 2020, which are no archive: five pickles (a magic number, a version, facts about the
// machine, the values, the keys of the storages), then each storage as its length and its elements.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "formats/pickle/pickle.h"

namespace hearth::pickle {

/// Eight bytes of the file from an offset, as a little-endian number.
using ReadNumber = std::function<int64_t(int64_t offset)>;

/// `head` is the beginning of a file of `file_bytes` and holds all five pickles.
TensorFile parse_legacy(std::string_view head, int64_t file_bytes, const ReadNumber& read, const std::string& name);

}  // namespace hearth::pickle
