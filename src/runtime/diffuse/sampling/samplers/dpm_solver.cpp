// DPM-Solver (arXiv 2206.00927) in t = -log sigma: orders 1 to 3, on a fixed budget of model calls and with steps
// chosen by a PID controller.
#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

float time_of(float sigma) { return -f32::log(sigma); }
float sigma_of(float t) { return f32::exp(-t); }

/// One step's formulas; the slope at its start and at a third of it are computed once.
class SolverStep {
 public:
  SolverStep(Run& run, const Field& x, float t) : run_(run), x_(x), t_(t), eps_(eps_at(x, t)) {}

  Field denoised() const { return x_ - sigma_of(t_) * eps_; }

  Field order_1(float to) const { return x_ - sigma_of(to) * f32::expm1(to - t_) * eps_; }

  Field order_2(float to, double r_1) {
    const float h = to - t_;
    const Field& eps_1 = eps_after(h, r_1);
    return x_ - sigma_of(to) * f32::expm1(h) * eps_ -
           sigma_of(to) / static_cast<float>(2 * r_1) * f32::expm1(h) * (eps_1 - eps_);
  }

  Field order_3(float to) {
    constexpr double kR1 = 1.0 / 3, kR2 = 2.0 / 3;
    const float h = to - t_, h_2 = static_cast<float>(kR2) * h, s_2 = t_ + h_2;
    const Field& eps_1 = eps_after(h, kR1);
    Field u_2 = x_ - sigma_of(s_2) * f32::expm1(h_2) * eps_ -
                sigma_of(s_2) * static_cast<float>(kR2 / kR1) * (f32::expm1(h_2) / h_2 - 1.0f) * (eps_1 - eps_);
    Field eps_2 = eps_at(u_2, s_2);
    return x_ - sigma_of(to) * f32::expm1(h) * eps_ -
           sigma_of(to) / static_cast<float>(kR2) * (f32::expm1(h) / h - 1.0f) * (eps_2 - eps_);
  }

 private:
  Field eps_at(const Field& x, float t) { return (x - run_.denoise(x, sigma_of(t))) / sigma_of(t); }
  const Field& eps_after(float h, double r) {
    if (eps_inside_.empty()) {
      const float h_1 = static_cast<float>(r) * h, s_1 = t_ + h_1;
      Field u_1 = x_ - sigma_of(s_1) * f32::expm1(h_1) * eps_;
      eps_inside_ = eps_at(u_1, s_1);
    }
    return eps_inside_;
  }

  Run& run_;
  const Field& x_;
  float t_;
  Field eps_, eps_inside_;
};

/// Where an ancestral step to t really goes, and the noise that makes up for it.
struct NoisyTarget {
  float t, noise;
};
NoisyTarget noisy_target(float from, float to, float end, float eta) {
  if (eta == 0) return {to, 0};
  float down = ancestral_step(sigma_of(from), sigma_of(to), eta).down;
  float t = std::min(end, time_of(down));
  return {t, f32::sqrt(sigma_of(to) * sigma_of(to) - sigma_of(t) * sigma_of(t))};
}

class StepController {
 public:
  StepController(const Run& run, double h, double order)
      : h(h), b_1_((run.number("pcoeff") + run.number("icoeff") + run.number("dcoeff")) / order),
        b_2_(-(run.number("pcoeff") + 2 * run.number("dcoeff")) / order), b_3_(run.number("dcoeff") / order),
        accept_safety_(run.number("accept_safety")) {}

  double h;  // the next step

  /// Whether a step with this error stands; sets the next one.
  bool accepts(double error) {
    constexpr double kEpsilon = 1e-8;
    double inverse = 1 / (error + kEpsilon);
    if (!has_history_) inverse_1_ = inverse_2_ = inverse;
    has_history_ = true;
    double factor = std::pow(inverse, b_1_) * std::pow(inverse_1_, b_2_) * std::pow(inverse_2_, b_3_);
    factor = 1 + std::atan(factor - 1);
    bool is_accepted = factor >= accept_safety_;
    if (is_accepted) {
      inverse_2_ = inverse_1_;
      inverse_1_ = inverse;
    }
    h *= factor;
    return is_accepted;
  }

 private:
  double b_1_, b_2_, b_3_, accept_safety_;
  double inverse_1_ = 0, inverse_2_ = 0;
  bool has_history_ = false;
};

/// How far two solutions are apart, in units of the tolerance.
float relative_error(const Field& low, const Field& high, const Field& before, float atol, float rtol) {
  double sum = 0;
  for (int64_t i = 0; i < low.size(); ++i) {
    float delta = std::max(atol, rtol * std::max(std::fabs(low[i]), std::fabs(before[i])));
    double part = (low[i] - high[i]) / delta;
    sum += part * part;
  }
  return static_cast<float>(std::sqrt(sum)) / static_cast<float>(std::sqrt(static_cast<double>(low.size())));
}

/// The levels' ends as times; a last level of 0 gives way to the one before.
struct TimeRange {
  float start, end;
};
TimeRange time_range(const Run& run) {
  float last = run.sigmas.back() == 0 ? run.sigma(run.steps() - 1) : run.sigmas.back();
  if (!(last > 0) || !(run.sigma(0) > 0))
    throw Error(Code::kInvalidArgument, "dpm_fast and dpm_adaptive need noise levels above 0 at both ends, got " +
                                            std::to_string(run.sigma(0)) + " and " + std::to_string(last));
  return {time_of(run.sigma(0)), time_of(last)};
}

}  // namespace

Field dpm_fast(Run& run, Field x) {
  const TimeRange range = time_range(run);
  const int64_t calls = run.steps(), pieces = calls / 3 + 1;
  for (int64_t i = 0, left = calls; i < pieces && left > 0; ++i) {
    int64_t order = std::min<int64_t>(left, 3);
    if (calls % 3 == 0 && i >= pieces - 2) order = pieces - i;  // the last three calls are split 2 and 1
    float t = f32::linspace(range.start, range.end, pieces + 1, i);
    float next = f32::linspace(range.start, range.end, pieces + 1, i + 1);
    SolverStep step(run, x, t);
    Field denoised = step.denoised();
    run.tell(i, x, denoised);
    Field moved = order == 1 ? step.order_1(next) : order == 2 ? step.order_2(next, 0.5) : step.order_3(next);
    x = std::move(moved);
    left -= order;
  }
  return x;
}

Field dpm_adaptive(Run& run, Field x) {
  const TimeRange range = time_range(run);
  const int64_t order = run.whole("order");
  const float eta = run.f("eta"), s_noise = run.f("s_noise"), atol = run.f("atol"), rtol = run.f("rtol");
  const bool is_forward = range.end > range.start;
  if (!is_forward && eta != 0) throw Error(Code::kInvalidArgument, "dpm_adaptive upwards in noise needs an eta of 0");
  double h = std::fabs(run.number("h_init")) * (is_forward ? 1 : -1);
  StepController controller(run, h, eta != 0 ? 1.5 : static_cast<double>(order));
  Field x_before = x;
  float s = range.start;
  for (int64_t i = 0; is_forward ? s < range.end - 1e-5f : s > range.end + 1e-5f; ++i) {
    float t = s + static_cast<float>(controller.h);
    t = is_forward ? std::min(range.end, t) : std::max(range.end, t);
    NoisyTarget target = noisy_target(s, t, range.end, eta);
    SolverStep step(run, x, s);
    Field denoised = step.denoised();
    Field low = order == 2 ? step.order_1(target.t) : step.order_2(target.t, 1.0 / 3);
    Field high = order == 2 ? step.order_2(target.t, 0.5) : step.order_3(target.t);
    if (controller.accepts(relative_error(low, high, x_before, atol, rtol))) {
      x_before = std::move(low);
      x = std::move(high);
      if (eta != 0) x = x + target.noise * s_noise * run.noise();
      s = t;
    }
    run.tell(i, x, denoised);
  }
  return x;
}

}  // namespace hearth::diffuse
