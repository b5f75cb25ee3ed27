#include "formats/tensor_file.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hearth {
namespace {

void refuse_equal_names(const TensorFile& file) {
  for (size_t i = 1; i < file.by_name.size(); ++i) {
    const TensorInfo& a = file.tensors[file.by_name[i - 1]];
    const TensorInfo& b = file.tensors[file.by_name[i]];
    if (a.name == b.name) {
      throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' occurs twice (also in {}); names must be unique",
                                                  file.paths[b.file], b.name, file.paths[a.file]));
    }
  }
}

void refuse_overlap(const TensorFile& file) {
  std::vector<const TensorInfo*> by_offset;
  by_offset.reserve(file.tensors.size());
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.bytes > 0) by_offset.push_back(&tensor);
  }
  std::sort(by_offset.begin(), by_offset.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return a->file != b->file ? a->file < b->file : a->offset < b->offset;
  });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const TensorInfo& a = *by_offset[i - 1];
    const TensorInfo& b = *by_offset[i];
    if (a.file == b.file && a.offset + a.bytes > b.offset) {
      throw Error(Code::kCorruptFile,
                  fmt::format("{}: tensor '{}' starts at byte {}, inside '{}' which ends at byte {}",
                              file.paths[b.file], b.name, b.offset, a.name, a.offset + a.bytes));
    }
  }
}

}  // namespace

int64_t TensorInfo::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

const TensorInfo* TensorFile::find(std::string_view name) const {
  if (by_name.size() != tensors.size()) {
    auto found = std::find_if(tensors.begin(), tensors.end(), [&](const TensorInfo& t) { return t.name == name; });
    return found == tensors.end() ? nullptr : &*found;
  }
  auto found = std::lower_bound(by_name.begin(), by_name.end(), name,
                                [&](uint32_t index, std::string_view key) { return tensors[index].name < key; });
  return found != by_name.end() && tensors[*found].name == name ? &tensors[*found] : nullptr;
}

std::optional<int64_t> tensor_bytes(DType type, const std::vector<int64_t>& shape) {
  const DTypeInfo& of = info(type);
  if (!shape.empty() && shape.back() % of.block_elements != 0) return std::nullopt;
  if (shape.empty() && of.is_block) return std::nullopt;
  // Empty dimensions count as one here: strides are products too, and must not overflow either.
  int64_t elements = 1;
  bool is_empty = false;
  for (int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(elements, std::max<int64_t>(extent, 1), &elements)) return std::nullopt;
    is_empty = is_empty || extent == 0;
  }
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / of.block_elements, int64_t{of.block_bytes}, &bytes)) {
    return std::nullopt;
  }
  return is_empty ? 0 : bytes;
}

void seal(TensorFile& file) {
  file.states.clear();
  for (const std::string& path : file.paths) file.states.push_back(file_state(path));
  file.by_name.resize(file.tensors.size());
  std::iota(file.by_name.begin(), file.by_name.end(), 0u);
  std::sort(file.by_name.begin(), file.by_name.end(),
            [&](uint32_t a, uint32_t b) { return file.tensors[a].name < file.tensors[b].name; });
  refuse_equal_names(file);
  refuse_overlap(file);
}

std::string describe(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace hearth
