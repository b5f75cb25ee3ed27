// Brownian motion fixed by a seed, whatever order it is asked in: the halving tree of torchsde's BrownianTree. An
// increment over [a, b] is the sum over the tree's intervals that make it up; each interval's value follows from its
// parent's and from normals seeded by its place. Nothing is kept but the root: an increment costs some fifty draws of
// all elements, milliseconds for a large latent.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "ops/random/noise.h"

namespace hearth {

class BrownianTree {
 public:
  /// Motion on [start, end] of `elements` values.
  BrownianTree(double start, double end, int64_t elements, uint64_t seed, const NoiseMachine& machine = {});

  /// The increment from a to b (a <= b); both are clipped to the tree and rounded to its tolerance of 1e-6.
  std::vector<float> increment(double a, double b) const;

 private:
  struct Node {  // an interval, `key` its place among those of its depth
    double start, end;
    uint64_t key;
    int depth;
  };
  using Values = std::vector<float>;
  void add(const Node& node, const Values& value, double a, double b, Values& sum) const;
  Values child_value(const Node& parent, const Values& value, double midway, bool is_left) const;
  void normals(uint64_t seed, std::span<float> out) const;

  Node root_;
  uint64_t seed_;
  NoiseMachine machine_;
  Values root_value_;
};

/// Noise between two noise levels as increments of one Brownian motion, scaled to unit variance.
class BrownianNoise {
 public:
  BrownianNoise(float sigma_min, float sigma_max, int64_t elements, uint64_t seed, const NoiseMachine& machine = {});
  void between(float sigma, float sigma_next, std::span<float> out) const;

 private:
  BrownianTree tree_;
};

}  // namespace hearth
