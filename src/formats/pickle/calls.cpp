#include "formats/pickle/calls.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/tensor_file.h"

namespace hearth::pickle {
namespace {

constexpr size_t kMaxDimensions = 8;
constexpr int kMaxRebuilds = 4;

Node node_of(Kind kind, size_t index) { return {.kind = kind, .number = static_cast<int64_t>(index)}; }

}  // namespace

void Calls::corrupt(std::string_view what) const {
  throw Error(Code::kCorruptFile, fmt::format("{}: its pickle is damaged: {}", name_, what));
}

const Node& Calls::need(Id id, Kind kind, std::string_view what) const {
  const Node& node = program_.node(id);
  if (node.kind != kind) corrupt(fmt::format("{} is of the wrong kind", what));
  return node;
}

int64_t Calls::need_size(Id id, std::string_view what) const {
  int64_t value = need(id, Kind::kInt, what).number;
  if (value < 0) corrupt(fmt::format("{} is {}", what, value));
  return value;
}

std::vector<int64_t> Calls::need_sizes(Id id, std::string_view what) const {
  const Node& tuple = need(id, Kind::kTuple, what);
  if (tuple.items.size() > kMaxDimensions) {
    corrupt(fmt::format("{} has {} dimensions, expected at most {}", what, tuple.items.size(), kMaxDimensions));
  }
  std::vector<int64_t> sizes;
  for (Id item : tuple.items) sizes.push_back(need_size(item, what));
  return sizes;
}

Global Calls::find(std::string_view module, std::string_view name) const {
  if (auto global = find_global(module, name)) return *global;
  constexpr size_t kShown = 100;
  throw Error(Code::kUnsupported,
              fmt::format("{}: it names {}.{}, which is neither a tensor nor a plain container; a checkpoint is read "
                          "without running it, so such values are refused. Save the weights alone (a state_dict), best "
                          "as safetensors",
                          name_, module.substr(0, kShown), name.substr(0, kShown)));
}

Node Calls::container(Kind kind, const std::vector<Id>& arguments) const {
  // A copy of another container, or nothing; a defaultdict begins with its factory.
  for (Id id : arguments) {
    const Node& from = program_.node(id);
    bool is_sequence = from.kind == Kind::kList || from.kind == Kind::kTuple || from.kind == Kind::kSet;
    if (kind == Kind::kDict && from.kind == Kind::kDict) return {.kind = kind, .items = from.items};
    if (kind != Kind::kDict && is_sequence) return {.kind = kind, .items = from.items};
    if (kind != Kind::kDict || !is_sequence) continue;
    Node dict{.kind = kind};  // pairs
    for (Id pair : from.items) {
      const std::vector<Id>& items = program_.node(pair).items;
      if (items.size() != 2) corrupt("a dictionary is made of what are no pairs");
      dict.items.insert(dict.items.end(), items.begin(), items.end());
    }
    return dict;
  }
  return {.kind = kind};
}

Node Calls::call(Id function, Id arguments, int depth) {
  const Node& called = program_.node(function);
  if (called.kind == Kind::kNull) return {};
  Global global = need(function, Kind::kGlobal, "what is called").global;
  const std::vector<Id> given = need(arguments, Kind::kTuple, "the list of arguments").items;
  auto argument = [&](size_t i) {
    if (i >= given.size()) corrupt(fmt::format("a call has {} arguments, expected more", given.size()));
    return given[i];
  };
  switch (global.meaning) {
    case Meaning::kEmpty: return {};
    case Meaning::kDict: return container(Kind::kDict, given);
    case Meaning::kList: return container(Kind::kList, given);
    case Meaning::kTuple: return container(Kind::kTuple, given);
    case Meaning::kSet: return container(Kind::kSet, given);
    case Meaning::kEncode: return {.kind = Kind::kBytes, .text = need(argument(0), Kind::kText, "encoded text").text};
    case Meaning::kTensor: return tensor(given, false);
    case Meaning::kTypedTensor: return tensor(given, true);
    case Meaning::kParameter: return program_.node(argument(0));
    case Meaning::kRebuild:
      if (depth > kMaxRebuilds) corrupt("calls are wrapped too often");
      return call(argument(0), argument(2), depth + 1);
    case Meaning::kStorage:
    case Meaning::kElementType: break;
  }
  corrupt("an element type is called");
}

Node Calls::storage(Id persistent_id) {
  constexpr size_t kTag = 0, kClass = 1, kKey = 2, kElements = 4, kView = 5;
  const std::vector<Id>& parts = need(persistent_id, Kind::kTuple, "a persistent id").items;
  if (parts.size() < 5 || need(parts[kTag], Kind::kText, "a persistent id").text != "storage") {
    corrupt("a persistent id is not of a storage");
  }
  Global global = need(parts[kClass], Kind::kGlobal, "a storage's class").global;
  if (global.meaning != Meaning::kStorage) corrupt("a storage's class is none");
  if (parts.size() > kView && program_.node(parts[kView]).kind != Kind::kNull) {
    throw Error(Code::kUnsupported,
                fmt::format("{}: storages that are views of others, as torch wrote before 0.4; save "
                            "it again with a current torch",
                            name_));
  }
  program_.storages.push_back({.key = need(parts[kKey], Kind::kText, "a storage's key").text,
                               .type = global.type,
                               .elements = need_size(parts[kElements], "a storage's length")});
  return node_of(Kind::kStorage, program_.storages.size() - 1);
}

// Throws unless the last element lies inside the storage.
void Calls::check_extent(const TensorRef& tensor, int64_t elements) const {
  int64_t last = tensor.offset;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return;
    int64_t reach = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      corrupt("the size of a tensor overflows");
    }
  }
  if (last >= elements) {
    corrupt(fmt::format("a tensor {} with strides {} from element {} reaches element {} of a storage of {}",
                        describe(tensor.shape), describe(tensor.strides), tensor.offset, last, elements));
  }
}

Node Calls::tensor(const std::vector<Id>& arguments, bool has_type) {
  constexpr size_t kStorage = 0, kOffset = 1, kShape = 2, kStrides = 3, kType = 6;
  if (arguments.size() < (has_type ? kType + 1 : kStrides + 1)) corrupt("a tensor lacks arguments");
  TensorRef made;
  made.storage = static_cast<uint32_t>(need(arguments[kStorage], Kind::kStorage, "a tensor's storage").number);
  made.offset = need_size(arguments[kOffset], "a tensor's offset");
  made.shape = need_sizes(arguments[kShape], "a tensor's shape");
  made.strides = need_sizes(arguments[kStrides], "a tensor's strides");
  if (made.shape.size() != made.strides.size()) corrupt("a tensor has another number of strides than dimensions");
  const Storage& storage = program_.storages[made.storage];
  made.type = storage.type;
  int64_t elements = storage.elements;
  if (has_type) {
    Global type = need(arguments[kType], Kind::kGlobal, "a tensor's element type").global;
    if (type.meaning != Meaning::kElementType) corrupt("a tensor's element type is none");
    made.type = type.type;
    if (storage.type == DType::kCount) elements /= info(made.type).block_bytes;
  }
  if (made.type == DType::kCount) corrupt("a tensor has no element type");
  if (has_type && storage.type != DType::kCount && storage.type != made.type) {
    corrupt("a tensor and its storage differ in element type");
  }
  check_extent(made, elements);
  program_.tensors.push_back(std::move(made));
  return node_of(Kind::kTensor, program_.tensors.size() - 1);
}

std::vector<Id> Calls::parameters_in(Id state) const {
  const Node& dict = program_.node(state);
  if (dict.kind != Kind::kDict) return {};
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const Node &key = program_.node(dict.items[i]), &value = program_.node(dict.items[i + 1]);
    if (key.kind == Kind::kText && key.text == "_parameters" && value.kind == Kind::kDict) return value.items;
  }
  return {};
}

}  // namespace hearth::pickle
