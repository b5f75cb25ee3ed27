// Result<T>: a value or an Error, for refusals that are expected (see error.h). The names follow std::expected so
// that it can replace this file later. Reading the wrong side is a bug and throws.
#pragma once
#include <optional>
#include <utility>
#include <variant>

#include "core/base/error.h"

namespace hearth {

/// Wraps the error side: `return unexpected(Code::kNotFound, "no model named x")`.
class Unexpected {
 public:
  explicit Unexpected(Error error) : error_(std::move(error)) {}
  Error& error() { return error_; }

 private:
  Error error_;
};

inline Unexpected unexpected(Error error) { return Unexpected(std::move(error)); }
inline Unexpected unexpected(Code code, std::string what,
                             std::source_location where = std::source_location::current()) {
  return Unexpected(Error(code, std::move(what), where));
}

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : side_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit on purpose
  Result(Unexpected failure)
      : side_(std::in_place_index<1>, std::move(failure.error())) {}  // NOLINT: implicit on purpose

  bool has_value() const { return side_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  /// The value; throws the held error when there is none, so a caller that cannot go on just calls value().
  T& value() & { return raise_if_error(), std::get<0>(side_); }
  const T& value() const& { return raise_if_error(), std::get<0>(side_); }
  T&& value() && { return raise_if_error(), std::get<0>(std::move(side_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    if (has_value()) throw Error::bug("Result::error() on a value");
    return std::get<1>(side_);
  }

 private:
  void raise_if_error() const {
    if (!has_value()) throw std::get<1>(side_);
  }
  std::variant<T, Error> side_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Unexpected failure) : error_(std::move(failure.error())) {}  // NOLINT: implicit on purpose

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  void value() const {
    if (error_) throw *error_;
  }
  const Error& error() const {
    if (!error_) throw Error::bug("Result::error() on a value");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace hearth
