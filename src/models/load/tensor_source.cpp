#include "models/load/tensor_source.h"

#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "core/base/error.h"
#include "models/load/read_bytes.h"
#include "ops/quant/decode.h"

namespace hearth {

std::vector<int64_t> Located::shape() const {
  std::vector<int64_t> out = tensor->shape;
  if (count > 0) out.front() = count;
  if (is_transposed && out.size() == 2) std::swap(out[0], out[1]);
  return out;
}

int64_t Located::elements() const {
  const std::vector<int64_t> of = shape();
  return std::accumulate(of.begin(), of.end(), int64_t{1}, std::multiplies<>());
}

std::vector<int64_t> as_matrix(std::vector<int64_t> shape) {
  while (shape.size() > 2 && shape.back() == 1) shape.pop_back();
  return shape;
}

std::vector<float> read_values(const TensorFile& file, const TensorInfo& tensor) {
  if (!quant::supported(tensor.type)) {
    throw Error(Code::kUnsupported, fmt::format("{}: tensor '{}' is of type {}, which has no value as a number",
                                                file.paths[tensor.file], tensor.name, name(tensor.type)));
  }
  OpenFiles files({file.paths[tensor.file]});
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes));
  read_exactly(files.fds().front(), file.paths[tensor.file], tensor.offset, bytes.data(), tensor.bytes, {});
  std::vector<float> out(static_cast<size_t>(tensor.elements()));
  quant::decode_row(tensor.type, bytes.data(), out.data(), tensor.elements());
  return out;
}

}  // namespace hearth
