// What tests of picture models share: the tiny checkpoints of tests/golden/picture_models, written out in either layout
// with the weights their recipe gives, their goldens, and a place to load and run them.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/device/allocator.h"
#include "core/testing/temp_folder.h"
#include "models/diffusion/detect.h"
#include "models/diffusion/unet.h"
#include "models/load/weights.h"

namespace hearth::testing {

/// tests/golden/picture_models/`file`.
std::string picture_golden_path(const std::string& file);

/// A checkpoint of tests/golden/picture_models/NAME.json. Tensors are named "unet/conv_in.weight".
class TinyPicture {
 public:
  explicit TinyPicture(const std::string& name);

  /// Widens what real prompts need: CLIP's whole vocabulary and 77 positions, and sizes told by 256 numbers each. The
  /// goldens no longer apply then.
  void take_prompts();

  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> values;
  };
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }
  bool has(const std::string& component) const { return spec_.at("components").find(component) != nullptr; }

  /// Writes the whole checkpoint as one file under the original layout's names. Returns its path.
  std::string write_single(const std::string& folder, DType type = DType::kF32) const;
  /// Writes a folder in diffusers layout and returns it. Head counts are only in its config.json.
  std::string write_diffusers(const std::string& folder, DType type = DType::kF32) const;

 private:
  std::string name_;
  Value spec_;
  std::map<std::string, Tensor> tensors_;
};

/// Writes a safetensors file of float tensors.
void write_tensors(const std::string& path, const std::map<std::string, TinyPicture::Tensor>& tensors,
                   DType type = DType::kF32, const Value& metadata = {});

/// Inputs, outputs and samples of intermediates of one checkpoint, by name ("unet.out", "unet.down.3").
struct PictureGolden {
  struct Tensor {
    Shape shape;
    std::vector<float> values;
    std::vector<int32_t> ints;  // where it is i32
  };
  std::map<std::string, Tensor> tensors;

  static PictureGolden read(const std::string& name);
};

/// Memory, caps and an arena to load and run one network in.
class PictureRig {
 public:
  explicit PictureRig(CpuIsa isa = cpu_caps(1).isa, DeviceKind kind = DeviceKind::kCpu);

  /// Sizes, allocates, binds and loads: Model::bind(Weights&, config).
  template <class Model, class Config>
  Model load(const PicturePart<Config>& part, const WeightOptions& options = {}) {
    Weights sizing(*part.tensors, caps_, options);
    Model::bind(sizing, part.config);
    if (is_meta()) {
      weights_ = std::make_unique<Weights>(*part.tensors, caps_, options);
      return Model::bind(*weights_, part.config);
    }
    weights_ = std::make_unique<Weights>(*part.tensors, caps_, Device{}, *memory_.allocate(sizing.bytes(), "weights"),
                                         options);
    Model model = Model::bind(*weights_, part.config);
    check(weights_->bytes() == sizing.bytes(), "both passes take the same bytes");
    weights_->load(pool_);
    return model;
  }
  const Weights& weights() const { return *weights_; }  // of the last load

  hearth::Tensor tensor(const PictureGolden::Tensor& from);
  hearth::Tensor floats(const std::vector<float>& values, Shape shape);
  hearth::Tensor ints(const std::vector<int32_t>& values, Shape shape);
  Ctx ctx(StepObserver* observer = nullptr);
  Arena& arena() { return *arena_; }
  bool is_meta() const { return memory_.device().kind == DeviceKind::kMeta; }

 private:
  RawAllocator memory_;
  ThreadPool pool_{2};
  Caps caps_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<Weights> weights_;
};

}  // namespace hearth::testing
