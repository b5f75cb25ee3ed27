#include <algorithm>

#include "ops/index/index_kernels.h"
#include "ops/linear/layout.h"

namespace hearth::cpu {
namespace {

constexpr int64_t kGrain = 16;  // rows: a few microseconds of copying

int64_t clamped(int32_t index, int64_t n) { return std::clamp<int64_t>(index, 0, n - 1); }

}  // namespace

void embed(const Ctx& c, const Weight& table, const View& ids, const View& y) {
  const int32_t* id = ids.as<const int32_t>();
  float* out = y.as<float>();
  c.parallel_for(ids.shape[0], kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      unpack_row(table, clamped(id[i], table.out()), out + i * table.in());
    }
  });
}

void rows(const Ctx& c, const View& x, const View& index, const View& y) {
  const float* from = x.as<const float>();
  const int32_t* at = index.as<const int32_t>();
  float* out = y.as<float>();
  int64_t n = x.shape[0], dim = x.shape[1];
  c.parallel_for(index.shape[0], kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::copy_n(from + clamped(at[i], n) * dim, dim, out + i * dim);
  });
}

}  // namespace hearth::cpu
