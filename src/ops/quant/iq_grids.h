// The codebooks of the IQ formats: every index names a point of a small lattice. They are data of the file format.
// The spans live for the process. Threads: safe.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace hearth::quant {

using Point8 = std::array<int8_t, 8>;
using Point4 = std::array<int8_t, 4>;

std::span<const Point8> iq1_grid();      // 2048 points of {-1, 0, 1}
std::span<const Point8> iq2_xxs_grid();  // 256 points of {8, 25, 43}
std::span<const Point8> iq2_xs_grid();   // 512
std::span<const Point8> iq2_s_grid();    // 1024
std::span<const Point4> iq3_xxs_grid();  // 256 points of {4, 12, ..., 52, 62}
std::span<const Point4> iq3_s_grid();    // 512 points of {1, 3, ..., 15}

}  // namespace hearth::quant
