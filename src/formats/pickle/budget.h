// How much the values of a pickle may take.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/base/units.h"

namespace hearth::pickle {

inline constexpr int64_t kMaxPickleBytes = 64 * MiB;

/// Bytes for a file of that size: a checkpoint's pickle is a thousandth of it, a small file still needs some room.
inline int64_t budget(int64_t file_bytes) { return std::max(16 * MiB, file_bytes); }

}  // namespace hearth::pickle
