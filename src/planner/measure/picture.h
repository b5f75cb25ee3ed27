// PictureSubject: picture models whose code exists, from the headers of their files: weights of every network, and the
// arenas of reading a prompt, of a denoising step and of decoding, as the picture engine would measure them on Meta.
#pragma once
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "models/diffusion/detect.h"
#include "models/load/weights.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

class PictureSubject final : public Subject {
 public:
  /// The first file draws; others, such as a refiner, denoise after it. `scheme`: how weights are kept; absent: as the
  /// files have them. Throws kUnsupported when the first file lacks a network.
  PictureSubject(std::string name, std::vector<PictureFile> files, const Caps& caps,
                 std::optional<DType> scheme = {});
  ~PictureSubject() override;

  const SubjectFacts& facts() const override { return facts_; }
  SubjectFacts& facts() { return facts_; }
  Demand demand(const Ask& ask) const override;
  std::vector<Phase> phases(const Ask& ask) const override;

 private:
  struct Networks;
  struct Work {
    int64_t peak_bytes = 0;
    double flops = 0, bytes = 0;
  };
  Work read_words(const Networks& of) const;
  Work denoise(const Networks& of, int64_t rows, int64_t height, int64_t width) const;
  Work decode(int64_t pictures, int64_t height, int64_t width) const;

  std::vector<PictureFile> files_;
  Caps caps_;
  std::vector<std::unique_ptr<Networks>> networks_;
  SubjectFacts facts_;
  Math math_ = Math::kF16;
};

}  // namespace hearth::planner
