// What CUDA sources share: checked calls and checked launches. A launch never waits, so a kernel's own failure shows at
// a later call, usually synchronize().
#pragma once
#include <cuda_runtime.h>

#include <source_location>
#include <string_view>

#include "core/device/cuda.h"

namespace hearth::cuda {

/// Throws Error{kDevice} naming `call`, the device (the current one when negative) and CUDA's text.
void require(cudaError_t status, std::string_view call, int device = -1,
             std::source_location where = std::source_location::current());

/// Makes `device` the calling thread's device. The first call of a process makes its context and measures what that
/// costs; every call returns those bytes. Throws Error{kDevice} when there is no such device.
int64_t select(int device);

/// Makes the stream's device the calling thread's device; free on a machine with one.
void enter(Stream stream);

inline cudaStream_t raw(Stream stream) { return static_cast<cudaStream_t>(stream); }

/// Blocks that cover n in steps.
inline unsigned blocks_for(int64_t n, int64_t step) { return static_cast<unsigned>((n + step - 1) / step); }

/// Starts a kernel on `stream`; a grid without blocks is no work. `op` names it in errors.
template <class... Params, class... Args>
void launch(Stream stream, std::string_view op, dim3 grid, dim3 block, void (*kernel)(Params...), Args&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  enter(stream);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = raw(stream);
  require(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), op);
}

}  // namespace hearth::cuda
