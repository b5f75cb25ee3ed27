#include <string>

#include "core/device/cuda.cuh"
#include "ops/index/index_kernels.h"
#include "ops/quant/weight_reader.cuh"

namespace hearth::cuda {
namespace {

constexpr int kThreads = 128;

struct EmbedArgs {
  const std::byte* table;
  int64_t row_bytes, vocab, dim;
  const int32_t* ids;
  float* y;
};

// A block per id, a thread per run of eight.
template <class Reader>
__global__ void __launch_bounds__(kThreads) embed_kernel(EmbedArgs a) {
  int64_t i = blockIdx.x;
  int64_t id = min(max(static_cast<int64_t>(a.ids[i]), int64_t{0}), a.vocab - 1);
  const std::byte* row = a.table + id * a.row_bytes;
  float* y = a.y + i * a.dim;
  int64_t runs = a.dim / quant::kRun;
  for (int64_t run = threadIdx.x; run < runs; run += kThreads) {
    float values[quant::kRun];
    Reader::template load<false>(row, run, values);
#pragma unroll
    for (int j = 0; j < quant::kRun; ++j) y[run * quant::kRun + j] = values[j];
  }
  if constexpr (Reader::kHasTail) {
    for (int64_t d = runs * quant::kRun + threadIdx.x; d < a.dim; d += kThreads) y[d] = Reader::load_one(row, d);
  }
}

using Kernel = void (*)(EmbedArgs);

Kernel kernel_for(DType scheme) {
  Kernel found = nullptr;
  auto look_in = [&](auto list) {
    if (!found)
      found = pick_reader<Kernel>(
          list, scheme, []<class Reader>(std::type_identity<Reader>) -> Kernel { return embed_kernel<Reader>; });
  };
  look_in(FloatReaders{}), look_in(LegacyReaders{}), look_in(KReaders{}), look_in(IqReaders{}), look_in(LowReaders{});
  return found;
}

}  // namespace

void embed(Stream stream, const Weight& table, const View& ids, const View& y) {
  Kernel kernel = kernel_for(table.scheme);
  if (!kernel || table.layout != Layout::kFile) {
    throw Error(Code::kUnsupported, "embed: no CUDA kernel for tables of " + std::string(name(table.scheme)));
  }
  EmbedArgs args{
      table.data.raw(), row_bytes(table.scheme, table.in()), table.out(), table.in(), ids.as<const int32_t>(),
      y.as<float>()};
  launch(stream, "embed", static_cast<unsigned>(ids.shape[0]), kThreads, kernel, args);
}

}  // namespace hearth::cuda
