// A build without CUDA: a Graph is never made, but lists of graphs can still be destroyed and moved.
#include "core/device/cuda.h"

#if !defined(HEARTH_CUDA)
namespace hearth::cuda {

Graph::Graph(Graph&&) noexcept {}
Graph& Graph::operator=(Graph&&) noexcept { return *this; }
Graph::~Graph() {}

}  // namespace hearth::cuda
#endif
