#include "formats/gguf/gguf.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/base/packed_list.h"
#include "core/base/units.h"
#include "formats/gguf/cursor.h"

namespace hearth::gguf {
namespace {

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int64_t kDefaultAlignment = 32;
constexpr int64_t kMaxAlignment = MiB;
constexpr uint32_t kMaxDimensions = 4;

// clang-format off
enum ValueType : uint32_t {
  kUint8, kInt8, kUint16, kInt16, kUint32, kInt32, kFloat32, kBool, kString, kArray, kUint64, kInt64, kFloat64
};
// clang-format on

/// Bytes the smallest value of a type takes; 0 for an unknown type.
int64_t least_bytes(uint32_t type) {
  constexpr int64_t kLeast[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return type < std::size(kLeast) ? kLeast[type] : 0;
}

/// How a list of these values is packed; nothing for texts, arrays and unknown types.
std::optional<PackedList::Type> packed_number(uint32_t type) {
  using Type = PackedList::Type;
  switch (type) {
    case kUint8: return Type::kUint8;
    case kInt8: return Type::kInt8;
    case kUint16: return Type::kUint16;
    case kInt16: return Type::kInt16;
    case kUint32: return Type::kUint32;
    case kInt32: return Type::kInt32;
    case kFloat32: return Type::kFloat32;
    case kBool: return Type::kBool;
    case kUint64: return Type::kUint64;
    case kInt64: return Type::kInt64;
    case kFloat64: return Type::kFloat64;
    default: return std::nullopt;
  }
}

// One file's header, read front to back: head, metadata, tensor table.
class HeaderReader {
 public:
  HeaderReader(Cursor cursor, int64_t file_bytes) : in_(std::move(cursor)), file_bytes_(file_bytes) {}

  File read() {
    File out;
    out.paths = {in_.name()};
    read_head();
    read_metadata(out.metadata.as_object());
    int64_t alignment = alignment_of(out.metadata);
    read_tensors(out.tensors);
    place_tensors(out.tensors, alignment);
    seal(out);
    return out;
  }

 private:
  void read_head() {
    auto magic = in_.scalar<uint32_t>("magic");
    if (magic != kMagic) in_.fail("magic", fmt::format("got {:#010x}, wanted {:#010x} (\"GGUF\")", magic, kMagic));
    auto version = in_.scalar<uint32_t>("version");
    if (version != 0 && (version & 0xffff) == 0) {
      throw Error(Code::kUnsupported,
                  fmt::format("{}: a big-endian GGUF file; convert it to little endian first", in_.name()));
    }
    if (version != 2 && version != 3) {
      throw Error(Code::kUnsupported,
                  fmt::format("{}: GGUF version {}; versions 2 and 3 are read", in_.name(), version));
    }
    // Both counts come before anything they count, so their least sizes bound them together with the file's size.
    tensor_count_ = in_.count(8 + 4 + 4 + 8, "tensor count");
    refuse_beyond(kMaxTensors, tensor_count_, "tensors", "tensor count");
    metadata_count_ = in_.count(8 + 4 + 1, "metadata count");
    refuse_beyond(kMaxMetadataKeys, metadata_count_, "metadata keys", "metadata count");
    items_ = metadata_count_;
  }

  void read_metadata(Value::Object& out) {
    out.reserve(static_cast<size_t>(metadata_count_));
    for (int64_t i = 0; i < metadata_count_; ++i) {
      std::string key = in_.text("metadata key", kMaxNameBytes);
      if (out.find(key)) in_.fail("metadata key", fmt::format("'{}' occurs twice", key));
      auto type = in_.scalar<uint32_t>(key);
      Value value = read_value(type, key, 0);
      out.set(std::move(key), std::move(value));
    }
  }

  Value read_value(uint32_t type, std::string_view key, int depth) {
    switch (type) {
      case kUint8: return Value(int64_t{in_.scalar<uint8_t>(key)});
      case kInt8: return Value(int64_t{in_.scalar<int8_t>(key)});
      case kUint16: return Value(int64_t{in_.scalar<uint16_t>(key)});
      case kInt16: return Value(int64_t{in_.scalar<int16_t>(key)});
      case kUint32: return Value(int64_t{in_.scalar<uint32_t>(key)});
      case kInt32: return Value(int64_t{in_.scalar<int32_t>(key)});
      case kUint64: return Value(in_.scalar<uint64_t>(key));
      case kInt64: return Value(in_.scalar<int64_t>(key));
      case kFloat32: return Value(double{in_.scalar<float>(key)});
      case kFloat64: return Value(in_.scalar<double>(key));
      case kBool: return Value(read_bool(key));
      case kString: return Value(in_.text(key));
      case kArray: return read_array(key, depth + 1);
    }
    in_.fail(key, fmt::format("value type {} is unknown, wanted 0 to {}", type, static_cast<uint32_t>(kFloat64)));
  }

  bool read_bool(std::string_view key) {
    auto byte = in_.scalar<uint8_t>(key);
    if (byte > 1) in_.fail(key, fmt::format("got {} for a boolean, wanted 0 or 1", byte));
    return byte == 1;
  }

  Value read_array(std::string_view key, int depth) {
    if (depth > kMaxArrayDepth) in_.fail(key, fmt::format("arrays nested deeper than {} levels", kMaxArrayDepth));
    auto type = in_.scalar<uint32_t>(key);
    if (least_bytes(type) == 0) in_.fail(key, fmt::format("array of the unknown value type {}", type));
    int64_t count = in_.count(least_bytes(type), key);
    items_ += count;
    refuse_beyond(kMaxMetadataItems, items_, "metadata values", key);
    if (type == kArray) return read_arrays(count, key, depth);
    if (auto number = packed_number(type)) return read_numbers(*number, count, key);
    return read_texts(count, key);
  }

  Value read_arrays(int64_t count, std::string_view key, int depth) {
    nested_ += count;
    refuse_beyond(kMaxNestedArrays, nested_, "arrays in arrays", key);
    Value::List items;
    items.reserve(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) items.push_back(read_array(key, depth + 1));
    return Value(std::move(items));
  }

  Value read_numbers(PackedList::Type type, int64_t count, std::string_view key) {
    std::string bytes(static_cast<size_t>(count) * PackedList::width(type), '\0');
    in_.copy(bytes, key);
    if (type == PackedList::Type::kBool) {
      auto wrong = std::find_if(bytes.begin(), bytes.end(), [](char byte) { return (byte & ~1) != 0; });
      if (wrong != bytes.end()) {
        in_.fail(key, fmt::format("got {} for a boolean, wanted 0 or 1", static_cast<uint8_t>(*wrong)));
      }
    }
    return Value(PackedList::of_numbers(type, std::move(bytes)));
  }

  // Measured first, so that what is taken is what the file bears out, and no more.
  Value read_texts(int64_t count, std::string_view key) {
    int64_t start = in_.position();
    for (int64_t i = 0; i < count; ++i) in_.skip(in_.scalar<uint64_t>(key), key);
    int64_t text_bytes = in_.position() - start - count * 8;
    in_.seek(start);
    std::string text(static_cast<size_t>(text_bytes), '\0');
    std::vector<uint32_t> ends;
    ends.reserve(static_cast<size_t>(count));
    size_t end = 0;
    for (int64_t i = 0; i < count; ++i) {
      auto length = in_.scalar<uint64_t>(key);
      if (length > text.size() - end) in_.fail(key, "the file changes while it is read");
      in_.copy(std::span(text).subspan(end, length), key);
      ends.push_back(static_cast<uint32_t>(end += length));
    }
    text.resize(end);
    return Value(PackedList::of_texts(std::move(text), std::move(ends)));
  }

  void refuse_beyond(int64_t most, int64_t got, std::string_view things, std::string_view field) const {
    if (got > most) in_.fail(field, fmt::format("{} {}, at most {} are read", got, things, most));
  }

  /// For what does not lie at one byte of the header.
  [[noreturn]] void refuse(std::string_view what, std::string_view problem) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: {}: {}", in_.name(), what, problem));
  }

  int64_t alignment_of(const Value& metadata) const {
    const Value* given = metadata.find("general.alignment");
    if (!given) return kDefaultAlignment;
    int64_t alignment = given->is_integer() && given->kind() == Value::Kind::kInt ? given->as_int() : 0;
    bool is_power_of_two = alignment > 0 && (alignment & (alignment - 1)) == 0;
    if (!is_power_of_two || alignment > kMaxAlignment) {
      refuse("general.alignment",
             fmt::format("got {}, wanted a power of two up to {}",
                         given->is_integer() ? std::to_string(alignment) : "no integer", kMaxAlignment));
    }
    return alignment;
  }

  void read_tensors(std::vector<TensorInfo>& out) {
    if (tensor_count_ > in_.remaining() / (8 + 4 + 4 + 8)) {
      in_.fail("tensor count",
               fmt::format("got {}, but {} bytes are left for the table", tensor_count_, in_.remaining()));
    }
    out.reserve(static_cast<size_t>(tensor_count_));
    for (int64_t i = 0; i < tensor_count_; ++i) out.push_back(read_tensor());
  }

  TensorInfo read_tensor() {
    TensorInfo tensor;
    tensor.name = in_.text("tensor name", kMaxNameBytes);
    std::string field = fmt::format("tensor '{}'", tensor.name);
    auto dimensions = in_.scalar<uint32_t>(field);
    if (dimensions > kMaxDimensions) {
      in_.fail(field, fmt::format("got {} dimensions, wanted at most {}", dimensions, kMaxDimensions));
    }
    for (uint32_t i = 0; i < dimensions; ++i) {
      auto extent = in_.scalar<uint64_t>(field);
      if (extent > INT64_MAX) in_.fail(field, fmt::format("dimension {} is {}, too large", i, extent));
      tensor.shape.push_back(static_cast<int64_t>(extent));
    }
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    tensor.type = read_type(field);
    tensor.bytes = bytes_of(tensor, field);
    auto offset = in_.scalar<uint64_t>(field);
    if (offset > INT64_MAX) in_.fail(field, fmt::format("offset {} is too large", offset));
    tensor.offset = static_cast<int64_t>(offset);  // relative to the data until place_tensors()
    return tensor;
  }

  DType read_type(std::string_view field) {
    auto id = in_.scalar<uint32_t>(field);
    if (auto type = from_ggml(id)) return *type;
    throw Error(Code::kUnsupported,
                fmt::format("{}: {} has the ggml type {}, which is unknown or was removed from the format; convert the "
                            "model again with a current converter",
                            in_.name(), field, id));
  }

  int64_t bytes_of(const TensorInfo& tensor, std::string_view field) const {
    if (auto bytes = tensor_bytes(tensor.type, tensor.shape)) return *bytes;
    refuse(field, fmt::format("shape {} of {}: wanted a last dimension in multiples of {} and a size below 2^63",
                              describe(tensor.shape), name(tensor.type), info(tensor.type).block_elements));
  }

  void place_tensors(std::vector<TensorInfo>& tensors, int64_t alignment) const {
    int64_t data_start = round_up(in_.position(), alignment);
    for (TensorInfo& tensor : tensors) {
      std::string field = fmt::format("tensor '{}'", tensor.name);
      if (tensor.offset % alignment != 0) {
        refuse(field, fmt::format("offset {} is not a multiple of the alignment {}", tensor.offset, alignment));
      }
      int64_t end = 0;
      bool overflows = __builtin_add_overflow(tensor.offset, data_start, &tensor.offset) ||
                       __builtin_add_overflow(tensor.offset, tensor.bytes, &end);
      if (overflows || end > file_bytes_) {
        refuse(field, fmt::format("{} bytes at {} do not fit in a file of {} bytes (download incomplete?)",
                                  tensor.bytes, tensor.offset, file_bytes_));
      }
    }
  }

  Cursor in_;
  int64_t file_bytes_;
  int64_t tensor_count_ = 0;
  int64_t metadata_count_ = 0;
  int64_t items_ = 0;
  int64_t nested_ = 0;
};

File open_one(const std::string& path) {
  InputFile file(path);
  return HeaderReader(Cursor(file, std::min(file.size(), kMaxHeaderBytes)), file.size()).read();
}

int64_t split_field(const File& file, std::string_view key) {
  const Value* given = file.metadata.find(key);
  if (!given) return 0;
  if (given->kind() != Value::Kind::kInt || given->as_int() < 0 || given->as_int() > INT32_MAX) {
    throw Error(Code::kCorruptFile, fmt::format("{}: {} is not a small non-negative integer", file.paths[0], key));
  }
  return given->as_int();
}

std::string split_suffix(int64_t part, int64_t parts) { return fmt::format("-{:05}-of-{:05}.gguf", part + 1, parts); }

void append_part(File& whole, File part, int64_t number, int64_t parts) {
  if (split_field(part, "split.count") != parts || split_field(part, "split.no") != number) {
    throw Error(Code::kCorruptFile,
                fmt::format("{}: says it is part {} of {}, wanted part {} of {} (counted from 0)", part.paths[0],
                            split_field(part, "split.no"), split_field(part, "split.count"), number, parts));
  }
  whole.paths.push_back(part.paths[0]);
  for (TensorInfo& tensor : part.tensors) {
    tensor.file = static_cast<int>(number);
    whole.tensors.push_back(std::move(tensor));
  }
}

void append_other_parts(File& whole, int64_t parts) {
  const std::string first = whole.paths[0];
  std::string suffix = split_suffix(0, parts);
  if (split_field(whole, "split.no") != 0 || !first.ends_with(suffix)) {
    throw Error(Code::kInvalidArgument,
                fmt::format("{} is one of {} parts; give the first, whose name ends in {}", first, parts, suffix));
  }
  std::string stem = first.substr(0, first.size() - suffix.size());
  for (int64_t i = 1; i < parts; ++i) append_part(whole, open_one(stem + split_suffix(i, parts)), i, parts);
  int64_t promised = split_field(whole, "split.tensors.count");
  if (promised != 0 && promised != static_cast<int64_t>(whole.tensors.size())) {
    throw Error(Code::kCorruptFile, fmt::format("{}: split.tensors.count is {}, the {} parts hold {} tensors", first,
                                                promised, parts, whole.tensors.size()));
  }
  seal(whole);
}

}  // namespace

File open(const std::string& path) {
  File file = open_one(path);
  if (int64_t parts = split_field(file, "split.count"); parts > 1) append_other_parts(file, parts);
  return file;
}

File parse(std::string_view header_bytes, int64_t file_bytes, const std::string& name) {
  if (file_bytes < 0) throw Error(Code::kInvalidArgument, fmt::format("{}: a file of {} bytes", name, file_bytes));
  header_bytes = header_bytes.substr(0, static_cast<size_t>(kMaxHeaderBytes));
  return HeaderReader(Cursor(header_bytes, name), file_bytes).read();
}

}  // namespace hearth::gguf
