// Quantiles of the beta distribution, in double precision.
#pragma once

namespace hearth::diffuse {

/// The x with P(X <= x) = p for X ~ Beta(a, b); a, b > 0, p in [0, 1].
double beta_quantile(double p, double a, double b);

}  // namespace hearth::diffuse
