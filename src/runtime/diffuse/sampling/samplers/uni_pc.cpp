// UniPC, a predictor-corrector of order up to 3 (arXiv 2302.04867) on the VP form of the latent, with B(h) = h (bh1) or
// e^h - 1 (bh2).
#include <algorithm>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

/// The variance preserving process at a level.
struct VpLevel {
  float sigma, log_alpha, alpha, deviation, lambda;
  explicit VpLevel(float sigma)
      : sigma(sigma), log_alpha(0.5f * f32::log(1.0f / (sigma * sigma + 1.0f))), alpha(f32::exp(log_alpha)) {
    float variance = 1.0f - f32::exp(2.0f * log_alpha);
    deviation = f32::sqrt(variance);
    lambda = log_alpha - 0.5f * f32::log(variance);
  }
};

struct Past {
  VpLevel level;
  Field guess;
};

Field guess_at(Run& run, const Field& x, const VpLevel& level) {
  Field wide = x * f32::sqrt(level.sigma * level.sigma + 1.0f);
  Field eps = (wide - run.denoise(wide, level.sigma)) / level.sigma;
  return (x - level.deviation * eps) / level.alpha;
}

/// One step's weights: those of the differences to past guesses and, last, of that to the new one.
struct Weights {
  float h_phi_1, b_h;
  std::vector<float> predictor, corrector;
};

Weights weights(const std::vector<float>& r, float h, bool is_bh2) {
  const size_t order = r.size();
  const float hh = -h;
  Weights w{f32::expm1(hh), is_bh2 ? f32::expm1(hh) : hh, {}, {}};
  std::vector<float> rows, b;
  float h_phi_k = w.h_phi_1 / hh - 1.0f;
  double factorial = 1;
  for (size_t k = 1; k <= order; ++k) {
    for (float part : r) rows.push_back(f32::pow(part, static_cast<double>(k - 1)));
    b.push_back(h_phi_k * static_cast<float>(factorial) / w.b_h);
    factorial *= static_cast<double>(k + 1);
    h_phi_k = h_phi_k / hh - static_cast<float>(1 / factorial);
  }
  if (order == 2) {
    w.predictor = {0.5f};
  } else if (order > 2) {
    std::vector<float> inner;
    for (size_t row = 0; row + 1 < order; ++row)
      inner.insert(inner.end(), rows.begin() + static_cast<int64_t>(row * order),
                   rows.begin() + static_cast<int64_t>(row * order + order - 1));
    w.predictor = solve(std::move(inner), {b.begin(), b.end() - 1});
  }
  w.corrector = order == 1 ? std::vector<float>{0.5f} : solve(rows, b);
  return w;
}

/// x at the next level; with `corrected`, the guess there is made and used, and given back in it.
Field step_to(Run& run, const Field& x, const std::vector<Past>& past, const VpLevel& next, int64_t order, bool is_bh2,
              Field* corrected) {
  const Past& last = past.back();
  const float h = next.lambda - last.level.lambda;
  std::vector<float> r;
  std::vector<Field> differences;
  for (int64_t k = 1; k < order; ++k) {
    const Past& earlier = past[past.size() - 1 - static_cast<size_t>(k)];
    r.push_back((earlier.level.lambda - last.level.lambda) / h);
    differences.push_back((earlier.guess - last.guess) / r.back());
  }
  r.push_back(1);
  const Weights w = weights(r, h, is_bh2);
  const float scale = next.alpha * w.b_h;
  const Field base = next.deviation / last.level.deviation * x - next.alpha * w.h_phi_1 * last.guess;
  Field moved = base;
  if (!differences.empty()) moved = base - scale * weighted_sum(differences, w.predictor);
  if (!corrected) return moved;

  *corrected = guess_at(run, moved, next);
  Field change = w.corrector.back() * (*corrected - last.guess);
  if (!differences.empty())
    change = weighted_sum(differences, std::span(w.corrector).first(differences.size())) + change;
  return base - scale * change;
}

Field uni_pc(Run& run, Field x, bool is_bh2) {
  constexpr float kNearlyZero = 0.001f;  // where a last level of 0 stands
  std::vector<float> levels = run.sigmas;
  if (levels.back() == 0) levels.back() = kNearlyZero;
  const int64_t steps = run.steps(), max_order = std::min<int64_t>(3, steps - 1);
  const auto level = [&](int64_t i) { return VpLevel(levels[static_cast<size_t>(i)]); };

  x = x / f32::sqrt(1.0f + levels[0] * levels[0]);
  std::vector<Past> past;
  for (int64_t i = 0; i < steps; ++i) {
    if (i == 0) {
      Field guess = guess_at(run, x, level(0));
      past.push_back({level(0), std::move(guess)});
    } else {
      const int64_t last = i == steps - 1 ? steps : i;  // the last turn also takes the step to the end
      for (int64_t to = i; to <= last; ++to) {
        const int64_t order = i < max_order ? i : std::min(max_order, steps + 1 - to);
        Field guess;
        x = step_to(run, x, past, level(to), order, is_bh2, to < steps ? &guess : nullptr);
        if (to == steps) break;
        past.push_back({level(to), std::move(guess)});
        if (static_cast<int64_t>(past.size()) > max_order) past.erase(past.begin());
      }
    }
    run.tell(i, x, past.back().guess);
  }
  return x / VpLevel(levels.back()).alpha;
}

}  // namespace

Field uni_pc(Run& run, Field x) { return uni_pc(run, std::move(x), false); }
Field uni_pc_bh2(Run& run, Field x) { return uni_pc(run, std::move(x), true); }

}  // namespace hearth::diffuse
