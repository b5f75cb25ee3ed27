// Random numbers for pictures, bit for bit those of the machine a seed comes from: the CPU generator (MT19937, its
// vectorised normals) and, on request, a CUDA device's (Philox 4x32-10 in its launch layout).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace hearth {

/// Which logarithm, sine and cosine a CPU's normals go through. kPolynomial is that of x86 builds and the default
/// everywhere, so that a seed travels; kLibm is what builds for ARM use.
enum class NormalFlavour { kPolynomial, kLibm };

/// The machine whose random numbers are wanted.
struct NoiseMachine {
  enum class Kind { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  NormalFlavour flavour = NormalFlavour::kPolynomial;  // kCpu
  int64_t sm_count = 0, threads_per_sm = 0;            // kCuda: they fix which thread draws which number
};

/// A seeded stream of normals; one thread at a time.
class NormalStream {
 public:
  virtual ~NormalStream() = default;
  /// The numbers one draw of a tensor of out.size() elements gives.
  virtual void fill(std::span<float> out) = 0;
};

std::unique_ptr<NormalStream> normal_stream(const NoiseMachine& machine, uint64_t seed);

/// Noise of a batch of latents of `elements` each. Without `batch_index` the batch is one draw; with it, members are
/// drawn one after the other and member i of the result is draw batch_index[i].
std::vector<float> batch_noise(const NoiseMachine& machine, uint64_t seed, int64_t batch, int64_t elements,
                               std::span<const int64_t> batch_index = {});

}  // namespace hearth
