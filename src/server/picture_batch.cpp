#include "server/picture_batch.h"

#include <algorithm>

#include "planner/measure/picture.h"
#include "planner/report/suggest.h"
#include "runtime/diffuse/compute_options.h"

namespace hearth::server {
namespace {

// What a copy with LoRAs in it takes beside the model.
int64_t patched_bytes(const workflow::PictureOptions& o, const planner::Subject& subject, const planner::Ask& ask) {
  return o.loras.empty() ? 0 : subject.demand(ask).weights_bytes;
}

}  // namespace

int64_t pictures_at_once(const workflow::PictureOptions& o, const std::string& path, const config::Pictures& defaults,
                         int64_t room, int64_t most) {
  auto or_default = [](const std::string& own, const std::string& other) { return own.empty() ? other : own; };
  const std::string tiling = or_default(o.vae_tiling, defaults.vae_tiling);
  const std::string precision = or_default(o.precision, defaults.precision);
  const diffuse::ComputeOptions compute =
      diffuse::compute_options(diffuse::kPictureDevice, {.precision = precision, .vae_tiling = tiling}).value();
  const planner::PictureSubject subject("picture", {open_picture_file(path)}, cpu_caps(1), compute.scheme());
  planner::Ask ask{.width = o.width, .height = o.height, .steps = o.steps, .is_guided = o.cfg != 1};
  if (tiling == "on") ask.tile = o.vae_tile > 0 ? o.vae_tile : defaults.vae_tile;
  room -= patched_bytes(o, subject, ask);
  int64_t count = planner::auto_batch(subject, ask, room, most);
  if (count < most && tiling == "auto") {  // pieces are tried where a whole picture does not fit
    ask.tile = o.vae_tile > 0 ? o.vae_tile : defaults.vae_tile;
    count = std::max(count, planner::auto_batch(subject, ask, room, most));
  }
  return std::max<int64_t>(count, 1);
}

}  // namespace hearth::server
