// What tests of language models share: the tiny checkpoints of tests/golden/language_models, their goldens, and a model
// run by hand over pages that lie as scattered as a busy server's.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/allocator.h"
#include "models/lm/language_model.h"
#include "models/load/weights.h"

namespace hearth::testing {

/// tests/golden/language_models/`name`: under HEARTH_SOURCE_DIR, or found from this file's own place.
std::string tiny_path(const std::string& name);

/// What the reference computed for one prompt: rows of float32 by name ("embedding", "block.0", "logits").
struct Golden {
  std::vector<int32_t> tokens;
  std::map<std::string, std::vector<float>> rows;

  static Golden read(const std::string& name);
};

/// Largest |got - wanted| of any row, over the largest |wanted| of that row. NaN counts as infinite.
double row_error(std::span<const float> got, std::span<const float> wanted, int64_t n_rows);

struct TinyOptions {
  CpuIsa isa = cpu_caps(1).isa;
  DeviceKind kind = DeviceKind::kCpu;  // kMeta: shapes only
  DType state = DType::kF32;
  bool decodes = false;                // matrices as float32
  int64_t arena_bytes = int64_t{64} << 20;
};

/// A checkpoint loaded and bound, with state for two sequences and an arena. Pages begin as NaN: whoever lets a slot
/// nobody wrote into a sum shows.
class TinyModel {
 public:
  TinyModel(const std::string& path, const TinyOptions& options);

  struct Piece {  // consecutive tokens of one sequence
    int sequence = 0;
    std::span<const int32_t> tokens;
  };
  /// One step over the pieces, which continue their sequences, and `padding` rows. Logits of every real row; their
  /// number is right on Meta too, their values are not.
  std::vector<float> step(std::span<const Piece> pieces, StepObserver* observer = nullptr, int padding = 0);
  /// The same of one sequence in steps of at most `chunk` tokens.
  std::vector<float> feed(std::span<const int32_t> tokens, int64_t chunk);

  const LanguageModel& model() const { return *model_; }
  const Arena& arena() const { return *arena_; }
  int64_t sized_bytes() const { return sized_bytes_; }    // what the sizing pass asked for
  int64_t bound_bytes() const { return weights_->bytes(); }  // what binding over the slab took

 private:
  void load(const TinyOptions& options);
  void make_state(DType dtype);
  Batch make_batch(std::span<const Piece> pieces, int padding);
  int32_t page(int sequence, int64_t index, int group) const;
  Tensor ints(const std::vector<int32_t>& values, Shape shape);

  RawAllocator memory_;
  ThreadPool pool_{2};
  Caps caps_;
  Checkpoint checkpoint_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<Arena> arena_;
  State state_;
  std::vector<int64_t> done_ = {0, 0};  // tokens of each sequence
  int64_t sized_bytes_ = 0;
};

}  // namespace hearth::testing
