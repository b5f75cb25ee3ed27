#include "formats/safetensors/header.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/json/json.h"
#include "formats/json/stream.h"

namespace hearth::safetensors {
namespace {

// The shortest entry: "":{"dtype":"U8","shape":[],"data_offsets":[0,1]},
constexpr size_t kLeastEntryBytes = 50;

// A few integers, in place.
struct Integers {
  std::array<int64_t, kMaxDimensions> items{};
  size_t size = 0;
  bool is_given = false;

  std::vector<int64_t> copy() const { return {items.begin(), items.begin() + static_cast<int64_t>(size)}; }
};

// {"__metadata__": {"format": "pt"}, "w": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}, ...}
class HeaderStream final : public json::Stream {
 public:
  HeaderStream(int64_t data_start, int64_t file_bytes, TensorFile& out)
      : Stream(out.paths[0], "header: "), data_start_(data_start), data_bytes_(file_bytes - data_start), out_(out) {}

 private:
  enum class Field { kOther, kType, kShape, kOffsets };

  void on_key(std::string_view name) override {
    if (depth() == 1) {
      begin_entry(name);
    } else if (depth() == 2 && is_metadata_) {
      if (out_.metadata.size() >= kMaxMetadataKeys) {
        corrupt(fmt::format("__metadata__ has more than {} members", kMaxMetadataKeys));
      }
      key_ = name;
    } else if (depth() == 2) {
      field_ = name == "dtype"          ? Field::kType
               : name == "shape"        ? Field::kShape
               : name == "data_offsets" ? Field::kOffsets
                                        : Field::kOther;
    }
  }

  void on_scalar(Value value) override {
    switch (depth()) {
      case 0: wrong_header(value.kind_name());
      case 1: wrong_entry(value.kind_name());
      case 2: return is_metadata_ ? add_metadata(std::move(value)) : read_field(value);
      case 3:
        if (Integers* into = integers()) add_integer(value, *into);
        return;
      default: return;
    }
  }

  void on_open(bool is_object) override {
    std::string_view kind = is_object ? "object" : "array";
    if (depth() == 0 && !is_object) wrong_header(kind);
    if (depth() == 1 && !is_object) wrong_entry(kind);
    if (depth() == 2 && is_metadata_) wrong_metadata(kind);
    if (depth() == 2 && (field_ == Field::kType || (is_object && integers()))) wrong_field();
    if (depth() == 2 && integers()) begin_integers(*integers());
    if (depth() == 3 && integers()) {
      fail(fmt::format("'{}' wants non-negative integers below 2^63, got an {}", field_name(), kind));
    }
  }

  void on_close() override {
    if (depth() == 1 && !is_metadata_) finish_entry();
    if (depth() == 2) field_ = Field::kOther;
  }

  void begin_entry(std::string_view name) {
    if (name.size() > kMaxNameBytes) {
      corrupt(fmt::format("a tensor's name of {} bytes, wanted at most {}", name.size(), kMaxNameBytes));
    }
    name_ = name;
    is_metadata_ = name == "__metadata__";
    field_ = Field::kOther;
    type_.reset();
    shape_ = offsets_ = {};
  }

  void read_field(const Value& value) {
    if (integers() || (field_ == Field::kType && !value.is_string())) wrong_field();
    if (field_ != Field::kType) return;
    if (type_) fail("'dtype' occurs twice");
    type_ = from_safetensors(value.as_string());
    if (type_) return;
    throw Error(Code::kUnsupported, fmt::format("{}: tensor '{}' has the element type '{}', which is not supported",
                                                file(), json::clipped(name_), json::clipped(value.as_string())));
  }

  Integers* integers() {
    return field_ == Field::kShape ? &shape_ : field_ == Field::kOffsets ? &offsets_ : nullptr;
  }
  std::string_view field_name() const {
    return field_ == Field::kType ? "dtype" : field_ == Field::kShape ? "shape" : "data_offsets";
  }

  void begin_integers(Integers& into) const {
    if (into.is_given) fail(fmt::format("'{}' occurs twice", field_name()));
    into.is_given = true;
  }

  void add_integer(const Value& value, Integers& into) const {
    size_t most = field_ == Field::kShape ? kMaxDimensions : 2;
    if (into.size == most) fail(fmt::format("'{}' has more than {} items", field_name(), most));
    if (value.kind() != Value::Kind::kInt || value.as_int() < 0) {
      fail(fmt::format("'{}' wants non-negative integers below 2^63, got {}", field_name(),
                       json::clipped(json::write(value))));
    }
    into.items[into.size++] = value.as_int();
  }

  void add_metadata(Value value) {
    if (!value.is_string()) wrong_metadata(value.kind_name());
    out_.metadata.set(key_, std::move(value));
  }

  void finish_entry() {
    if (!type_) missing("dtype");
    if (!shape_.is_given) missing("shape");
    if (!offsets_.is_given) missing("data_offsets");
    TensorInfo tensor;
    tensor.name = name_;
    tensor.type = *type_;
    tensor.shape = shape_.copy();
    place(tensor);
    out_.tensors.push_back(std::move(tensor));
  }

  void place(TensorInfo& tensor) const {
    auto bytes = tensor_bytes(tensor.type, tensor.shape);
    if (!bytes) fail(fmt::format("shape {} of {} overflows", describe(tensor.shape), name(tensor.type)));
    auto [begin, end] = std::pair(offsets_.items[0], offsets_.items[1]);
    if (offsets_.size != 2 || begin > end || end > data_bytes_) {
      fail(fmt::format("data_offsets {}, wanted [begin, end] with end up to {}", describe(offsets_.copy()),
                       data_bytes_));
    }
    if (end - begin != *bytes) {
      fail(fmt::format("{} bytes of data, but shape {} of {} takes {}", end - begin, describe(tensor.shape),
                       name(tensor.type), *bytes));
    }
    tensor.offset = data_start_ + begin;
    tensor.bytes = *bytes;
  }

  [[noreturn]] void fail(std::string_view problem) const {
    corrupt(fmt::format("tensor '{}': {}", json::clipped(name_), problem));
  }
  [[noreturn]] void missing(std::string_view field) const { fail(fmt::format("'{}' is missing", field)); }
  [[noreturn]] void wrong_field() const { fail(fmt::format("'{}' is of the wrong kind", field_name())); }
  [[noreturn]] void wrong_header(std::string_view kind) const {
    corrupt(fmt::format("header is a {}, wanted an object", kind));
  }
  [[noreturn]] void wrong_entry(std::string_view kind) const {
    if (is_metadata_) corrupt(fmt::format("__metadata__ is a {}, wanted an object", kind));
    fail(fmt::format("a {}, wanted an object with dtype, shape and data_offsets", kind));
  }
  [[noreturn]] void wrong_metadata(std::string_view kind) const {
    corrupt(fmt::format("__metadata__.{} is a {}, wanted a string", json::clipped(key_), kind));
  }

  const int64_t data_start_, data_bytes_;
  TensorFile& out_;
  std::string name_;  // of the entry
  bool is_metadata_ = false;
  std::string key_;   // in the metadata
  Field field_ = Field::kOther;
  std::optional<DType> type_;
  Integers shape_, offsets_;
};

// {"metadata": {"total_size": 12}, "weight_map": {"w": "model-00001-of-00002.safetensors", ...}}
class IndexStream final : public json::Stream {
 public:
  IndexStream(const std::string& path, Index& out) : Stream(path), out_(out) {}

  bool has_map() const { return has_map_; }

 private:
  enum class Part { kOther, kMap, kMetadata };

  void on_key(std::string_view name) override {
    if (depth() == 1) {
      part_ = name == "weight_map" ? Part::kMap : name == "metadata" ? Part::kMetadata : Part::kOther;
    } else if (depth() == 2 && part_ != Part::kOther) {
      if (name.size() > kMaxNameBytes) corrupt(fmt::format("a name of {} bytes", name.size()));
      key_ = name;
    }
  }

  void on_scalar(Value value) override {
    if (depth() != 2) return;
    if (part_ == Part::kMap) {
      add_promise(value);
    } else if (part_ == Part::kMetadata && out_.metadata.size() < kMaxMetadataKeys) {
      out_.metadata.set(key_, std::move(value));
    }
  }

  void on_open(bool is_object) override {
    if (depth() == 1 && part_ == Part::kMap) has_map_ = is_object;
    if (depth() == 1 && !is_object) part_ = Part::kOther;
    if (depth() == 2 && part_ == Part::kMap) wrong_shard(is_object ? "an object" : "an array");
  }

  void on_close() override {
    if (depth() == 1) part_ = Part::kOther;
  }

  void add_promise(const Value& given) {
    if (!given.is_string()) wrong_shard(json::write(given));
    const std::string& shard = given.as_string();
    bool is_plain = !shard.empty() && shard[0] != '.' &&
                    shard.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!is_plain) wrong_shard(json::write(given));
    out_.promises.push_back({.shard = shard_number(shard),
                             .begin = static_cast<uint32_t>(out_.names.size()),
                             .length = static_cast<uint32_t>(key_.size())});
    out_.names += key_;
  }

  [[noreturn]] void wrong_shard(std::string_view shown) const {
    corrupt(fmt::format("weight_map['{}'] is {}, wanted a plain file name", json::clipped(key_),
                        json::clipped(shown)));
  }

  uint32_t shard_number(const std::string& shard) {
    if (const Value* known = numbers_.find(shard)) return static_cast<uint32_t>(known->as_int());
    if (shard.size() > kMaxNameBytes) corrupt(fmt::format("a file name of {} bytes", shard.size()));
    if (out_.shards.size() == kMaxShards) corrupt(fmt::format("weight_map names more than {} files", kMaxShards));
    numbers_.set(shard, static_cast<int64_t>(out_.shards.size()));
    out_.shards.push_back(shard);
    return static_cast<uint32_t>(out_.shards.size() - 1);
  }

  Index& out_;
  Part part_ = Part::kOther;
  bool has_map_ = false;
  std::string key_;
  Value::Object numbers_;  // of shards, in the order of their appearance
};

/// Renumbers the shards in the order of their names, and puts what they promise in that order.
void sort_shards(Index& index) {
  std::vector<uint32_t> order(index.shards.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return index.shards[a] < index.shards[b]; });
  std::vector<uint32_t> rank(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
  for (Index::Promise& promise : index.promises) promise.shard = rank[promise.shard];
  std::sort(index.shards.begin(), index.shards.end());
  std::sort(index.promises.begin(), index.promises.end(), [](const Index::Promise& a, const Index::Promise& b) {
    return std::pair(a.shard, a.begin) < std::pair(b.shard, b.begin);
  });
}

}  // namespace

void read_header(std::string_view text, int64_t data_start, int64_t file_bytes, TensorFile& out) {
  // So that the table is never moved while it grows; braces in names are bounded by what an entry takes.
  auto braces = static_cast<size_t>(std::count(text.begin(), text.end(), '{'));
  out.tensors.reserve(std::min(braces, text.size() / kLeastEntryBytes + 1));
  HeaderStream(data_start, file_bytes, out).read(text);
}

Index read_index(std::string_view text, const std::string& path) {
  Index out;
  auto colons = static_cast<size_t>(std::count(text.begin(), text.end(), ':'));
  out.promises.reserve(std::min(colons, text.size() / 8 + 1));  // "":"a",
  auto quotes = static_cast<size_t>(std::count(text.begin(), text.end(), '"'));
  out.names.reserve(std::min(text.size(), quotes / 4 * kMaxNameBytes));
  IndexStream stream(path, out);
  stream.read(text);
  if (!stream.has_map()) {
    throw Error(Code::kCorruptFile, fmt::format("{}: no object 'weight_map', wanted tensor name -> file name", path));
  }
  sort_shards(out);
  return out;
}

}  // namespace hearth::safetensors
