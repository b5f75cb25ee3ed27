#include "formats/safetensors/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "formats/input_file.h"
#include "formats/json/json.h"

namespace hearth::safetensors {
namespace {

constexpr int64_t kLengthBytes = 8;
constexpr size_t kMaxDimensions = 16;

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

// One tensor's entry of the header: {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}.
class EntryReader {
 public:
  EntryReader(const std::string& file, const std::string& tensor, const Value& entry)
      : file_(file), tensor_(tensor), entry_(entry) {}

  TensorInfo read(int64_t data_start, int64_t data_bytes) const {
    TensorInfo out;
    out.name = tensor_;
    out.type = type();
    out.shape = integers("shape", kMaxDimensions);
    auto bytes = tensor_bytes(out.type, out.shape);
    if (!bytes) fail(fmt::format("shape {} of {} overflows", describe(out.shape), name(out.type)));
    std::vector<int64_t> range = integers("data_offsets", 2);
    if (range.size() != 2 || range[0] > range[1] || range[1] > data_bytes) {
      fail(fmt::format("data_offsets {}, wanted [begin, end] with end up to {}", describe(range), data_bytes));
    }
    if (range[1] - range[0] != *bytes) {
      fail(fmt::format("{} bytes of data, but shape {} of {} takes {}", range[1] - range[0], describe(out.shape),
                       name(out.type), *bytes));
    }
    out.offset = data_start + range[0];
    out.bytes = *bytes;
    return out;
  }

 private:
  [[noreturn]] void fail(std::string_view problem) const {
    corrupt(file_, fmt::format("tensor '{}': {}", tensor_, problem));
  }

  const Value& field(std::string_view key, Value::Kind kind) const {
    const Value* found = entry_.find(key);
    if (!found || found->kind() != kind) fail(fmt::format("'{}' is missing or of the wrong kind", key));
    return *found;
  }

  DType type() const {
    const std::string& spelling = field("dtype", Value::Kind::kString).as_string();
    if (auto type = from_safetensors(spelling)) return *type;
    throw Error(Code::kUnsupported, fmt::format("{}: tensor '{}' has the element type '{}', which is not supported",
                                                file_, tensor_, spelling));
  }

  std::vector<int64_t> integers(std::string_view key, size_t most) const {
    const Value::List& items = field(key, Value::Kind::kList).as_list();
    if (items.size() > most) fail(fmt::format("'{}' has {} items, wanted at most {}", key, items.size(), most));
    std::vector<int64_t> out;
    for (const Value& item : items) {
      if (item.kind() != Value::Kind::kInt || item.as_int() < 0) {
        fail(fmt::format("'{}' wants non-negative integers below 2^63, got {}", key, json::write(item)));
      }
      out.push_back(item.as_int());
    }
    return out;
  }

  const std::string& file_;
  const std::string& tensor_;
  const Value& entry_;
};

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

void read_metadata(const Value& given, File& out) {
  if (!given.is_object()) {
    corrupt(out.paths[0], fmt::format("__metadata__ is a {}, wanted an object", given.kind_name()));
  }
  for (const auto& [key, value] : given.as_object()) {
    if (!value.is_string()) {
      corrupt(out.paths[0], fmt::format("__metadata__.{} is a {}, wanted a string", key, value.kind_name()));
    }
  }
  out.metadata = given;
}

File read_header(std::string_view text, int64_t file_bytes, const std::string& name) {
  Result<Value> header = json::parse(text);
  if (!header) corrupt(name, fmt::format("header: {}", header.error().message()));
  if (!header->is_object()) corrupt(name, fmt::format("header is a {}, wanted an object", header->kind_name()));
  int64_t data_start = kLengthBytes + static_cast<int64_t>(text.size());
  File out;
  out.paths = {name};
  out.tensors.reserve(header->size());
  for (const auto& [key, entry] : header->as_object()) {
    if (key == "__metadata__") {
      read_metadata(entry, out);
    } else {
      out.tensors.push_back(EntryReader(name, key, entry).read(data_start, file_bytes - data_start));
    }
  }
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
  return read_header(text, file.size(), path);
}

Value read_index(const std::string& path) {
  InputFile file(path);
  if (file.size() > kMaxHeaderBytes) {
    corrupt(path, fmt::format("an index of {} bytes, wanted at most {}", file.size(), kMaxHeaderBytes));
  }
  std::string text(static_cast<size_t>(file.size()), '\0');
  file.read_at(0, text);
  Result<Value> index = json::parse(text);
  if (!index) corrupt(path, index.error().message());
  return std::move(index).value();
}

/// Shard file name -> tensors it is said to hold. A shard is a plain name: an index must not reach other folders.
std::map<std::string, std::vector<std::string>> shards_of(const Value& index, const std::string& path) {
  const Value* map = index.find("weight_map");
  if (!map || !map->is_object()) corrupt(path, "no object 'weight_map', wanted tensor name -> file name");
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [tensor, shard] : map->as_object()) {
    bool is_plain = shard.is_string() && !shard.as_string().empty() && shard.as_string()[0] != '.' &&
                    shard.as_string().find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!is_plain) {
      corrupt(path, fmt::format("weight_map['{}'] is {}, wanted a plain file name", tensor, json::write(shard)));
    }
    shards[shard.as_string()].push_back(tensor);
  }
  return shards;
}

void append_shard(File& whole, File shard, const std::vector<std::string>& promised) {
  for (const std::string& tensor : promised) {
    if (!shard.find(tensor)) {
      corrupt(shard.paths[0], fmt::format("the index promises tensor '{}', which is not there", tensor));
    }
  }
  for (TensorInfo& tensor : shard.tensors) {
    tensor.file = static_cast<int>(whole.paths.size());
    whole.tensors.push_back(std::move(tensor));
  }
  whole.paths.push_back(shard.paths[0]);
}

File open_index(const std::string& path) {
  Value index = read_index(path);
  size_t slash = path.find_last_of('/');
  std::string folder = slash == std::string::npos ? "" : path.substr(0, slash + 1);
  File whole;
  for (const auto& [shard, tensors] : shards_of(index, path)) append_shard(whole, open_one(folder + shard), tensors);
  if (const Value* metadata = index.find("metadata"); metadata && metadata->is_object()) whole.metadata = *metadata;
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
  return read_header(header_bytes.substr(kLengthBytes, static_cast<size_t>(length)), file_bytes, name);
}

}  // namespace hearth::safetensors
