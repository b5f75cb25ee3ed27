#include "ops/linear/linear_device.cuh"

namespace hearth::cuda {

StartLinear linear_iq(DType scheme) { return linear_device::pick<IqReaders>(scheme); }

}  // namespace hearth::cuda
