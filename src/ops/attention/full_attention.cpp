// Checks, the cut into tasks, and the reference kernel of full attention.
#include "ops/attention/full_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ops/attention/full_attention_kernels.h"
#include "ops/cpu_only.h"
#include "ops/simd/level.h"

namespace hearth {
namespace {

bool is_heads(const Tensor& t) {
  return t.dtype() == DType::kF32 && t.rank() == 4 && t.dim(1) >= 0 && (t.dim(3) <= 1 || t.strides()[3] == 1);
}

std::string describe(const Tensor& t) { return fmt::format("{} {}", name(t.dtype()), t.shape().text()); }

void check_operands(const Tensor& q, const Tensor& k, const Tensor& v, const FullAttentionParams& p) {
  auto refuse = [&](std::string_view wanted) {
    throw Error(Code::kInvalidArgument, fmt::format("full_attention: got q {}, k {}, v {}, wanted {}", describe(q),
                                                    describe(k), describe(v), wanted));
  };
  if (!is_heads(q) || !is_heads(k) || !is_heads(v) || k.shape() != v.shape() || q.dim(0) != k.dim(0) ||
      q.dim(2) != k.dim(2) || q.dim(3) != k.dim(3)) {
    refuse("q f32 [B, N, heads, hd], k and v f32 [B, M, heads, hd] with a contiguous last dimension");
  }
  if (k.dim(1) < 1) refuse("at least one key");
  if (p.causal && q.dim(1) != k.dim(1)) refuse("as many keys as queries, as attention is causal");
}

void count_cost(const Ctx& c, const Tensor& q, const Tensor& k, bool causal) {
  double keys = static_cast<double>(k.dim(1));
  c.count("full_attention", 4 * static_cast<double>(q.numel()) * (causal ? (keys + 1) / 2 : keys),
          static_cast<double>(2 * q.bytes() + 2 * k.bytes()));
}

}  // namespace

namespace cpu {
namespace {

// Reference: two passes over the keys a query sees, scores computed in each.
void attend_plain(const FullAttentionTask& task, float*) {
  for (int64_t i = task.first; i < task.first + task.n; ++i) {
    const float* q = task.q + i * task.q_stride;
    float* y = task.y + i * task.y_stride;
    const int64_t seen = task.causal ? i + 1 : task.keys;
    auto score = [&](int64_t t) {
      float dot = 0;
      for (int64_t d = 0; d < task.head_dim; ++d) dot += q[d] * task.scale * task.k[t * task.k_stride + d];
      return dot;
    };
    float highest = -std::numeric_limits<float>::infinity(), total = 0;
    for (int64_t t = 0; t < seen; ++t) highest = std::max(highest, score(t));
    std::fill_n(y, task.head_dim, 0.0f);
    for (int64_t t = 0; t < seen; ++t) {
      float weight = std::exp(score(t) - highest);
      total += weight;
      for (int64_t d = 0; d < task.head_dim; ++d) y[d] += weight * task.v[t * task.v_stride + d];
    }
    for (int64_t d = 0; d < task.head_dim; ++d) y[d] /= total;
  }
}

// Sums in double, so that nothing but the rounding of the result is left.
void attend_exactly(const FullAttentionTask& task, float*) {
  std::vector<double> weights(static_cast<size_t>(task.keys)), sums(static_cast<size_t>(task.head_dim));
  for (int64_t i = task.first; i < task.first + task.n; ++i) {
    const float* q = task.q + i * task.q_stride;
    const int64_t seen = task.causal ? i + 1 : task.keys;
    double highest = -std::numeric_limits<double>::infinity(), total = 0;
    for (int64_t t = 0; t < seen; ++t) {
      double dot = 0;
      for (int64_t d = 0; d < task.head_dim; ++d) dot += double{q[d]} * double{task.k[t * task.k_stride + d]};
      weights[t] = dot * double{task.scale};
      highest = std::max(highest, weights[t]);
    }
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t t = 0; t < seen; ++t) {
      const double weight = std::exp(weights[t] - highest);
      total += weight;
      for (int64_t d = 0; d < task.head_dim; ++d) sums[d] += weight * double{task.v[t * task.v_stride + d]};
    }
    for (int64_t d = 0; d < task.head_dim; ++d) task.y[i * task.y_stride + d] = static_cast<float>(sums[d] / total);
  }
}

void full_attention(const Ctx& c, const View& q, const View& k, const View& v, const View& y,
                    const FullAttentionParams& params, float* scratch) {
  const int64_t n = q.shape[1], heads = q.shape[2], dim = q.shape[3];
  const int64_t step = full_query_block(dim), blocks = (n + step - 1) / step, tasks = q.shape[0] * heads * blocks;
  const int64_t space = full_attention_floats(dim);
  auto attend = c.attention == AttentionKind::kExact ? attend_exactly : level(c.caps.isa).full_attention->attend;
  auto run = [&](int64_t task, float* at) {
    // The last queries first: with a causal mask they see most.
    int64_t block = blocks - 1 - task / (q.shape[0] * heads), entry = task % (q.shape[0] * heads);
    int64_t b = entry / heads, h = entry % heads, first = block * step;
    auto head = [&](const View& of) { return of.as<float>() + b * of.strides[0] + h * of.strides[2]; };
    attend({head(q), head(k), head(v), q.strides[1], k.strides[1], v.strides[1],
            y.as<float>() + b * n * heads * dim + h * dim, heads * dim, first, std::min(step, n - first), k.shape[1],
            dim, params.scale, params.causal},
           at);
  };
  c.parallel_tasks(tasks, [&](int64_t worker, int64_t task) { run(task, scratch + worker * space); });
}

}  // namespace

constinit const FullAttentionKernels kFullAttentionPlain{attend_plain};

int64_t full_attention_floats(int64_t head_dim) {
  int64_t dims = (head_dim + 15) / 16 * 16, queries = full_query_block(head_dim), keys = full_key_block(head_dim);
  return queries * (2 * (dims + 16) + 3) + kFullRows * (keys + 16) + 2 * keys * dims;
}

}  // namespace cpu

Tensor full_attention(Ctx& c, const Tensor& q, const Tensor& k, const Tensor& v, const FullAttentionParams& params) {
  require_cpu(c, "full_attention");
  check_operands(q, k, v, params);
  Tensor y = c.make(DType::kF32, {q.dim(0), q.dim(1), q.dim(2) * q.dim(3)});
  Tensor scratch = c.scratch(4 * cpu::full_attention_floats(q.dim(3)) * std::max(1, c.caps.threads));
  count_cost(c, q, k, params.causal);
  if (!c.is_meta() && y.numel() > 0) {
    cpu::full_attention(c, q.view(), k.view(), v.view(), y.view(), params, reinterpret_cast<float*>(scratch.raw()));
  }
  return y;
}

std::span<const AttentionName> attention_names(DeviceKind device) {
  static constexpr AttentionName kCpu[] = {
      {"auto", AttentionKind::kAuto}, {"tiled", AttentionKind::kTiled}, {"exact", AttentionKind::kExact}};
  return device == DeviceKind::kCpu ? std::span<const AttentionName>(kCpu) : std::span(kCpu).first(1);
}

Result<AttentionKind> attention_kind(DeviceKind device, std::string_view name) {
  std::string there;
  for (const AttentionName& known : attention_names(device)) {
    if (known.name == name) return known.kind;
    there += fmt::format("{}{}", there.empty() ? "" : ", ", known.name);
  }
  return unexpected(Code::kUnsupported, fmt::format("no attention '{}' on {}; wanted one of {}", name,
                                                    device == DeviceKind::kCpu ? "the CPU" : "a GPU", there));
}

}  // namespace hearth
