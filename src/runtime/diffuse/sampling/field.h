// Field: the values of a latent (or of noise, a guess, a mask of a latent's size) in host memory, f32, with arithmetic
// that rounds after every operation, as eager tensor arithmetic does. Expressions are evaluated element by element when
// they meet a Field, so a formula costs no temporaries; never keep one in `auto`: it refers to its operands.
#pragma once
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace hearth::diffuse {

/// NCHW.
struct LatentShape {
  int64_t batch = 1, channels = 4, height = 0, width = 0;
  int64_t plane() const { return height * width; }
  int64_t numel() const { return batch * channels * height * width; }
  friend bool operator==(const LatentShape&, const LatentShape&) = default;
};

struct FieldExpression {};  // marks what may stand in a formula
template <class T>
concept FieldTerm = std::is_base_of_v<FieldExpression, T>;

class Field : public FieldExpression {
 public:
  Field() = default;
  explicit Field(int64_t n, float value = 0) : values_(static_cast<size_t>(n), value) {}
  explicit Field(std::span<const float> values) : values_(values.begin(), values.end()) {}
  explicit Field(std::vector<float> values) : values_(std::move(values)) {}
  template <FieldTerm E>
    requires(!std::is_same_v<E, Field>)
  Field(const E& e) {
    assign(e);
  }  // NOLINT: implicit on purpose
  template <FieldTerm E>
    requires(!std::is_same_v<E, Field>)
  Field& operator=(const E& e) {
    assign(e);
    return *this;
  }

  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  bool empty() const { return values_.empty(); }
  float operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }
  float& operator[](int64_t i) { return values_[static_cast<size_t>(i)]; }
  const float* data() const { return values_.data(); }
  float* data() { return values_.data(); }
  std::span<float> span() { return values_; }
  std::span<const float> span() const { return values_; }

 private:
  template <class E>
  void assign(const E& e) {  // element i of a formula reads element i only: its operands may include this field
    if (size() != e.size()) values_.resize(static_cast<size_t>(e.size()));
    float* out = values_.data();
    const int64_t n = size();
    for (int64_t i = 0; i < n; ++i) out[i] = e[i];
  }
  std::vector<float> values_;
};

namespace field {

/// Fields are held by reference, inner expressions by value.
template <class T>
using Held = std::conditional_t<std::is_same_v<T, Field>, const Field&, const T>;

template <class A, class B, class Op>
struct Binary : FieldExpression {
  Held<A> a;
  Held<B> b;
  Binary(const A& left, const B& right) : a(left), b(right) {}
  int64_t size() const { return a.size(); }
  float operator[](int64_t i) const { return Op::of(a[i], b[i]); }
};

template <class A, class Op>
struct WithScalar : FieldExpression {
  Held<A> a;
  float s;
  WithScalar(const A& left, float scalar) : a(left), s(scalar) {}
  int64_t size() const { return a.size(); }
  float operator[](int64_t i) const { return Op::of(a[i], s); }
};

struct Add {
  static float of(float a, float b) { return a + b; }
};
struct Sub {
  static float of(float a, float b) { return a - b; }
};
struct Mul {
  static float of(float a, float b) { return a * b; }
};
struct Div {
  static float of(float a, float b) { return a / b; }
};

}  // namespace field

template <FieldTerm A, FieldTerm B>
field::Binary<A, B, field::Add> operator+(const A& a, const B& b) {
  return {a, b};
}
template <FieldTerm A, FieldTerm B>
field::Binary<A, B, field::Sub> operator-(const A& a, const B& b) {
  return {a, b};
}
template <FieldTerm A, FieldTerm B>
field::Binary<A, B, field::Mul> operator*(const A& a, const B& b) {
  return {a, b};
}
template <FieldTerm A, FieldTerm B>
field::Binary<A, B, field::Div> operator/(const A& a, const B& b) {
  return {a, b};
}
template <FieldTerm A>
field::WithScalar<A, field::Mul> operator*(const A& a, float s) {
  return {a, s};
}
template <FieldTerm A>
field::WithScalar<A, field::Mul> operator*(float s, const A& a) {
  return {a, s};
}
template <FieldTerm A>
field::WithScalar<A, field::Div> operator/(const A& a, float s) {
  return {a, s};
}

}  // namespace hearth::diffuse
