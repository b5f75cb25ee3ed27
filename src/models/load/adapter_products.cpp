#include "models/load/adapter_products.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "models/load/tensor_source.h"

namespace hearth {
namespace {

using enum AdapterPart;

constexpr int64_t kColumns = 32;  // of a product computed at a time: a constant, so that compilers use vectors

int64_t inner(const TensorInfo& t) { return t.shape.empty() || t.shape[0] == 0 ? 0 : t.elements() / t.shape[0]; }
int64_t outer(const TensorInfo& t) { return t.shape.empty() ? 0 : t.shape[0]; }

struct Sizes {
  int64_t rows = 0, columns = 0;  // of the weight as a matrix
};

Sizes sizes_of(const std::vector<int64_t>& shape) {
  Sizes sizes{shape[0], 1};
  for (size_t i = 1; i < shape.size(); ++i) sizes.columns *= shape[i];
  return sizes;
}

// up [n, rank] x down [rank, columns].
std::vector<float> product(std::span<const float> up, std::span<const float> down, int64_t n, int64_t rank) {
  const int64_t columns = std::ssize(down) / rank;
  std::vector<float> out(static_cast<size_t>(n * columns)), tile(static_cast<size_t>(rank * kColumns));
  for (int64_t begin = 0; begin < columns; begin += kColumns) {
    const int64_t wide = std::min(kColumns, columns - begin);
    for (int64_t k = 0; k < rank; ++k) std::copy_n(&down[k * columns + begin], wide, &tile[k * kColumns]);
    for (int64_t row = 0; row < n; ++row) {
      std::array<float, kColumns> sum{};
      for (int64_t k = 0; k < rank; ++k) {
        const float factor = up[row * rank + k];
        const float* of = &tile[k * kColumns];
        for (int64_t i = 0; i < kColumns; ++i) sum[i] += factor * of[i];
      }
      std::copy_n(sum.begin(), wide, &out[row * columns + begin]);
    }
  }
  return out;
}

// A 1x1 convolution [n, inputs] and the kernel [m, n, taps] behind it as one: [m, inputs * taps].
std::vector<float> behind_one(std::span<const float> kernel, std::span<const float> one, int64_t m, int64_t n) {
  const int64_t inputs = std::ssize(one) / n, taps = std::ssize(kernel) / (m * n);
  std::vector<float> out(static_cast<size_t>(m * inputs * taps));
  for (int64_t a = 0; a < m; ++a) {
    for (int64_t b = 0; b < n; ++b) {
      for (int64_t i = 0; i < inputs; ++i) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          out[(a * inputs + i) * taps + tap] += one[b * inputs + i] * kernel[(a * n + b) * taps + tap];
        }
      }
    }
  }
  return out;
}

std::vector<float> columns_as_rows(std::span<const float> matrix, int64_t rows, int64_t first, int64_t n) {
  const int64_t columns = std::ssize(matrix) / rows;
  std::vector<float> out(static_cast<size_t>(n * rows));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t r = 0; r < rows; ++r) out[i * rows + r] = matrix[r * columns + first + i];
  }
  return out;
}

double over_rank(const AdapterFile& from, const TensorInfo* alpha, int64_t rank) {
  return alpha ? from.read(*alpha).at(0) / static_cast<double>(rank) : 1;
}

// A matrix of low rank: a [rows, rank] x b [rank, columns], or with a core t [i, j, taps] between a [i, rows] and
// b [j, inputs].
struct LowRank {
  const TensorInfo *a = nullptr, *b = nullptr, *t = nullptr;

  explicit operator bool() const { return a && b; }
  int64_t rank() const { return outer(*b); }
  Sizes sizes() const {
    if (!t) return {outer(*a), inner(*b)};
    return {inner(*a), inner(*b) * (t->elements() / std::max<int64_t>(1, outer(*t) * outer(*b)))};
  }
  bool is_sound() const {
    if (rank() <= 0 || outer(*a) <= 0) return false;
    if (!t) return inner(*a) == rank();
    return t->shape.size() >= 2 && t->shape[0] == outer(*a) && t->shape[1] == rank();
  }
  std::vector<float> rows(const AdapterFile& from, int64_t first, int64_t n) const {
    if (!t) return product(from.read(*a, first, n), from.read(*b), n, rank());
    const std::vector<float> core = behind_one(from.read(*t), from.read(*b), outer(*t), rank());
    return product(columns_as_rows(from.read(*a), outer(*a), first, n), core, n, outer(*t));
  }
  std::string text() const {
    return fmt::format("{} and {}{}", describe(a->shape), describe(b->shape), t ? " around " + describe(t->shape) : "");
  }
};

class LoraProduct final : public AdapterProduct {
 public:
  LoraProduct(std::shared_ptr<const AdapterFile> from, const AdapterModule& m)
      : from_(std::move(from)), up_(*m[kUp]), down_(*m[kDown]), mid_(m[kMid]),
        factor_(over_rank(*from_, m[kAlpha], outer(down_))) {}

  static std::string misfit(const AdapterModule& m, const std::vector<int64_t>& shape) {
    if (!m[kUp] || !m[kDown]) {
      return fmt::format("got only {}, wanted a pair of up and down", (m[kUp] ? m[kUp] : m[kDown])->name);
    }
    const int64_t rank = outer(*m[kDown]);
    const Sizes wanted = sizes_of(shape);
    int64_t columns = inner(*m[kDown]);
    bool fits = rank > 0 && outer(*m[kUp]) == wanted.rows && inner(*m[kUp]) == rank;
    if (const TensorInfo* mid = m[kMid]) {  // [rank, rank, kh, kw] between 1x1 convolutions
      fits = fits && mid->shape.size() == 4 && mid->shape[0] == rank && mid->shape[1] == rank;
      if (fits) columns *= mid->shape[2] * mid->shape[3];
    }
    if (fits && columns == wanted.columns) return "";
    return fmt::format("got up {} and down {}{}, wanted a product of {}", describe(m[kUp]->shape),
                       describe(m[kDown]->shape), m[kMid] ? " and mid " + describe(m[kMid]->shape) : "",
                       describe(shape));
  }

  double factor() const override { return factor_; }
  std::vector<float> rows(int64_t first, int64_t n, std::span<const float>) const override {
    const int64_t rank = outer(down_);
    std::vector<float> down = from_->read(down_);
    if (mid_) down = behind_one(from_->read(*mid_), down, rank, rank);
    return product(from_->read(up_, first, n), down, n, rank);
  }

 private:
  std::shared_ptr<const AdapterFile> from_;
  const TensorInfo &up_, &down_;
  const TensorInfo* mid_;
  const double factor_;
};

// Two matrices of low rank, multiplied element by element.
class LohaProduct final : public AdapterProduct {
 public:
  LohaProduct(std::shared_ptr<const AdapterFile> from, const AdapterModule& m)
      : from_(std::move(from)), one_(one_of(m)), two_(two_of(m)),
        factor_(over_rank(*from_, m[kAlpha], one_.rank())) {}

  static std::string misfit(const AdapterModule& m, const std::vector<int64_t>& shape) {
    const LowRank one = one_of(m), two = two_of(m);
    if (!one || !two || !one.t != !two.t) return "got only some of hada_w1_a, hada_w1_b, hada_w2_a and hada_w2_b";
    const Sizes wanted = sizes_of(shape);
    for (const LowRank& of : {one, two}) {
      if (of.is_sound() && of.sizes().rows == wanted.rows && of.sizes().columns == wanted.columns) continue;
      return fmt::format("got hada {}, wanted a product of {}", of.text(), describe(shape));
    }
    return "";
  }

  double factor() const override { return factor_; }
  std::vector<float> rows(int64_t first, int64_t n, std::span<const float>) const override {
    std::vector<float> out = one_.rows(*from_, first, n);
    const std::vector<float> by = two_.rows(*from_, first, n);
    for (size_t i = 0; i < out.size(); ++i) out[i] *= by[i];
    return out;
  }

 private:
  static LowRank one_of(const AdapterModule& m) { return {m[kHadaW1A], m[kHadaW1B], m[kHadaT1]}; }
  static LowRank two_of(const AdapterModule& m) { return {m[kHadaW2A], m[kHadaW2B], m[kHadaT2]}; }
  std::shared_ptr<const AdapterFile> from_;
  const LowRank one_, two_;
  const double factor_;
};

// The Kronecker product of two matrices, each whole or of low rank.
class LokrProduct final : public AdapterProduct {
 public:
  LokrProduct(std::shared_ptr<const AdapterFile> from, const AdapterModule& m)
      : from_(std::move(from)), one_(one_of(m)), two_(two_of(m)) {
    if (const LowRank& ranked = two_.low ? two_.low : one_.low) factor_ = over_rank(*from_, m[kAlpha], ranked.rank());
  }

  static std::string misfit(const AdapterModule& m, const std::vector<int64_t>& shape) {
    const Factor one = one_of(m), two = two_of(m);
    if (!one || !two) return "got only some of lokr_w1 and lokr_w2, or of their _a and _b";
    const Sizes wanted = sizes_of(shape), a = one.sizes(), b = two.sizes();
    if (one.is_sound() && two.is_sound() && a.rows * b.rows == wanted.rows && a.columns * b.columns == wanted.columns) {
      return "";
    }
    return fmt::format("got lokr of {}x{} and {}x{}, wanted a product of {}", a.rows, a.columns, b.rows, b.columns,
                       describe(shape));
  }

  double factor() const override { return factor_; }
  std::vector<float> rows(int64_t first, int64_t n, std::span<const float>) const override {
    const std::vector<float> one = one_.values(*from_), two = two_.values(*from_);
    const Sizes a = one_.sizes(), b = two_.sizes();
    std::vector<float> out(static_cast<size_t>(n * a.columns * b.columns));
    float* to = out.data();
    for (int64_t row = first; row < first + n; ++row) {
      const float *of_one = &one[row / b.rows * a.columns], *of_two = &two[row % b.rows * b.columns];
      for (int64_t i = 0; i < a.columns; ++i) {
        for (int64_t j = 0; j < b.columns; ++j) *to++ = of_one[i] * of_two[j];
      }
    }
    return out;
  }

 private:
  struct Factor {
    const TensorInfo* whole = nullptr;
    LowRank low;

    explicit operator bool() const { return whole || low; }
    Sizes sizes() const { return whole ? Sizes{outer(*whole), inner(*whole)} : low.sizes(); }
    bool is_sound() const { return whole ? whole->elements() > 0 : low.is_sound(); }
    std::vector<float> values(const AdapterFile& from) const {
      return whole ? from.read(*whole) : low.rows(from, 0, low.sizes().rows);
    }
  };
  static Factor of(const TensorInfo* whole, const LowRank& low) {
    return whole ? Factor{whole, {}} : Factor{nullptr, low};
  }
  static Factor one_of(const AdapterModule& m) { return of(m[kLokrW1], {m[kLokrW1A], m[kLokrW1B], nullptr}); }
  static Factor two_of(const AdapterModule& m) { return of(m[kLokrW2], {m[kLokrW2A], m[kLokrW2B], m[kLokrT2]}); }
  std::shared_ptr<const AdapterFile> from_;
  const Factor one_, two_;
  double factor_ = 1;
};

// Rotations of blocks of outputs: of neighbours (OFT), or of one butterfly after the other (BOFT). A rotation is the
// Cayley transform of what is antisymmetric in a block; alpha bounds how far all of them turn together.
class RotationProduct final : public AdapterProduct {
 public:
  RotationProduct(std::shared_ptr<const AdapterFile> from, const AdapterModule& m, double strength)
      : from_(std::move(from)), blocks_(*m[kOftBlocks]), rescale_(m[kRescale]),
        limit_(m[kAlpha] ? from_->read(*m[kAlpha]).at(0) : 0), strength_(static_cast<float>(strength)) {}

  static std::string misfit(const AdapterModule& m, const std::vector<int64_t>& shape) {
    const std::vector<int64_t>& blocks = m[kOftBlocks]->shape;
    const size_t rank = blocks.size();
    const bool is_known = (rank == 3 || rank == 4) && blocks[rank - 1] == blocks[rank - 2] && blocks[rank - 1] > 0;
    bool fits = is_known && blocks[rank - 3] * blocks[rank - 1] == shape[0];
    if (fits && rank == 4) {  // the last butterfly spans 2^m half blocks
      fits = blocks[3] % 2 == 0 && blocks[0] > 0 && blocks[0] < 32 && shape[0] % (blocks[3] << (blocks[0] - 1)) == 0;
    }
    if (fits && m[kRescale]) fits = rank == 3 || m[kRescale]->elements() == shape[0];
    return fits ? "" : fmt::format("got oft_blocks {}, wanted blocks of the {} rows of {}", describe(blocks), shape[0],
                                   describe(shape));
  }

  bool needs_all_rows() const override { return true; }
  double factor() const override { return 1; }
  double decomposed_factor() const override { return limit_; }
  std::vector<float> rows(int64_t, int64_t n, std::span<const float> weight) const override {
    const std::vector<float> turns = rotations();
    return blocks_.shape.size() == 3 ? turned(turns, n, weight) : through_butterflies(turns, n, weight);
  }

 private:
  int64_t side() const { return blocks_.shape.back(); }

  // (I + Q)(I - Q)^-1 of every block, one after the other.
  std::vector<float> rotations() const {
    const int64_t b = side(), size = b * b;
    std::vector<float> q = from_->read(blocks_);
    double square = 0;
    for (int64_t at = 0; at < std::ssize(q); at += size) {
      for (int64_t i = 0; i < b; ++i) {
        for (int64_t j = 0; j <= i; ++j) {
          const float turn = q[at + i * b + j] - q[at + j * b + i];
          q[at + i * b + j] = turn;
          q[at + j * b + i] = -turn;
          square += 2.0 * double{turn} * double{turn};
        }
      }
    }
    const double length = std::sqrt(square) + 1e-8;
    const double shrink = limit_ > 0 && length > limit_ ? limit_ / length : 1;
    std::vector<double> left(static_cast<size_t>(size)), right(left.size());
    for (int64_t at = 0; at < std::ssize(q); at += size) {
      for (int64_t i = 0; i < size; ++i) {
        const double one = i / b == i % b ? 1 : 0, turn = double{q[at + i]} * shrink;
        left[i] = one + turn;
        right[i] = one - turn;
      }
      divide(left, right, b);
      std::copy(left.begin(), left.end(), q.begin() + at);
    }
    return q;
  }

  // left becomes left x right^-1. I - Q of an antisymmetric Q always has an inverse.
  static void divide(std::vector<double>& left, std::vector<double> right, int64_t b) {
    for (int64_t k = 0; k < b; ++k) {  // columns of right become those of I, the same is done to left
      int64_t best = k;
      for (int64_t j = k + 1; j < b; ++j) {
        if (std::abs(right[k * b + j]) > std::abs(right[k * b + best])) best = j;
      }
      for (int64_t i = 0; i < b && best != k; ++i) {
        std::swap(left[i * b + k], left[i * b + best]);
        std::swap(right[i * b + k], right[i * b + best]);
      }
      const double pivot = 1 / right[k * b + k];
      for (int64_t i = 0; i < b; ++i) left[i * b + k] *= pivot, right[i * b + k] *= pivot;
      for (int64_t j = 0; j < b; ++j) {
        const double by = right[k * b + j];
        if (j == k || by == 0) continue;
        for (int64_t i = 0; i < b; ++i) {
          left[i * b + j] -= by * left[i * b + k];
          right[i * b + j] -= by * right[i * b + k];
        }
      }
    }
  }

  // strength (R^T - I) W, block by block.
  std::vector<float> turned(const std::vector<float>& turns, int64_t n, std::span<const float> weight) const {
    const int64_t b = side(), columns = std::ssize(weight) / n;
    std::vector<float> out(weight.size());
    for (int64_t row = 0; row < n; ++row) {
      const int64_t block = row / b, m = row % b;
      for (int64_t k = 0; k < b; ++k) {
        const float one = k == m ? strength_ : 0;
        const float by = turns[(block * b + k) * b + m] * strength_ - one;
        const float* of = &weight[(block * b + k) * columns];
        for (int64_t i = 0; i < columns; ++i) out[row * columns + i] += by * of[i];
      }
    }
    return out;
  }

  std::vector<float> through_butterflies(const std::vector<float>& turns, int64_t n,
                                         std::span<const float> weight) const {
    const int64_t b = side(), columns = std::ssize(weight) / n, levels = blocks_.shape[0], blocks = n / b;
    std::vector<float> now(weight.begin(), weight.end()), next(now.size());
    for (int64_t level = 0; level < levels; ++level) {
      const int64_t apart = (int64_t{1} << level) * (b / 2);
      // Place p of the shuffled rows holds row a * 2 apart + g * apart + k, where p = a * 2 apart + k * 2 + g.
      auto row_at = [&](int64_t p) {
        const int64_t in = p % (2 * apart);
        return p - in + in % 2 * apart + in / 2;
      };
      std::fill(next.begin(), next.end(), 0.0f);
      for (int64_t p = 0; p < n; ++p) {
        float* to = &next[row_at(p) * columns];
        const float* turn = &turns[((level * blocks + p / b) * b + p % b) * b];
        for (int64_t j = 0; j < b; ++j) {
          const float one = j == p % b ? 1 - strength_ : 0;
          const float by = strength_ == 1 ? turn[j] : turn[j] * strength_ + one;
          const float* of = &now[row_at(p - p % b + j) * columns];
          for (int64_t i = 0; i < columns; ++i) to[i] += by * of[i];
        }
      }
      std::swap(now, next);
    }
    if (rescale_) {
      const std::vector<float> scale = from_->read(*rescale_);
      for (int64_t i = 0; i < std::ssize(now); ++i) now[i] *= scale[i / columns];
    }
    for (size_t i = 0; i < now.size(); ++i) now[i] -= weight[i];
    return now;
  }

  std::shared_ptr<const AdapterFile> from_;
  const TensorInfo& blocks_;
  const TensorInfo* rescale_;
  const double limit_;
  const float strength_;
};

}  // namespace

std::unique_ptr<AdapterProduct> adapter_product(const std::shared_ptr<const AdapterFile>& from,
                                                const AdapterModule& m, const std::vector<int64_t>& shape,
                                                double strength, std::string& misfit) {
  const bool is_rotation = m[kOftBlocks], is_lokr = m[kLokrW1] || m[kLokrW2] || m[kLokrW1A] || m[kLokrW2A],
             is_loha = m[kHadaW1A], is_lora = m[kUp] || m[kDown];
  if (!is_rotation && !is_lokr && !is_loha && !is_lora) return nullptr;
  if (shape.size() < 2) {
    misfit = fmt::format("got a product, wanted a difference of {}", describe(shape));
    return nullptr;
  }
  if (is_rotation) {
    misfit = RotationProduct::misfit(m, shape);
    if (misfit.empty()) return std::make_unique<RotationProduct>(from, m, strength);
    return nullptr;
  }
  if (is_lokr) {
    misfit = LokrProduct::misfit(m, shape);
    if (misfit.empty()) return std::make_unique<LokrProduct>(from, m);
    return nullptr;
  }
  if (is_loha) {
    misfit = LohaProduct::misfit(m, shape);
    if (misfit.empty()) return std::make_unique<LohaProduct>(from, m);
    return nullptr;
  }
  misfit = LoraProduct::misfit(m, shape);
  if (misfit.empty()) return std::make_unique<LoraProduct>(from, m);
  return nullptr;
}

}  // namespace hearth
