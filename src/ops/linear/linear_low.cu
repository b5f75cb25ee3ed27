#include "ops/linear/linear_device.cuh"

namespace hearth::cuda {

StartLinear linear_low(DType scheme) { return linear_device::pick<LowReaders>(scheme); }

}  // namespace hearth::cuda
