#include "formats/safetensors/safetensors.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "formats/input_file.h"
#include "formats/safetensors/header.h"

namespace hearth::safetensors {
namespace {

constexpr int64_t kLengthBytes = 8;

[[noreturn]] void corrupt(std::string_view file, std::string_view problem) {
  throw Error(Code::kCorruptFile, fmt::format("{}: {}", file, problem));
}

/// Length of the JSON header, from the first eight bytes.
int64_t header_length(std::string_view first_bytes, int64_t file_bytes, const std::string& name) {
  if (file_bytes < kLengthBytes || first_bytes.size() < kLengthBytes) {
    corrupt(name, fmt::format("{} bytes, too short for a safetensors header", file_bytes));
  }
  uint64_t length;
  std::memcpy(&length, first_bytes.data(), sizeof(length));
  auto most = static_cast<uint64_t>(std::min(kMaxHeaderBytes, file_bytes - kLengthBytes));
  if (length < 2 || length > most) {
    corrupt(name,
            fmt::format("header length is {}, wanted 2 to {} (not a safetensors file, or truncated)", length, most));
  }
  return static_cast<int64_t>(length);
}

/// The format leaves no byte of the data unnamed: ranges, sorted, follow each other from the first to the last byte.
void refuse_holes(const File& file, int64_t data_start, int64_t file_bytes) {
  int64_t expected = data_start;
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.offset != expected) {
      corrupt(file.paths[0], fmt::format("tensor '{}' starts at byte {}, wanted {} where the one before ends",
                                         tensor.name, tensor.offset, expected));
    }
    expected += tensor.bytes;
  }
  if (expected != file_bytes) {
    corrupt(file.paths[0],
            fmt::format("tensors end at byte {}, the file at {} (download incomplete?)", expected, file_bytes));
  }
}

File read_one(std::string_view text, int64_t file_bytes, const std::string& name) {
  int64_t data_start = kLengthBytes + static_cast<int64_t>(text.size());
  File out;
  out.paths = {name};
  read_header(text, data_start, file_bytes, out);
  std::sort(out.tensors.begin(), out.tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);  // empty tensors before the one they precede
  });
  refuse_holes(out, data_start, file_bytes);
  seal(out);
  return out;
}

File open_one(const std::string& path) {
  InputFile file(path);
  char first[kLengthBytes] = {};
  if (file.size() >= kLengthBytes) file.read_at(0, first);
  int64_t length = header_length(std::string_view(first, sizeof(first)), file.size(), path);
  std::string text(static_cast<size_t>(length), '\0');
  file.read_at(kLengthBytes, text);
  return read_one(text, file.size(), path);
}

Index open_index_file(const std::string& path) {
  InputFile file(path);
  if (file.size() > kMaxHeaderBytes) {
    corrupt(path, fmt::format("an index of {} bytes, wanted at most {}", file.size(), kMaxHeaderBytes));
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read_at(0, text);
  return read_index(text, path);
}

void append_shard(File& whole, File shard, const Index& index, std::span<const Index::Promise> promises) {
  for (const Index::Promise& promise : promises) {
    if (!shard.find(index.name(promise))) {
      corrupt(shard.paths[0],
              fmt::format("the index promises tensor '{}', which is not there", index.name(promise)));
    }
  }
  for (TensorInfo& tensor : shard.tensors) {
    tensor.file = static_cast<int>(whole.paths.size());
    whole.tensors.push_back(std::move(tensor));
  }
  whole.paths.push_back(shard.paths[0]);
}

File open_index(const std::string& path) {
  Index index = open_index_file(path);
  size_t slash = path.find_last_of('/');
  std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  File whole;
  std::span<const Index::Promise> left = index.promises;
  for (uint32_t i = 0; i < index.shards.size(); ++i) {
    size_t n = 0;
    while (n < left.size() && left[n].shard == i) ++n;
    append_shard(whole, open_one(folder + index.shards[i]), index, left.first(n));
    left = left.subspan(n);
  }
  whole.metadata = std::move(index.metadata);
  seal(whole);
  return whole;
}

}  // namespace

File open(const std::string& path) { return path.ends_with(".json") ? open_index(path) : open_one(path); }

File parse(std::string_view header_bytes, int64_t file_bytes, const std::string& name) {
  int64_t length = header_length(header_bytes, file_bytes, name);
  if (static_cast<int64_t>(header_bytes.size()) < kLengthBytes + length) {
    corrupt(name, fmt::format("header of {} bytes, {} given", length, header_bytes.size() - kLengthBytes));
  }
  return read_one(header_bytes.substr(kLengthBytes, static_cast<size_t>(length)), file_bytes, name);
}

}  // namespace hearth::safetensors
