// Every op on CUDA as a case of one shape: inputs on the host, a step that runs on any device, what it must give.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "ops/test_ctx.h"

namespace hearth {

struct CudaCase {
  std::string what;
  double bound;  // of |got - wanted| / magnitude; 0: bit for bit
  std::vector<Tensor> in;
  std::vector<size_t> of_rows;  // inputs whose first dimension is the batch: the others are shared by all rows
  std::function<Tensor(Ctx&, const std::vector<Tensor>&)> step;
  std::vector<double> wanted;     // when empty: what the CPU gives
  std::vector<double> magnitude;  // when empty: 1 + |wanted|
};

std::vector<CudaCase> pointwise_cases(TestCtx& t);
std::vector<CudaCase> norm_cases(TestCtx& t);
std::vector<CudaCase> index_cases(TestCtx& t);
std::vector<CudaCase> rope_cases(TestCtx& t);
std::vector<CudaCase> attention_cases(TestCtx& t);
std::vector<CudaCase> linear_cases(TestCtx& t);

}  // namespace hearth
