// SD and SDXL with denoisers in 8 and fewer bits.
#include <algorithm>

#include <fmt/format.h>

#include "planner/catalogue/estimate.h"
#include "planner/measure/picture.h"

namespace hearth::planner {
namespace {

constexpr int kConvolutionRank = 4;

double denoiser_bytes(const std::vector<PictureFile>& files, const std::function<double(const TensorInfo&)>& bytes_of) {
  double bytes = 0;
  for (const PictureFile& file : files) {
    if (!file.unet) continue;
    for (const TensorInfo& tensor : file.unet->tensors->file().tensors) bytes += bytes_of(tensor);
  }
  return bytes;
}

class EstimatedPicture final : public Subject {
 public:
  EstimatedPicture(const std::string& name, std::vector<PictureFile> files, const Quant& quant, const Caps& caps)
      : quant_(quant), wide_(name, files, caps) {
    wide_bytes_ = denoiser_bytes(files, [](const TensorInfo& tensor) { return static_cast<double>(tensor.bytes); });
    narrow_bytes_ = denoiser_bytes(files, [this](const TensorInfo& tensor) { return narrow_bytes(tensor); });
    facts_ = wide_.facts();
    facts_.is_estimate = true;
    facts_.quant = quant.name;
    facts_.notes.push_back(fmt::format(
        "this build keeps pictures' models in 16 or 32 bits: the denoiser's matrices{} are counted as {}, the rest is "
        "measured in 16 bits",
        takes_convolutions() ? " and convolutions" : "", quant.name));
  }

  const SubjectFacts& facts() const override { return facts_; }

  Demand demand(const Ask& ask) const override {
    Demand demand = wide_.demand(ask);
    demand.weights_bytes -= static_cast<int64_t>(wide_bytes_ - narrow_bytes_);
    return demand;
  }

  std::vector<Phase> phases(const Ask& ask) const override {
    std::vector<Phase> phases = wide_.phases(ask);
    Phase& denoising = phases.at(1);
    denoising.bytes *= narrow_bytes_ / wide_bytes_;  // it reads its weights once a step, and no state
    denoising.op_bytes = 0;
    denoising.math = quant_.math;
    return phases;
  }

 private:
  // Schemes of blocks of a row have no form for convolutions; those of single numbers have.
  bool takes_convolutions() const { return quant_.matrix && !info(*quant_.matrix).is_block; }
  double narrow_bytes(const TensorInfo& tensor) const {
    const bool is_matrix = tensor.shape.size() == 2;
    const bool is_convolution = tensor.shape.size() == kConvolutionRank;
    if (!is_matrix && !(is_convolution && takes_convolutions())) return static_cast<double>(tensor.bytes);
    return quant_.bytes({.name = tensor.name, .shape = tensor.shape, .role = Role::kMatrix}, 1);
  }

  const Quant quant_;
  const PictureSubject wide_;
  double wide_bytes_ = 0, narrow_bytes_ = 0;
  SubjectFacts facts_;
};

}  // namespace

std::unique_ptr<Subject> estimated_picture(const std::string& name, std::vector<PictureFile> files, const Quant& quant,
                                           const Caps& caps) {
  return std::make_unique<EstimatedPicture>(name, std::move(files), quant, caps);
}

}  // namespace hearth::planner
