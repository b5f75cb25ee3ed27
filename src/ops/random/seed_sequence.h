// Seeds that spawn seeds, as numpy's SeedSequence: a pool mixed from entropy and a key, then as many words as asked
// for.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace hearth {

/// `count` 32-bit words for a seed and the key of one of its children (empty: the seed itself).
std::vector<uint32_t> seed_sequence(uint64_t entropy, std::span<const uint64_t> spawn_key, int pool_size, int count);

}  // namespace hearth
