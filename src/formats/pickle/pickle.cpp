#include "formats/pickle/pickle.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/input_file.h"
#include "formats/pickle/budget.h"
#include "formats/pickle/contents.h"
#include "formats/pickle/legacy.h"
#include "formats/zip/zip.h"

namespace hearth::pickle {
namespace {

constexpr std::string_view kZipMagic("PK\3\4", 4), kPickleMagic("\x80\x02", 2);

// A torch archive: PREFIX/data.pkl, PREFIX/data/KEY for each storage, PREFIX/byteorder in newer ones.
class TorchArchive {
 public:
  explicit TorchArchive(const std::string& path) : path_(path), archive_(zip::Archive::open(path).value()) {
    constexpr std::string_view kPickle = "data.pkl";
    for (const zip::Entry& entry : archive_.entries()) {
      by_name_[entry.name] = &entry;
      size_t slash = entry.name.find('/');
      if (slash == entry.name.npos || std::string_view(entry.name).substr(slash + 1) != kPickle) continue;
      if (pickle_) corrupt("two pickles in one archive");
      pickle_ = &entry;
      prefix_ = entry.name.substr(0, slash + 1);
    }
    if (!pickle_) {
      throw Error(Code::kUnsupported,
                  fmt::format("{}: a zip archive without data.pkl, so not a torch checkpoint", path_));
    }
    check_byte_order();
  }

  std::string pickle_text() const { return archive_.read_text(*pickle_, kMaxPickleBytes).value(); }

  Span find(std::string_view key) const {
    auto found = by_name_.find(fmt::format("{}data/{}", prefix_, key));
    if (found == by_name_.end()) corrupt(fmt::format("there is no storage '{}' in it", key.substr(0, 200)));
    const zip::Entry& entry = *found->second;
    if (entry.method != 0) {
      throw Error(Code::kUnsupported, fmt::format("{}: its tensors are compressed ('{}'); save it again with torch, or "
                                                  "as safetensors",
                                                  path_, entry.name));
    }
    return {.offset = archive_.data_offset(entry).value(), .bytes = entry.bytes};
  }

 private:
  [[noreturn]] void corrupt(std::string_view what) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: {}", path_, what));
  }

  void check_byte_order() const {
    constexpr int64_t kLongest = 64;
    auto found = by_name_.find(prefix_ + "byteorder");
    if (found == by_name_.end() || archive_.read_text(*found->second, kLongest).value() == "little") return;
    throw Error(Code::kUnsupported,
                fmt::format("{}: written on a big-endian machine; save it again on another", path_));
  }

  std::string path_;
  zip::Archive archive_;
  std::unordered_map<std::string, const zip::Entry*> by_name_;
  const zip::Entry* pickle_ = nullptr;
  std::string prefix_;
};

TensorFile open_archive(const std::string& path, int64_t file_bytes) {
  TorchArchive archive(path);
  std::string text = archive.pickle_text();
  Program program = run(text, budget(file_bytes), path);
  return contents(
      program, [&](std::string_view key) { return archive.find(key); }, path);
}

TensorFile open_legacy(const InputFile& file) {
  std::string head(static_cast<size_t>(std::min(file.size(), kMaxPickleBytes)), '\0');
  file.read_at(0, head);
  auto read = [&](int64_t offset) {
    unsigned char bytes[8];
    file.read_at(offset, {reinterpret_cast<char*>(bytes), sizeof(bytes)});
    uint64_t value = 0;
    for (int i = 7; i >= 0; --i) value = value << 8 | bytes[i];
    return static_cast<int64_t>(value);
  };
  return parse_legacy(head, file.size(), read, file.path());
}

}  // namespace

TensorFile open(const std::string& path) {
  InputFile file(path);
  std::string first(static_cast<size_t>(std::min<int64_t>(file.size(), 4)), '\0');
  file.read_at(0, first);
  if (first.starts_with(kZipMagic)) return open_archive(path, file.size());
  if (first.starts_with(kPickleMagic)) return open_legacy(file);
  throw Error(Code::kUnsupported,
              fmt::format("{}: neither a torch checkpoint (zip or pickle) nor anything else that is "
                          "read under this name; convert it to safetensors",
                          path));
}

TensorFile parse(std::string_view pickle, const FindStorage& find, const std::string& name) {
  Program program = run(pickle, budget(static_cast<int64_t>(pickle.size())), name);
  return contents(program, find, name);
}

}  // namespace hearth::pickle
