// Adams-Bashforth methods on the slope: LMS with coefficients integrated for the levels at hand, iPNDM with those of
// even steps, iPNDM-v with those of uneven ones (arXiv 2204.13902, 2409.03755).
#include <algorithm>
#include <deque>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

constexpr size_t kPastSlopes = 3;

void remember(std::deque<Field>& past, Field d) {  // newest first
  past.push_front(std::move(d));
  if (past.size() > kPastSlopes) past.pop_back();
}

/// The slope iPNDM-v steps along: weights of the present and past slopes for the last four step lengths.
Field uneven_slope(const Run& run, int64_t i, const Field& d, const std::deque<Field>& past) {
  const float h = run.sigma(i + 1) - run.sigma(i), h_1 = run.sigma(i) - run.sigma(i - 1), q = h / h_1;
  const float first = (2.0f + q) / 2.0f, second = -q / 2.0f;
  if (past.size() == 1) return first * d + second * past[0];
  const float h_2 = run.sigma(i - 1) - run.sigma(i - 2), q_1 = h_1 / h_2;
  const float third = 1.0f - h / (3.0f * (h + h_1));
  const float u = (1.0f - h / (3.0f * (h + h_1)) * (h * (h + h_1)) / (h_1 * (h_1 + h_2))) / 2.0f;
  if (past.size() == 2) return (first + u) * d + (second - (1.0f + q_1) * u) * past[0] + u * h_1 / h_2 * past[1];
  const float h_3 = run.sigma(i - 2) - run.sigma(i - 3);
  const float v = (third / 2.0f + (1.0f - h / (2.0f * (h + h_1))) * h / (6.0f * (h + h_1 + h_2))) *
                  (h * (h + h_1) * (h + h_1 + h_2)) / (h_1 * (h_1 + h_2) * (h_1 + h_2 + h_3));
  const float w = h_1 * (h_1 + h_2) / (h_2 * (h_2 + h_3));
  return (first + u + v) * d + (second - (1.0f + q_1) * u - (1.0f + q_1 + w) * v) * past[0] +
         (u * h_1 / h_2 + (q_1 + w * (1.0f + h_2 / h_3)) * v) * past[1] + -v * w * h_1 / h_2 * past[2];
}

Field even_slope(const Field& d, const std::deque<Field>& past, float dt) {
  switch (past.size()) {
    case 1: return dt * (3.0f * d - past[0]) / 2.0f;
    case 2: return dt * (23.0f * d - 16.0f * past[0] + 5.0f * past[1]) / 12.0f;
    default: return dt * (55.0f * d - 59.0f * past[0] + 37.0f * past[1] - 9.0f * past[2]) / 24.0f;
  }
}

template <bool is_uneven>
Field ipndm_of(Run& run, Field x) {
  std::deque<Field> past;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    Field d = (x - denoised) / from;
    if (to == 0)
      x = denoised;
    else if (past.empty())
      x = x + (to - from) * d;
    else if (is_uneven)
      x = x + (to - from) * uneven_slope(run, i, d, past);
    else
      x = x + even_slope(d, past, to - from);
    remember(past, std::move(d));
  }
  return x;
}

}  // namespace

Field lms(Run& run, Field x) {
  const int64_t order = run.whole("order");
  std::deque<Field> slopes;  // newest first
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    slopes.push_front((x - denoised) / run.sigma(i));
    if (static_cast<int64_t>(slopes.size()) > order) slopes.pop_back();
    run.tell(i, x, denoised);
    if (run.sigma(i + 1) == 0) {
      x = denoised;
      continue;
    }
    const int64_t used = std::min(i + 1, order);
    Field sum(x.size());
    for (int64_t j = 0; j < used; ++j)
      sum = sum + static_cast<float>(adams_coefficient(run.sigmas, used, i, j)) * slopes[static_cast<size_t>(j)];
    x = x + sum;
  }
  return x;
}

Field ipndm(Run& run, Field x) { return ipndm_of<false>(run, std::move(x)); }
Field ipndm_v(Run& run, Field x) { return ipndm_of<true>(run, std::move(x)); }

}  // namespace hearth::diffuse
