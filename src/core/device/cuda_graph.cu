// Graph: capture in thread-local mode, so that what other threads do with the device does not break it.
#include <utility>

#include "core/device/cuda.cuh"

namespace hearth::cuda {
namespace {

void destroy(void* exec) {
  if (exec) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(exec));
}

}  // namespace

Graph::Graph(Graph&& other) noexcept : exec_(std::exchange(other.exec_, nullptr)) {}

Graph& Graph::operator=(Graph&& other) noexcept {
  if (this != &other) {
    destroy(exec_);
    exec_ = std::exchange(other.exec_, nullptr);
  }
  return *this;
}

Graph::~Graph() { destroy(exec_); }

void Graph::launch(Stream stream) const {
  enter(stream);
  require(cudaGraphLaunch(static_cast<cudaGraphExec_t>(exec_), raw(stream)), "cudaGraphLaunch");
}

void Graph::begin_capture(Stream stream) {
  enter(stream);
  require(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
}

Graph Graph::end_capture(Stream stream) {
  cudaGraph_t captured = nullptr;
  require(cudaStreamEndCapture(raw(stream), &captured), "cudaStreamEndCapture");
  cudaGraphExec_t exec = nullptr;
  cudaError_t status = cudaGraphInstantiate(&exec, captured, 0);
  cudaGraphDestroy(captured);
  require(status, "cudaGraphInstantiate");
  Graph graph;
  graph.exec_ = exec;
  return graph;
}

void Graph::abandon_capture(Stream stream) noexcept {
  cudaGraph_t captured = nullptr;
  if (cudaStreamEndCapture(raw(stream), &captured) == cudaSuccess && captured) cudaGraphDestroy(captured);
  cudaGetLastError();
}

}  // namespace hearth::cuda
