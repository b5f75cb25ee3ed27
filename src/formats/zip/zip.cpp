// Layout after PKWARE's APPNOTE 6.3: local headers with data, then the central directory, then its end record.
#include "formats/zip/zip.h"

#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "formats/zip/inflate.h"

namespace hearth::zip {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50, kEnd64LocatorMagic = 0x07064b50;
constexpr int64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64LocatorBytes = 20, kEnd64Bytes = 56;
constexpr int64_t kMaxComment = 65535;
constexpr int kStored = 0, kDeflated = 8;
constexpr uint16_t kZip64Extra = 1;
// Deflate cannot shrink more than about 1032 to 1: a directory that promises more lies.
constexpr int64_t kMaxDeflateRatio = 1040;

uint64_t little(const char* bytes, int count) {
  uint64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}
uint16_t u16(const char* bytes) { return static_cast<uint16_t>(little(bytes, 2)); }
uint32_t u32(const char* bytes) { return static_cast<uint32_t>(little(bytes, 4)); }
uint64_t u64(const char* bytes) { return little(bytes, 8); }

struct Directory {
  uint64_t entries = 0, bytes = 0, offset = 0;
};

bool is_plain_relative(std::string_view name) {
  if (name.empty() || name.front() == '/' || name.find('\\') != name.npos || name.find('\0') != name.npos) return false;
  if (name.size() > 1 && name[1] == ':') return false;
  while (!name.empty()) {
    size_t slash = std::min(name.find('/'), name.size());
    std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return true;
}

// Fills the fields that the directory left at their 32-bit maximum; false when the extra field is malformed.
bool apply_zip64(std::string_view extra, uint64_t& bytes, uint64_t& packed, uint64_t& offset) {
  while (extra.size() >= 4) {
    uint16_t tag = u16(extra.data()), size = u16(extra.data() + 2);
    extra.remove_prefix(4);
    if (size > extra.size()) return false;
    std::string_view field = extra.substr(0, size);
    extra.remove_prefix(size);
    if (tag != kZip64Extra) continue;
    for (uint64_t* value : {&bytes, &packed, &offset}) {
      if (*value != UINT32_MAX) continue;
      if (field.size() < 8) return false;
      *value = u64(field.data());
      field.remove_prefix(8);
    }
  }
  return true;
}

Result<Directory> find_directory(const InFile& file) {
  auto broken = [&](std::string_view what) {
    return unexpected(Code::kCorruptFile, fmt::format("{}: {}", file.path().string(), what));
  };
  int64_t tail_bytes = std::min(file.size(), kEndBytes + kMaxComment);
  std::string tail(static_cast<size_t>(tail_bytes), '\0');
  if (auto got = file.read_at(file.size() - tail_bytes, tail.data(), tail.size()); !got) return unexpected(got.error());
  int64_t at = tail_bytes - kEndBytes;
  while (at >= 0 &&
         !(u32(tail.data() + at) == kEndMagic && at + kEndBytes + u16(tail.data() + at + 20) == tail_bytes)) {
    --at;
  }
  if (at < 0) return broken("no zip directory at its end; the file is truncated or not a zip archive");
  const char* end = tail.data() + at;
  if (u16(end + 4) != 0 || u16(end + 6) != 0) {
    return unexpected(Code::kUnsupported, file.path().string() + ": the archive spans several disks");
  }
  Directory found{u16(end + 10), u32(end + 12), u32(end + 16)};
  int64_t directory_end = file.size() - tail_bytes + at;
  bool is_zip64 = at >= kEnd64LocatorBytes && u32(end - kEnd64LocatorBytes) == kEnd64LocatorMagic;
  if (is_zip64) {
    uint64_t record = u64(end - kEnd64LocatorBytes + 8);
    if (record > static_cast<uint64_t>(directory_end - kEnd64LocatorBytes - kEnd64Bytes)) {
      return broken("its zip64 end record lies outside the file");
    }
    char bytes[kEnd64Bytes];
    if (auto got = file.read_at(static_cast<int64_t>(record), bytes, sizeof bytes); !got)
      return unexpected(got.error());
    if (u32(bytes) != kEnd64Magic) return broken("its zip64 end record is missing");
    found = {u64(bytes + 32), u64(bytes + 40), u64(bytes + 48)};
    directory_end = static_cast<int64_t>(record);
  }
  uint64_t last = static_cast<uint64_t>(directory_end);
  if (found.offset > last || found.bytes > last - found.offset) return broken("its directory lies outside the file");
  return found;
}

}  // namespace

Unexpected Archive::broken(std::string_view what) const {
  return unexpected(Code::kCorruptFile, fmt::format("{}: {}", path().string(), what));
}

Unexpected Archive::too_much(const Limits& limits) const {
  return broken(fmt::format("it unpacks to more than {}", format_bytes(limits.max_total_bytes)));
}

Result<Archive> Archive::open(const fs::path& path, Limits limits) {
  auto file = InFile::open(path);
  if (!file) return unexpected(file.error());
  Archive archive(*std::move(file));
  if (auto read = archive.read_directory(limits); !read) return unexpected(read.error());
  if (auto sound = archive.check_layout(limits); !sound) return unexpected(sound.error());
  return archive;
}

Result<void> Archive::read_directory(const Limits& limits) {
  auto found = find_directory(file_);
  if (!found) return unexpected(found.error());
  if (found->entries > static_cast<uint64_t>(limits.max_entries)) {
    return broken(fmt::format("{} entries, at most {} are read", found->entries, limits.max_entries));
  }
  if (found->bytes > static_cast<uint64_t>(limits.max_directory_bytes)) {
    return broken(fmt::format("a directory of {}, at most {} is read", format_bytes(static_cast<int64_t>(found->bytes)),
                              format_bytes(limits.max_directory_bytes)));
  }
  std::string text(found->bytes, '\0');
  if (auto got = file_.read_at(static_cast<int64_t>(found->offset), text.data(), text.size()); !got) return got;
  std::string_view rest = text;
  for (uint64_t i = 0; i < found->entries; ++i) {
    if (rest.size() < kCentralBytes || u32(rest.data()) != kCentralMagic) return broken("its directory is damaged");
    const char* head = rest.data();
    uint16_t flags = u16(head + 8), name_size = u16(head + 28), extra_size = u16(head + 30), note_size = u16(head + 32);
    uint64_t packed = u32(head + 20), bytes = u32(head + 24), offset = u32(head + 42);
    size_t whole = static_cast<size_t>(kCentralBytes) + name_size + extra_size + note_size;
    if (rest.size() < whole) return broken("its directory is damaged");
    Entry entry{
        .name = std::string(rest.substr(kCentralBytes, name_size)), .crc = u32(head + 16), .method = u16(head + 10)};
    if (!apply_zip64(rest.substr(kCentralBytes + name_size, extra_size), bytes, packed, offset)) {
      return broken(fmt::format("the zip64 field of '{}' is damaged", entry.name));
    }
    rest.remove_prefix(whole);
    if (!is_plain_relative(entry.name)) {
      return broken(fmt::format("entry '{}' would be unpacked outside its folder", entry.name));
    }
    if (flags & 1)
      return unexpected(Code::kUnsupported, fmt::format("{}: '{}' is encrypted", path().string(), entry.name));
    if (entry.method != kStored && entry.method != kDeflated) {
      return unexpected(Code::kUnsupported, fmt::format("{}: '{}' is packed with method {}, expected stored or deflate",
                                                        path().string(), entry.name, entry.method));
    }
    uint64_t file_size = static_cast<uint64_t>(file_.size());
    if (offset > file_size || packed > file_size - offset) {
      return broken(fmt::format("entry '{}' lies outside the file", entry.name));
    }
    if (bytes > static_cast<uint64_t>(limits.max_total_bytes)) return too_much(limits);
    entry.packed_bytes = static_cast<int64_t>(packed);
    entry.bytes = static_cast<int64_t>(bytes);
    entry.header_offset = static_cast<int64_t>(offset);
    if (entry.name.back() != '/') entries_.push_back(std::move(entry));
  }
  return {};
}

// Entries that share bytes are how a small archive unpacks to petabytes without any impossible ratio.
Result<void> Archive::check_layout(const Limits& limits) const {
  std::unordered_set<std::string_view> names;
  std::vector<const Entry*> by_offset;
  int64_t total = 0;
  for (const Entry& entry : entries_) {
    if (!names.insert(entry.name).second) return broken(fmt::format("entry '{}' occurs twice", entry.name));
    int64_t most = entry.method == kStored ? entry.packed_bytes : entry.packed_bytes * kMaxDeflateRatio + 64;
    if (entry.bytes > most || (entry.method == kStored && entry.bytes != entry.packed_bytes)) {
      return broken(fmt::format("entry '{}' promises {} out of {}, which is impossible", entry.name,
                                format_bytes(entry.bytes), format_bytes(entry.packed_bytes)));
    }
    total += entry.bytes;
    if (total > limits.max_total_bytes) return too_much(limits);
    by_offset.push_back(&entry);
  }
  std::sort(by_offset.begin(), by_offset.end(),
            [](const Entry* a, const Entry* b) { return a->header_offset < b->header_offset; });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const Entry& before = *by_offset[i - 1];
    int64_t least_end =
        before.header_offset + kLocalBytes + static_cast<int64_t>(before.name.size()) + before.packed_bytes;
    if (by_offset[i]->header_offset < least_end) {
      return broken(fmt::format("entries '{}' and '{}' overlap", before.name, by_offset[i]->name));
    }
  }
  return {};
}

const Entry* Archive::find(std::string_view name) const {
  for (const Entry& entry : entries_) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Result<int64_t> Archive::data_offset(const Entry& entry) const {
  char head[kLocalBytes];
  if (auto got = file_.read_at(entry.header_offset, head, sizeof head); !got) return unexpected(got.error());
  int64_t name_size = u16(head + 26);
  int64_t data = entry.header_offset + kLocalBytes + name_size + u16(head + 28);
  bool agrees = u32(head) == kLocalMagic && u16(head + 8) == entry.method && name_size == std::ssize(entry.name) &&
                data + entry.packed_bytes <= file_.size();
  std::string name(static_cast<size_t>(name_size), '\0');
  if (agrees) {
    if (auto got = file_.read_at(entry.header_offset + kLocalBytes, name.data(), name.size()); !got) {
      return unexpected(got.error());
    }
  }
  if (!agrees || name != entry.name) {
    return broken(fmt::format("the header of '{}' does not agree with the directory", entry.name));
  }
  return data;
}

Result<void> Archive::extract(const Entry& entry, const Sink& sink) const {
  auto data = data_offset(entry);
  if (!data) return unexpected(data.error());
  Unpacked done;
  PackedRange range{.file = file_, .offset = *data, .bytes = entry.packed_bytes};
  auto result = entry.method == kStored ? copy_stored(range, sink, done) : inflate_raw(range, entry.bytes, sink, done);
  if (!result && result.error().code() == Code::kCorruptFile) {
    return broken(fmt::format("entry '{}': {}", entry.name, result.error().message()));
  }
  if (!result) return result;
  if (done.bytes != entry.bytes) {
    return broken(fmt::format("entry '{}' holds {} bytes, its directory says {}", entry.name, done.bytes, entry.bytes));
  }
  if (done.crc != entry.crc) {
    return broken(
        fmt::format("entry '{}' is damaged: checksum {:08x}, expected {:08x}", entry.name, done.crc, entry.crc));
  }
  return {};
}

Result<std::string> Archive::read_text(const Entry& entry, int64_t limit) const {
  if (entry.bytes > limit) {
    return broken(fmt::format("entry '{}' has {}, expected at most {}", entry.name, format_bytes(entry.bytes),
                              format_bytes(limit)));
  }
  std::string text;
  auto done = extract(entry, [&](const char* bytes, size_t size) -> Result<void> {
    text.append(bytes, size);
    return {};
  });
  if (!done) return unexpected(done.error());
  return text;
}

}  // namespace hearth::zip
