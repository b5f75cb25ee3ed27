// Budget: what one rendering may still spend. A template is the model author's program, so every step, every byte it
// makes and every level it nests is counted; the counters only fall and the first one to run out throws.
// One Budget belongs to one rendering on one thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "text/template/template.h"

namespace hearth::text::jinja {

class Budget {
 public:
  explicit Budget(const TemplateLimits& limits) : limits_(limits), steps_left_(limits.max_steps) {}

  /// Counts n units of work; throws Error{kTimeout} when none are left.
  void charge(int64_t n = 1) {
    steps_left_ -= n;
    if (steps_left_ < 0) [[unlikely]] out_of_steps();
  }

  /// Announces a text of `bytes` before it is made; throws Error{kUnsupported} when it is longer than max_output.
  void charge_text(size_t bytes);

  /// Announces a search for a text of `wanted` bytes in one of `size`: a long one may compare every byte with every.
  void charge_search(size_t size, size_t wanted);

  /// Announces a list of `count` items before it is made.
  void charge_items(size_t count);

  /// One level of nested expression or statement; throws Error{kUnsupported} below the last one.
  class Level {
   public:
    explicit Level(Budget& budget) : depth_(budget.levels_) {
      if (++depth_ > kMaxLevels) [[unlikely]] budget.too_deep();
    }
    ~Level() { --depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    int& depth_;
  };

  /// One macro call or recursive loop inside another; throws Error{kUnsupported} below max_depth.
  class Call {
   public:
    explicit Call(Budget& budget) : depth_(budget.calls_) {
      if (++depth_ > budget.limits_.max_depth) [[unlikely]] budget.too_deep();
    }
    ~Call() { --depth_; }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    int& depth_;
  };

  static constexpr int kMaxLevels = 1500;  // about 2 MB of stack
  const TemplateLimits& limits() const { return limits_; }

 private:
  [[noreturn]] void out_of_steps() const;
  [[noreturn]] void too_deep() const;

  TemplateLimits limits_;
  int64_t steps_left_;
  int levels_ = 0;
  int calls_ = 0;
};

}  // namespace hearth::text::jinja
