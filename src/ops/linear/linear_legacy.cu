#include "ops/linear/linear_device.cuh"

namespace hearth::cuda {

StartLinear linear_legacy(DType scheme) { return linear_device::pick<LegacyReaders>(scheme); }

}  // namespace hearth::cuda
