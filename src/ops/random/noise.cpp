#include "ops/random/noise.h"

#include <algorithm>

#include "core/base/check.h"
#include "ops/random/mersenne.h"
#include "ops/random/philox.h"

namespace hearth {

std::unique_ptr<NormalStream> normal_stream(const NoiseMachine& machine, uint64_t seed) {
  if (machine.kind == NoiseMachine::Kind::kCuda)
    return std::make_unique<PhiloxGenerator>(seed, machine.sm_count, machine.threads_per_sm);
  return std::make_unique<MersenneGenerator>(seed, machine.flavour);
}

std::vector<float> batch_noise(const NoiseMachine& machine, uint64_t seed, int64_t batch, int64_t elements,
                               std::span<const int64_t> batch_index) {
  auto stream = normal_stream(machine, seed);
  std::vector<float> noise(static_cast<size_t>(batch * elements));
  if (batch_index.empty()) {
    stream->fill(noise);
    return noise;
  }
  check(static_cast<int64_t>(batch_index.size()) == batch, "a batch index names every member");
  std::vector<float> draw(static_cast<size_t>(elements));
  int64_t last = *std::max_element(batch_index.begin(), batch_index.end());
  for (int64_t index = 0; index <= last; ++index) {
    stream->fill(draw);
    for (size_t member = 0; member < batch_index.size(); ++member)
      if (batch_index[member] == index)
        std::copy(draw.begin(), draw.end(), noise.begin() + static_cast<int64_t>(member) * elements);
  }
  return noise;
}

}  // namespace hearth
