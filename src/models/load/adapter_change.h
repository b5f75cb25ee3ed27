// AdapterChange: what one module of an adapter does to one weight, in ComfyUI's arithmetic: float32, one change after
// the other. Values are read from the file as rows are asked for; nothing is held but names and factors.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "models/load/adapter_module.h"
#include "models/load/read_bytes.h"

namespace hearth {

/// An adapter's file, open for reading. Shared by the changes made from it; thread-safe.
class AdapterFile {
 public:
  explicit AdapterFile(std::shared_ptr<const TensorFile> file) : file_(std::move(file)), descriptors_(file_->paths) {}
  const TensorFile& file() const { return *file_; }
  /// A tensor, or entries [first, first + n) of its first axis, as float32.
  std::vector<float> read(const TensorInfo& tensor) const;
  std::vector<float> read(const TensorInfo& tensor, int64_t first, int64_t n) const;

 private:
  std::shared_ptr<const TensorFile> file_;
  OpenFiles descriptors_;
};

class AdapterChange {
 public:
  virtual ~AdapterChange() = default;
  /// Whether apply() wants every row of the weight at once.
  virtual bool needs_all_rows() const { return false; }
  /// Rows [first_row, first_row + n_rows) of the weight as they are so far, changed in place.
  virtual void apply(int64_t first_row, int64_t n_rows, std::span<float> rows) const = 0;
};

/// The change of a weight of `shape`; null when the module has none for it. `misfit` says why it cannot be applied:
/// what was got and what was wanted.
std::unique_ptr<AdapterChange> weight_change(const std::shared_ptr<const AdapterFile>& from,
                                             const AdapterModule& module, const std::vector<int64_t>& shape,
                                             double strength, std::string& misfit);
/// As weight_change(), of the bias that goes with the weight.
std::unique_ptr<AdapterChange> bias_change(const std::shared_ptr<const AdapterFile>& from, const AdapterModule& module,
                                           const std::vector<int64_t>& shape, double strength, std::string& misfit);

}  // namespace hearth
