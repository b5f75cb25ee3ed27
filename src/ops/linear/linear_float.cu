#include "ops/linear/linear_device.cuh"

namespace hearth::cuda {

StartLinear linear_float(DType scheme) { return linear_device::pick<FloatReaders>(scheme); }

}  // namespace hearth::cuda
