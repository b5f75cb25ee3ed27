// SHA-256 of bytes as they pass. Digests are 64 lowercase hex digits everywhere in fetch.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::fetch {

class Sha256 {
 public:
  Sha256();
  void add(const void* bytes, size_t size);
  /// The digest of everything added; the object starts anew.
  std::string finish();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

/// Digest of a whole file; kIo when it cannot be read.
Result<std::string> sha256_of_file(const std::filesystem::path& path);

/// Accepts 64 hex digits with or without "sha256:" in front, in either case; kInvalidArgument otherwise.
Result<std::string> parse_sha256(std::string_view text);

/// The digest in "sha256=<unpadded base64url>", as a wheel's RECORD writes it; "" when it is none.
std::string sha256_from_record(std::string_view field);

}  // namespace hearth::fetch
