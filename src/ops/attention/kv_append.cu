#include "core/device/cuda.cuh"
#include "ops/attention/attention_kernels.h"
#include "ops/attention/kv_cell.cuh"

namespace hearth::cuda {
namespace {

constexpr int kThreads = 128;

struct Append {
  const float *k, *v;
  int64_t k_row, k_head, v_row, v_head;  // strides in elements
  const int32_t* slots;
  int64_t all_slots;
  int heads, tokens, dim;
};

// A block per (row, head). A slot outside the pages writes nothing.
template <class Cell>
__global__ void __launch_bounds__(kThreads) kv_append_kernel(Append a, Cell* k_pages, Cell* v_pages) {
  int64_t row = blockIdx.x, head = blockIdx.y, slot = a.slots[row];
  if (slot < 0 || slot >= a.all_slots) return;
  int64_t at = ((slot / a.tokens * a.heads + head) * a.tokens + slot % a.tokens) * a.dim;
  for (int d = threadIdx.x; d < a.dim; d += kThreads) {
    round_to(a.k[row * a.k_row + head * a.k_head + d], k_pages[at + d]);
    round_to(a.v[row * a.v_row + head * a.v_head + d], v_pages[at + d]);
  }
}

}  // namespace

void kv_append(Stream stream, const KvAppendArgs& args) {
  const View &k = args.k, &v = args.v;
  const Shape& pages = args.k_pages.shape;
  Append append{k.as<float>(),
                v.as<float>(),
                k.strides[0],
                k.strides[1],
                v.strides[0],
                v.strides[1],
                args.slots.as<int32_t>(),
                pages[0] * pages[2],
                static_cast<int>(pages[1]),
                static_cast<int>(pages[2]),
                static_cast<int>(pages[3])};
  dim3 grid(static_cast<unsigned>(k.shape[0]), static_cast<unsigned>(pages[1]));
  dispatch_cell(args.k_pages.dtype, [&]<class Cell>() {
    launch(stream, "kv_append", grid, kThreads, kv_append_kernel<Cell>, append,
           reinterpret_cast<Cell*>(args.k_pages.data), reinterpret_cast<Cell*>(args.v_pages.data));
  });
}

}  // namespace hearth::cuda
