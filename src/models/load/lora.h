// LoRA and its relatives: small tensors that change a model's weights, W' = round(W changed by one file after the
// other), computed in float32 as ComfyUI does. A file names the modules it changes in one of several programs' ways;
// LoraNames says which weight of a network each of those names means. Kinds: LoRA and LoCon, LoHa, LoKr, OFT, BOFT,
// each with DoRA's scale, whole differences (.diff, .diff_b), changes of norms (.w_norm, .b_norm) and weights that take
// the model's place (.set_weight). What is left over is reported, never skipped in silence.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/load/adapter_change.h"
#include "models/load/named_tensors.h"
#include "models/load/weight_patch.h"

namespace hearth {

/// Module name in a LoRA file -> name of the module in bind code (without ".weight").
using LoraNames = std::map<std::string, std::string, std::less<>>;

/// One LoRA file: headers only. A plain value.
class LoraFile {
 public:
  using Module = AdapterModule;
  explicit LoraFile(std::shared_ptr<const TensorFile> file) : file_(std::move(file)) {
    modules_ = adapter_modules(*file_, strange_);
  }

  const std::shared_ptr<const TensorFile>& file() const { return file_; }
  const AdapterModules& modules() const { return modules_; }
  /// Modules that none of the networks knows, and tensors of kinds that are not applied: for the log.
  std::vector<std::string> not_applied(const std::vector<const LoraNames*>& networks) const;

 private:
  std::shared_ptr<const TensorFile> file_;
  AdapterModules modules_;
  std::vector<std::string> strange_;  // tensors that belong to no module
};

/// The changes of one network. Values are read from the files as weights are loaded: nothing is held but names.
class LoraPatch final : public WeightPatch {
 public:
  /// `network` is borrowed and outlives this.
  explicit LoraPatch(const NamedTensors& network) : network_(network) {}

  /// Adds a file's changes at a strength; a strength of 0 adds none. Returns what it has for this network but does not
  /// fit it, as "module: got, wanted". Throws Error{kIo} when the file cannot be opened.
  std::vector<std::string> add(const LoraFile& file, const LoraNames& names, double strength);
  /// How many weights change.
  size_t size() const { return changes_.size(); }

  bool touches(std::string_view name) const override { return changes_.find(name) != changes_.end(); }
  bool needs_all_rows(std::string_view name) const override;
  void apply(std::string_view name, int64_t first_row, int64_t n_rows, std::span<float> rows) const override;

 private:
  const NamedTensors& network_;
  std::map<std::string, std::vector<std::unique_ptr<AdapterChange>>, std::less<>> changes_;
};

}  // namespace hearth
