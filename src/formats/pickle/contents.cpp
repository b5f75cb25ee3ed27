#include "formats/pickle/contents.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <optional>
#include <unordered_map>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth::pickle {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kMaxNameBytes = 65535, kMaxVisits = 1 << 22;

std::optional<Value> plain_value(const Node& node) {
  switch (node.kind) {
    case Kind::kBool: return Value(node.number != 0);
    case Kind::kInt: return Value(node.number);
    case Kind::kDouble: return Value(std::bit_cast<double>(node.number));
    case Kind::kText: return Value(node.text);
    default: return std::nullopt;
  }
}

bool is_contiguous(const TensorRef& tensor) {
  int64_t expected = 1;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] == 0) return true;
    if (tensor.shape[i] != 1 && tensor.strides[i] != expected) return false;
    expected *= tensor.shape[i];  // the extent has been checked: it does not overflow
  }
  return true;
}

class Collector {
 public:
  Collector(const Program& program, const FindStorage& find, const std::string& name)
      : program_(program), find_(find), spans_(program.storages.size()) {
    out_.paths = {name};
    out_.states = {file_state(name)};
  }

  TensorFile collect() {
    read_metadata(program_.node(program_.result));
    add(enter(program_.result), "", 0);
    if (out_.tensors.empty()) {
      throw Error(Code::kCorruptFile, fmt::format("{}: there is no tensor in it", out_.paths[0]));
    }
    finish();
    return std::move(out_);
  }

 private:
  using Pairs = std::vector<std::pair<Id, Id>>;

  [[noreturn]] void corrupt(std::string_view what) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: {}", out_.paths[0], what));
  }

  // Keys with their values; a key set twice keeps its first place and its last value, as in Python.
  Pairs pairs_of(const Node& dict) {
    Pairs pairs;
    std::unordered_map<std::string_view, size_t> known;
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      visit();
      const Node& key = program_.node(dict.items[i]);
      auto [place, is_new] =
          key.kind == Kind::kText ? known.try_emplace(key.text, pairs.size()) : std::pair(known.end(), true);
      if (is_new) {
        pairs.emplace_back(dict.items[i], dict.items[i + 1]);
      } else {
        pairs[place->second].second = dict.items[i + 1];
      }
    }
    return pairs;
  }

  void visit() {
    if (++visits_ > kMaxVisits) corrupt("its containers hold each other so often that they cannot be listed");
  }

  Id enter(Id root) {
    if (program_.node(root).kind != Kind::kDict) return root;
    Pairs pairs = pairs_of(program_.node(root));
    for (auto [key, value] : pairs) {
      bool is_state = program_.node(key).kind == Kind::kText && program_.node(key).text == "state_dict";
      if (is_state && program_.node(value).kind == Kind::kDict) return value;
    }
    bool is_wrapper = pairs.size() == 1 && program_.node(pairs[0].second).kind == Kind::kDict;
    return is_wrapper ? pairs[0].second : root;
  }

  void read_metadata(const Node& root) {
    if (root.kind != Kind::kDict) return;
    for (auto [key, value] : pairs_of(root)) {
      std::optional<Value> plain = plain_value(program_.node(value));
      if (program_.node(key).kind == Kind::kText && plain)
        out_.metadata.set(program_.node(key).text, *std::move(plain));
    }
  }

  void add(Id id, const std::string& name, int depth) {
    visit();
    if (depth > kMaxDepth) corrupt(fmt::format("'{}' nests deeper than {}", name.substr(0, 200), kMaxDepth));
    if (name.size() > kMaxNameBytes) corrupt(fmt::format("a name of {} bytes", name.size()));
    const Node& node = program_.node(id);
    auto child = [&](std::string_view key) {
      return name.empty() ? std::string(key) : fmt::format("{}.{}", name, key);
    };
    if (node.kind == Kind::kTensor) {
      add_tensor(program_.tensors[static_cast<size_t>(node.number)], name.empty() ? "tensor" : name);
    } else if (node.kind == Kind::kDict) {
      for (auto [key, value] : pairs_of(node)) {
        const Node& of = program_.node(key);
        if (of.kind == Kind::kText) add(value, child(of.text), depth + 1);
        if (of.kind == Kind::kInt) add(value, child(std::to_string(of.number)), depth + 1);
      }
    } else if (node.kind == Kind::kList || node.kind == Kind::kTuple) {
      for (size_t i = 0; i < node.items.size(); ++i) add(node.items[i], child(std::to_string(i)), depth + 1);
    }
  }

  void add_tensor(const TensorRef& tensor, const std::string& name) {
    if (!is_contiguous(tensor)) {
      throw Error(Code::kUnsupported,
                  fmt::format("{}: tensor '{}' {} is stored transposed, sliced or expanded (strides {}); save it after "
                              "contiguous(), best as safetensors",
                              out_.paths[0], name, describe(tensor.shape), describe(tensor.strides)));
    }
    std::optional<int64_t> bytes = tensor_bytes(tensor.type, tensor.shape);
    if (!bytes) corrupt(fmt::format("tensor '{}' {} is too large", name, describe(tensor.shape)));
    Span span = span_of(tensor.storage);
    int64_t start = tensor.offset * info(tensor.type).block_bytes;
    if (*bytes > 0 && (start > span.bytes || *bytes > span.bytes - start)) {
      corrupt(
          fmt::format("tensor '{}' needs bytes {} to {} of a storage of {}", name, start, start + *bytes, span.bytes));
    }
    out_.tensors.push_back({.name = name,
                            .type = tensor.type,
                            .shape = tensor.shape,
                            .file = 0,
                            .offset = span.offset + (*bytes > 0 ? start : 0),
                            .bytes = *bytes});
  }

  Span span_of(uint32_t index) {
    std::optional<Span>& known = spans_[index];
    if (known) return *known;
    const Storage& storage = program_.storages[index];
    int64_t size = storage.type == DType::kCount ? 1 : info(storage.type).block_bytes, wanted = 0;
    known = find_(storage.key);
    if (__builtin_mul_overflow(storage.elements, size, &wanted) || wanted > known->bytes) {
      corrupt(fmt::format("storage '{}' should have {} elements of {} bytes, the file has {} bytes of it", storage.key,
                          storage.elements, size, known->bytes));
    }
    return *known;
  }

  // As seal() does, but tensors may share bytes.
  void finish() {
    std::stable_sort(out_.tensors.begin(), out_.tensors.end(),
                     [](const TensorInfo& a, const TensorInfo& b) { return a.offset < b.offset; });
    std::vector<uint32_t>& order = out_.by_name;
    order.resize(out_.tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    auto name = [&](uint32_t i) -> const std::string& { return out_.tensors[i].name; };
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return name(a) < name(b); });
    for (size_t i = 1; i < order.size(); ++i) {
      if (name(order[i - 1]) == name(order[i])) corrupt(fmt::format("two tensors are called '{}'", name(order[i])));
    }
  }

  const Program& program_;
  const FindStorage& find_;
  TensorFile out_;
  std::vector<std::optional<Span>> spans_;
  size_t visits_ = 0;
};

}  // namespace

TensorFile contents(const Program& program, const FindStorage& find, const std::string& name) {
  return Collector(program, find, name).collect();
}

}  // namespace hearth::pickle
