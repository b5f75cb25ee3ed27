// NetPart: a network whose weights are in memory, and how they get there.
#pragma once
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "models/diffusion/detect.h"
#include "models/load/weights.h"
#include "runtime/diffuse/residency.h"
#include "runtime/executor/executor.h"

namespace hearth::diffuse {

template <class Net>
class NetPart final : public Part {
 public:
  NetPart(Net net, BoundWeights bound, StorageRef slab, std::shared_ptr<const Part> base)
      : base_(std::move(base)), slab_(std::move(slab)), bound_(std::move(bound)), net_(std::move(net)) {}
  const Net& net() const { return net_; }
  const BoundWeights& bound() const { return bound_; }
  int64_t bytes() const override { return slab_->bytes(); }

 private:
  std::shared_ptr<const Part> base_;  // of a patched network: what it shares
  StorageRef slab_;
  BoundWeights bound_;
  Net net_;  // its handles go before the slab does
};

/// Told while weights are read; asks to stop by returning false.
using LoadWatch = std::function<bool(int64_t done_bytes, int64_t total_bytes)>;

/// Reads the weights of `part` into a lease of their own. With a patch only what it touches is read and leased; the
/// rest is shared with `base`, whose weights options.base names.
template <class Net, class Config>
std::shared_ptr<const Part> load_net(const PicturePart<Config>& part, const std::string& holder, Residency& memory,
                                     Executor& executor, const LoadWatch& watch, const WeightOptions& options = {},
                                     std::shared_ptr<const Part> base = nullptr) {
  Weights sizing(*part.tensors, executor.caps(), options);
  Net::bind(sizing, part.config);
  StorageRef slab = memory.allocate_untouched(std::max<int64_t>(sizing.bytes(), 1), "weights " + holder);
  Weights weights(*part.tensors, executor.caps(), executor.device(), slab, options);
  Net net = Net::bind(weights, part.config);
  weights.map_files(executor.maps_files());
  memory.make_room_for("loading " + holder,
                       [&] { weights.lease_ring(memory.allocator(), "loading " + holder); });
  std::stop_source stop;
  LoadReport report(holder);
  auto progress = [&](const LoadProgress& p) {
    report(p);
    if (watch && !watch(p.done_bytes, p.total_bytes)) stop.request_stop();
  };
  executor.run_on_pool([&](ThreadPool& pool) { weights.load(pool, progress, stop.get_token()); }).value();
  return std::make_shared<NetPart<Net>>(std::move(net), weights.bound(), std::move(slab), std::move(base));
}

}  // namespace hearth::diffuse
