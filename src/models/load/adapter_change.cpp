// Reference for what each kind computes: comfyanonymous/ComfyUI, comfy/lora.py and comfy/weight_adapter/; the kinds are
// those of KohakuBlueleaf/LyCORIS.
#include "models/load/adapter_change.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"
#include "models/load/adapter_products.h"
#include "models/load/tensor_source.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

using enum AdapterPart;

int64_t count(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  return n;
}

// A difference as large as the weight, times a factor.
class Difference final : public AdapterChange {
 public:
  Difference(std::shared_ptr<const AdapterFile> from, const TensorInfo& diff, double strength)
      : from_(std::move(from)), diff_(diff), strength_(static_cast<float>(strength)) {}

  void apply(int64_t first_row, int64_t n_rows, std::span<float> rows) const override {
    const std::vector<float> diff = rows_of(*from_, diff_, first_row, n_rows, std::ssize(rows));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += strength_ * diff[i];
  }
  // A vector is one row of all its elements.
  static std::vector<float> rows_of(const AdapterFile& from, const TensorInfo& tensor, int64_t first, int64_t n,
                                    int64_t elements) {
    return tensor.shape.size() <= 1 ? from.read(tensor, 0, elements) : from.read(tensor, first, n);
  }

 private:
  std::shared_ptr<const AdapterFile> from_;
  const TensorInfo& diff_;
  const float strength_;
};

// Another weight in the place of the model's, whatever the strength.
class Replacement final : public AdapterChange {
 public:
  Replacement(std::shared_ptr<const AdapterFile> from, const TensorInfo& weight)
      : from_(std::move(from)), weight_(weight) {}
  void apply(int64_t first_row, int64_t n_rows, std::span<float> rows) const override {
    const std::vector<float> values = Difference::rows_of(*from_, weight_, first_row, n_rows, std::ssize(rows));
    std::copy(values.begin(), values.end(), rows.begin());
  }

 private:
  std::shared_ptr<const AdapterFile> from_;
  const TensorInfo& weight_;
};

// A product added to the weight; with a DoRA scale the sum's rows, or its input channels, get lengths of their own.
class Decomposed final : public AdapterChange {
 public:
  Decomposed(std::shared_ptr<const AdapterFile> from, std::unique_ptr<AdapterProduct> product, double strength,
             const TensorInfo* scale, const std::vector<int64_t>& shape)
      : from_(std::move(from)), product_(std::move(product)), strength_(strength), scale_(scale), shape_(shape) {}

  bool needs_all_rows() const override { return product_->needs_all_rows() || (scale_ && !scales_rows()); }

  void apply(int64_t first_row, int64_t n_rows, std::span<float> rows) const override {
    const std::vector<float> diff = product_->rows(first_row, n_rows, rows);
    if (!scale_) {
      const auto factor = static_cast<float>(strength_ * product_->factor());
      for (size_t i = 0; i < rows.size(); ++i) rows[i] += factor * diff[i];
      return;
    }
    std::vector<float> sum(rows.size());
    const auto alpha = static_cast<float>(product_->decomposed_factor());
    for (size_t i = 0; i < rows.size(); ++i) sum[i] = rows[i] + alpha * diff[i];
    scales_rows() ? scale_rows(first_row, n_rows, rows, sum) : scale_inputs(n_rows, sum);
    const auto strength = static_cast<float>(strength_);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = strength == 1 ? sum[i] : rows[i] + strength * (sum[i] - rows[i]);
  }

 private:
  static constexpr float kTiny = std::numeric_limits<float>::epsilon();
  bool scales_rows() const { return scale_->shape[0] == shape_[0]; }

  // Lengths are those of the rows before the change.
  void scale_rows(int64_t first_row, int64_t n_rows, std::span<const float> before, std::vector<float>& sum) const {
    const std::vector<float> scale = from_->read(*scale_, first_row, n_rows);
    const int64_t columns = std::ssize(before) / n_rows;
    for (int64_t r = 0; r < n_rows; ++r) {
      double square = 0;
      for (int64_t i = 0; i < columns; ++i) square += double{before[r * columns + i]} * double{before[r * columns + i]};
      const float by = scale[r] / (static_cast<float>(std::sqrt(square)) + kTiny);
      for (int64_t i = 0; i < columns; ++i) sum[r * columns + i] *= by;
    }
  }

  // Lengths are those of the sum, over every output and tap of an input channel.
  void scale_inputs(int64_t n_rows, std::vector<float>& sum) const {
    const int64_t in = shape_[1], columns = std::ssize(sum) / n_rows, taps = columns / in;
    const std::vector<float> scale = from_->read(*scale_);
    std::vector<double> square(static_cast<size_t>(in));
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t i = 0; i < columns; ++i) {
        square[i / taps] += double{sum[r * columns + i]} * double{sum[r * columns + i]};
      }
    }
    for (int64_t r = 0; r < n_rows; ++r) {
      for (int64_t i = 0; i < columns; ++i) {
        sum[r * columns + i] *= scale[i / taps] / (static_cast<float>(std::sqrt(square[i / taps])) + kTiny);
      }
    }
  }

  std::shared_ptr<const AdapterFile> from_;
  std::unique_ptr<AdapterProduct> product_;
  const double strength_;
  const TensorInfo* scale_;
  const std::vector<int64_t> shape_;
};

std::string dora_misfit(const TensorInfo& scale, const std::vector<int64_t>& shape) {
  const bool is_of_rows = !scale.shape.empty() && scale.shape[0] == shape[0] && scale.elements() == shape[0];
  const bool is_of_inputs = shape.size() > 1 && scale.elements() == shape[1];
  if (is_of_rows || is_of_inputs) return "";
  return fmt::format("got dora_scale {}, wanted a value a row or an input of {}", describe(scale.shape),
                     describe(shape));
}

std::unique_ptr<AdapterChange> whole(const std::shared_ptr<const AdapterFile>& from, const TensorInfo& tensor,
                                     const std::vector<int64_t>& shape, double strength, bool replaces,
                                     std::string& misfit) {
  if (tensor.elements() != count(shape)) {
    misfit = fmt::format("got {}, wanted {}", describe(tensor.shape), describe(shape));
    return nullptr;
  }
  if (replaces) return std::make_unique<Replacement>(from, tensor);
  return std::make_unique<Difference>(from, tensor, strength);
}

// A file for a model with wider inputs says so; the weights here keep their shapes.
std::string reshape_misfit(const AdapterFile& from, const TensorInfo& wanted, const std::vector<int64_t>& shape) {
  const std::vector<float> dims = from.read(wanted);
  const bool is_same = std::equal(dims.begin(), dims.end(), shape.begin(), shape.end(),
                                  [](float a, int64_t b) { return static_cast<int64_t>(a) == b; });
  return is_same ? "" : fmt::format("made for a weight of another shape than {}", describe(shape));
}

}  // namespace

std::vector<float> AdapterFile::read(const TensorInfo& tensor) const {
  return read(tensor, 0, tensor.shape.empty() ? 1 : tensor.shape[0]);
}

std::vector<float> AdapterFile::read(const TensorInfo& tensor, int64_t first, int64_t n) const {
  const int64_t each = tensor.shape.empty() || tensor.shape[0] == 0 ? 1 : tensor.elements() / tensor.shape[0];
  std::vector<std::byte> bytes(static_cast<size_t>(row_bytes(tensor.type, each * n)));
  read_exactly(descriptors_.fds()[tensor.file], file_->paths[tensor.file],
               tensor.offset + row_bytes(tensor.type, each * first), bytes.data(), std::ssize(bytes), {});
  std::vector<float> out(static_cast<size_t>(each * n));
  quant::decode_row(tensor.type, bytes.data(), out.data(), each * n);
  return out;
}

std::unique_ptr<AdapterChange> weight_change(const std::shared_ptr<const AdapterFile>& from,
                                             const AdapterModule& module, const std::vector<int64_t>& shape,
                                             double strength, std::string& misfit) {
  // Of several kinds in one module the last of ComfyUI's order counts.
  if (module[kSet]) return whole(from, *module[kSet], shape, strength, true, misfit);
  if (module[kDiff]) return whole(from, *module[kDiff], shape, strength, false, misfit);
  if (module[kNorm]) return whole(from, *module[kNorm], shape, strength, false, misfit);
  std::unique_ptr<AdapterProduct> product = adapter_product(from, module, shape, strength, misfit);
  if (!product) return nullptr;
  const TensorInfo* scale = module[kDoraScale];
  if (scale) misfit = dora_misfit(*scale, shape);
  if (misfit.empty() && module[kReshape]) misfit = reshape_misfit(*from, *module[kReshape], shape);
  if (!misfit.empty()) return nullptr;
  return std::make_unique<Decomposed>(from, std::move(product), strength, scale, shape);
}

std::unique_ptr<AdapterChange> bias_change(const std::shared_ptr<const AdapterFile>& from, const AdapterModule& module,
                                           const std::vector<int64_t>& shape, double strength, std::string& misfit) {
  const TensorInfo* diff = module[kDiffBias] ? module[kDiffBias] : module[kNormBias];
  return diff ? whole(from, *diff, shape, strength, false, misfit) : nullptr;
}

}  // namespace hearth
