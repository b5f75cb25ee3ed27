// SHA-256 of texts and files, for signatures of cached results and fingerprints of files.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::workflow {

class Digest {
 public:
  void add(std::string_view bytes);
  /// Length first, so that ("ab","c") and ("a","bc") differ.
  void add_field(std::string_view bytes);
  std::string hex();  // ends it

 private:
  void mix(const uint8_t* block);
  std::array<uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<uint8_t, 64> open_{};
  size_t open_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

/// Hex digest of a file's bytes; kNotFound or kIo.
Result<std::string> file_digest(const std::string& path);

}  // namespace hearth::workflow
