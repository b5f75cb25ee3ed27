// Latents to pictures and back: one picture of a batch at a time or all at once, whole or in tiles.
#pragma once
#include <functional>
#include <vector>

#include "governor/budget/budget.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/net_part.h"
#include "runtime/diffuse/picture_engine.h"
#include "runtime/diffuse/picture_lane.h"

namespace hearth::diffuse {

class VaeWork {
 public:
  /// Everything outlives this. `part`: the weights of `file`, in memory as `compute` says.
  VaeWork(const VaeFile& file, std::shared_ptr<const Part> part, const ComputeOptions& compute, PictureLane& lane,
          Residency& memory)
      : file_(file), part_(std::move(part)), compute_(compute), lane_(lane), memory_(memory) {}

  /// [B,C,h,w] -> [B,8h,8w,3] in 0..1.
  Tensor decode(const Tensor& samples, const VaeOptions& options, const Watch& watch);
  /// [B,H,W,3 or more] in 0..1 -> [B,C,H/8,W/8].
  Tensor encode(const Tensor& pixels, const VaeOptions& options, const Watch& watch);

 private:
  // What is taken at once: tried in turn where memory is short, until one fits.
  struct Way {
    int64_t pictures = 1;
    int64_t tile = 0, overlap = 0;  // pixels; 0: whole pictures
  };
  std::vector<Way> ways(const VaeOptions& options, int64_t batch, int64_t height, int64_t width) const;
  // `work` one of them after the other for what is left of the batch.
  void in_ways(const std::vector<Way>& ways, int64_t batch, const char* what,
               const std::function<void(const Way& way, int64_t first, int64_t n)>& work) const;
  // [n,C,h,w] host values to [n,3,8h,8w] in -1..1.
  std::vector<float> decode_whole(std::span<const float> z, int64_t n, int64_t height, int64_t width,
                                  const Watch& watch);
  std::vector<float> encode_whole(std::span<const float> x, int64_t n, int64_t height, int64_t width,
                                  const Watch& watch);
  Tensor network_decode(Ctx& c, const Tensor& z) const;
  Tensor network_encode(Ctx& c, const Tensor& x) const;  // means only

  const VaeFile& file_;
  std::shared_ptr<const Part> part_;
  const ComputeOptions compute_;
  PictureLane& lane_;
  Residency& memory_;
};

}  // namespace hearth::diffuse
