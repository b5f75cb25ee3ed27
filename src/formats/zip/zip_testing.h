// Makes small zip archives for tests, with every field open to lies.
#pragma once
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <zlib.h>

#include "core/base/files.h"
#include "core/testing/temp_folder.h"

namespace hearth::zip {

struct MadeEntry {
  std::string name, body;
  bool is_deflated = false;
  uint32_t crc_flip = 0;       // XORed into both checksums
  int64_t claimed_bytes = -1;  // unpacked size that the directory claims
  int64_t header_offset = -1;  // where the directory says the header is
  uint16_t flags = 0;
  int method = -1;
  bool is_zip64 = false;  // sizes and offset stand in the extra field
};

inline std::string little_bytes(uint64_t value, int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i, value >>= 8) bytes += static_cast<char>(value & 0xff);
  return bytes;
}

inline std::string raw_deflate(const std::string& body) {
  z_stream z{};
  deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&z, body.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  z.avail_in = static_cast<uInt>(body.size());
  z.next_out = reinterpret_cast<Bytef*>(packed.data());
  z.avail_out = static_cast<uInt>(packed.size());
  deflate(&z, Z_FINISH);
  packed.resize(z.total_out);
  deflateEnd(&z);
  return packed;
}

inline std::string make_zip(const std::vector<MadeEntry>& entries) {
  std::string file, directory;
  bool any_zip64 = false;
  for (const MadeEntry& entry : entries) {
    std::string packed = entry.is_deflated ? raw_deflate(entry.body) : entry.body;
    uint16_t method = static_cast<uint16_t>(entry.method >= 0 ? entry.method : entry.is_deflated ? 8 : 0);
    uint32_t crc = static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(entry.body.data()),
                                               static_cast<uInt>(entry.body.size()))) ^
                   entry.crc_flip;
    uint64_t bytes = entry.claimed_bytes >= 0 ? static_cast<uint64_t>(entry.claimed_bytes) : entry.body.size();
    uint64_t offset = entry.header_offset >= 0 ? static_cast<uint64_t>(entry.header_offset) : file.size();
    any_zip64 = any_zip64 || entry.is_zip64;
    std::string extra;
    if (entry.is_zip64) {
      extra = little_bytes(1, 2) + little_bytes(24, 2) + little_bytes(bytes, 8) + little_bytes(packed.size(), 8) +
              little_bytes(offset, 8);
    }
    auto narrow = [&](uint64_t value) { return little_bytes(entry.is_zip64 ? UINT32_MAX : value, 4); };
    std::string shared = little_bytes(20, 2) + little_bytes(entry.flags, 2) + little_bytes(method, 2) +
                         little_bytes(0, 4) + little_bytes(crc, 4) + narrow(packed.size()) + narrow(bytes) +
                         little_bytes(entry.name.size(), 2);
    directory += little_bytes(0x02014b50, 4) + little_bytes(20, 2) + shared + little_bytes(extra.size(), 2) +
                 little_bytes(0, 10) + narrow(offset) + entry.name + extra;
    file += little_bytes(0x04034b50, 4) + shared + little_bytes(0, 2) + entry.name + packed;
  }
  uint64_t at = file.size();
  file += directory;
  if (any_zip64) {
    uint64_t record = file.size();
    file += little_bytes(0x06064b50, 4) + little_bytes(44, 8) + little_bytes(45, 2) + little_bytes(45, 2) +
            little_bytes(0, 8) + little_bytes(entries.size(), 8) + little_bytes(entries.size(), 8) +
            little_bytes(directory.size(), 8) + little_bytes(at, 8);
    file += little_bytes(0x07064b50, 4) + little_bytes(0, 4) + little_bytes(record, 8) + little_bytes(1, 4);
  }
  file += little_bytes(0x06054b50, 4) + little_bytes(0, 4) + little_bytes(any_zip64 ? 0xffff : entries.size(), 2) +
          little_bytes(any_zip64 ? 0xffff : entries.size(), 2) +
          little_bytes(any_zip64 ? UINT32_MAX : directory.size(), 4) + little_bytes(any_zip64 ? UINT32_MAX : at, 4) +
          little_bytes(0, 2);
  return file;
}

/// A folder of its own for one test, gone with the object, and files in it.
class TestFolder {
 public:
  const fs::path& path() const { return path_; }
  fs::path write(const std::string& name, const std::string& body) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << body;
    return path_ / name;
  }

 private:
  testing::TempFolder folder_;
  fs::path path_ = folder_.path();
};

}  // namespace hearth::zip
