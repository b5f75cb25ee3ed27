#include "formats/zip/inflate.h"

#include <algorithm>
#include <vector>

#include <zlib.h>

#include "core/base/check.h"

namespace hearth::zip {
namespace {

constexpr int64_t kBlock = 256 * KiB;

class InflateStream {
 public:
  InflateStream() {
    constexpr int kRawDeflate = -MAX_WBITS;
    check(inflateInit2(&stream, kRawDeflate) == Z_OK, "zlib can start a raw inflate stream");
  }
  InflateStream(const InflateStream&) = delete;
  ~InflateStream() { inflateEnd(&stream); }
  z_stream stream{};
};

Result<void> pass_on(const char* bytes, size_t size, const Sink& sink, Unpacked& done) {
  done.crc = static_cast<uint32_t>(crc32_z(done.crc, reinterpret_cast<const Bytef*>(bytes), size));
  done.bytes += static_cast<int64_t>(size);
  return sink(bytes, size);
}

}  // namespace

Result<void> copy_stored(const PackedRange& range, const Sink& sink, Unpacked& done) {
  std::vector<char> block(static_cast<size_t>(std::min(range.bytes, kBlock)));
  for (int64_t at = 0; at < range.bytes;) {
    size_t size = static_cast<size_t>(std::min(range.bytes - at, kBlock));
    if (auto got = range.file.read_at(range.offset + at, block.data(), size); !got) return got;
    if (auto passed = pass_on(block.data(), size, sink, done); !passed) return passed;
    at += static_cast<int64_t>(size);
  }
  return {};
}

Result<void> inflate_raw(const PackedRange& range, int64_t max_bytes, const Sink& sink, Unpacked& done) {
  InflateStream inflater;
  z_stream& z = inflater.stream;
  std::vector<char> packed(static_cast<size_t>(kBlock)), plain(static_cast<size_t>(kBlock));
  int64_t at = 0;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    if (z.avail_in == 0 && at < range.bytes) {
      size_t size = static_cast<size_t>(std::min(range.bytes - at, kBlock));
      if (auto got = range.file.read_at(range.offset + at, packed.data(), size); !got) return got;
      z.next_in = reinterpret_cast<Bytef*>(packed.data());
      z.avail_in = static_cast<uInt>(size);
      at += static_cast<int64_t>(size);
    }
    z.next_out = reinterpret_cast<Bytef*>(plain.data());
    z.avail_out = static_cast<uInt>(plain.size());
    status = inflate(&z, Z_NO_FLUSH);
    size_t out = plain.size() - z.avail_out;
    if (status == Z_BUF_ERROR && out == 0) return unexpected(Code::kCorruptFile, "the compressed bytes end too early");
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
      return unexpected(Code::kCorruptFile, "the compressed bytes are damaged");
    }
    if (done.bytes + static_cast<int64_t>(out) > max_bytes) {
      return unexpected(Code::kCorruptFile, "more bytes come out than the directory says");
    }
    if (auto passed = pass_on(plain.data(), out, sink, done); !passed) return passed;
  }
  return {};
}

}  // namespace hearth::zip
