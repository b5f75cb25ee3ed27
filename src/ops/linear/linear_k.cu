#include "ops/linear/linear_device.cuh"

namespace hearth::cuda {

StartLinear linear_k(DType scheme) { return linear_device::pick<KReaders>(scheme); }

}  // namespace hearth::cuda
