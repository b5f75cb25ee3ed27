// LoRA: low-rank changes to a model's weights, W' = round(W + sum of strength * alpha/rank * up x down), computed in
// float32 in the order files are added, as ComfyUI does. A file names the modules it changes in one of several
// programs' ways; LoraNames says which weight of a network each of those names means.
// Linear and convolutional pairs (with a kernel in `down`, and LoCon's `mid`), whole differences (.diff, .diff_b) and
// changes of norms. Other kinds (LoHa, LoKr, OFT, DoRA) are reported, never skipped in silence.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/load/named_tensors.h"
#include "models/load/read_bytes.h"
#include "models/load/weight_patch.h"

namespace hearth {

/// Module name in a LoRA file -> name of the module in bind code (without ".weight").
using LoraNames = std::map<std::string, std::string, std::less<>>;

/// One LoRA file: headers only. A plain value.
class LoraFile {
 public:
  struct Module {
    const TensorInfo *up = nullptr, *down = nullptr, *mid = nullptr, *alpha = nullptr;
    const TensorInfo *diff = nullptr, *diff_bias = nullptr;
    bool is_foreign = false;  // has tensors of a kind this build does not apply
  };
  explicit LoraFile(std::shared_ptr<const TensorFile> file);

  const std::shared_ptr<const TensorFile>& file() const { return file_; }
  const std::map<std::string, Module, std::less<>>& modules() const { return modules_; }
  /// Modules that none of the networks knows, and tensors of kinds that are not applied: for the log.
  std::vector<std::string> not_applied(const std::vector<const LoraNames*>& networks) const;

 private:
  std::shared_ptr<const TensorFile> file_;
  std::map<std::string, Module, std::less<>> modules_;
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
  void apply(std::string_view name, int64_t first_row, int64_t n_rows, std::span<float> rows) const override;

 private:
  struct OpenLora {
    std::shared_ptr<const TensorFile> file;
    OpenFiles descriptors;
  };
  struct Change {  // up x down, or a whole difference
    std::shared_ptr<const OpenLora> from;
    const TensorInfo *up = nullptr, *down = nullptr, *mid = nullptr, *diff = nullptr;
    float factor = 1;
  };
  std::string add_pair_of(const LoraFile& file, const LoraFile::Module& module, const std::string& weight,
                          double strength, const std::shared_ptr<const OpenLora>& from);
  std::string add_whole(const TensorInfo* diff, const std::string& weight, double strength,
                        const std::shared_ptr<const OpenLora>& from);
  static std::vector<float> read(const Change& change, const TensorInfo& tensor, int64_t first, int64_t n);
  static std::vector<float> read_down(const Change& change);
  static void add_pair(const Change& change, int64_t first_row, int64_t n_rows, std::span<float> rows);

  const NamedTensors& network_;
  std::map<std::string, std::vector<Change>, std::less<>> changes_;
};

}  // namespace hearth
