#include "formats/pickle/legacy.h"

#include <unordered_map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/pickle/budget.h"
#include "formats/pickle/contents.h"

namespace hearth::pickle {
namespace {

constexpr std::string_view kMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
constexpr int64_t kVersion = 1001, kNumberBytes = 8;

class Legacy {
 public:
  Legacy(std::string_view head, int64_t file_bytes, const ReadNumber& read, const std::string& name)
      : rest_(head), head_bytes_(head.size()), file_bytes_(file_bytes), read_(read), name_(name) {}

  TensorFile parse() {
    read_preamble();
    Program values = next();
    Program keys = next();
    place_storages(values, keys);
    auto find = [&](std::string_view key) {
      auto found = spans_.find(key);
      if (found == spans_.end()) corrupt(fmt::format("there is no storage '{}' in it", key));
      return found->second;
    };
    return contents(values, find, name_);
  }

 private:
  [[noreturn]] void corrupt(std::string_view what) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: {}", name_, what));
  }

  Program next() {
    Program program = run(rest_, budget(file_bytes_), name_);
    rest_.remove_prefix(program.bytes_read);
    return program;
  }

  void read_preamble() {
    Program magic = next();
    if (magic.node(magic.result).kind != Kind::kBytes || magic.node(magic.result).text != kMagic) {
      throw Error(Code::kUnsupported,
                  fmt::format("{}: a pickle, but not of torch; only torch checkpoints are read", name_));
    }
    Program version = next();
    if (version.node(version.result).kind != Kind::kInt || version.node(version.result).number != kVersion) {
      corrupt(fmt::format("its format is not version {}", kVersion));
    }
    Program machine = next();
    const std::vector<Id>& facts = machine.node(machine.result).items;
    for (size_t i = 0; i + 1 < facts.size(); i += 2) {
      const Node &key = machine.node(facts[i]), &value = machine.node(facts[i + 1]);
      if (key.kind == Kind::kText && key.text == "little_endian" && value.kind == Kind::kBool && value.number == 0) {
        throw Error(Code::kUnsupported,
                    fmt::format("{}: written on a big-endian machine; save it again on another", name_));
      }
    }
  }

  void place_storages(const Program& values, const Program& keys) {
    std::unordered_map<std::string_view, const Storage*> known;
    for (const Storage& storage : values.storages) known.try_emplace(storage.key, &storage);
    if (keys.node(keys.result).kind != Kind::kList) corrupt("the list of its storages is none");
    auto at = static_cast<int64_t>(head_bytes_ - rest_.size());
    for (Id id : keys.node(keys.result).items) {
      const Node& key = keys.node(id);
      auto found = key.kind == Kind::kText ? known.find(key.text) : known.end();
      if (found == known.end()) corrupt("it holds a storage that no tensor uses");
      const Storage& storage = *found->second;
      if (at > file_bytes_ - kNumberBytes) corrupt("it ends before its storages (download incomplete?)");
      int64_t elements = read_(at), size = storage.type == DType::kCount ? 1 : info(storage.type).block_bytes;
      at += kNumberBytes;
      if (elements != storage.elements || elements > (file_bytes_ - at) / size) {
        corrupt(fmt::format("storage '{}' has {} elements, expected {} inside the file", storage.key, elements,
                            storage.elements));
      }
      spans_[storage.key] = {.offset = at, .bytes = elements * size};
      at += elements * size;
    }
  }

  std::string_view rest_;
  size_t head_bytes_;
  int64_t file_bytes_;
  const ReadNumber& read_;
  const std::string& name_;
  std::unordered_map<std::string_view, Span> spans_;
};

}  // namespace

TensorFile parse_legacy(std::string_view head, int64_t file_bytes, const ReadNumber& read, const std::string& name) {
  return Legacy(head, file_bytes, read, name).parse();
}

}  // namespace hearth::pickle
