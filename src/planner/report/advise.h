// Advice: what smaller choice would have fitted where memory was refused. Every choice is measured by the code that
// sizes what was refused; a choice that does not fit is not told.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "core/base/error.h"
#include "core/device/device.h"
#include "governor/budget/refusal.h"
#include "planner/measure/subject.h"
#include "runtime/diffuse/picture_engine.h"
#include "runtime/generate/model_sizes.h"

namespace hearth::planner {

/// Somebody waits for the refusal: advice sizes a model so many times, begins no sizing after that long, and none when
/// nobody listens any more. What was found until then is told.
class Patience {
 public:
  static constexpr int kSizings = 12;
  static constexpr std::chrono::milliseconds kLongest{1000};

  explicit Patience(std::function<bool()> gives_up = {}, int sizings = kSizings)
      : gives_up_(std::move(gives_up)), left_(sizings) {}
  /// One more sizing may begin; it counts.
  bool lasts();

 private:
  const std::function<bool()> gives_up_;
  const std::chrono::steady_clock::time_point end_ = std::chrono::steady_clock::now() + kLongest;
  int left_;
};

/// `refusal` with what would fit, in words and under "would_fit": for a language model that was to be loaded on a
/// machine of `caps`. Unchanged where it is no refusal with numbers or nothing smaller fits. A sizing under way ends at
/// `stop`.
Error advise(const Error& refusal, const LoadOptions& options, const Caps& caps, const std::stop_token& stop = {});
/// For a picture; a sizing of one takes milliseconds.
Error advise(const Error& refusal, const diffuse::PictureNeed& need, const Caps& caps,
             const std::function<bool()>& gives_up = {});

/// In `room` bytes: the longest context; the most sequences, or nearly; both smaller where neither alone is enough.
std::vector<governor::SmallerChoice> smaller_language(const Subject& subject, const Ask& ask, int64_t room,
                                                      Patience& patience);
/// In `room` bytes: the most pictures at once, or nearly; pieces to decode in; the largest single picture of that
/// shape.
std::vector<governor::SmallerChoice> smaller_picture(const Subject& subject, const Ask& ask, int64_t room,
                                                     Patience& patience);

/// What a refusal's numbers say is left if everything idle leaves; 0 where it was not the account that refused.
int64_t room_of(const Error& refusal);

}  // namespace hearth::planner
