// Advice: what smaller choice would have fitted where memory was refused. Every choice is measured by the code that
// sizes what was refused; a choice that does not fit is not told.
#pragma once
#include <cstdint>
#include <vector>

#include "core/base/error.h"
#include "core/device/device.h"
#include "governor/budget/refusal.h"
#include "planner/measure/subject.h"
#include "runtime/diffuse/picture_engine.h"
#include "runtime/generate/model_sizes.h"

namespace hearth::planner {

/// `refusal` with what would fit, in words and under "would_fit": for a language model that was to be loaded on a
/// machine of `caps`. Unchanged where it is no refusal with numbers or nothing smaller fits.
Error advise(const Error& refusal, const LoadOptions& options, const Caps& caps);
/// For a picture.
Error advise(const Error& refusal, const diffuse::PictureNeed& need, const Caps& caps);

/// In `room` bytes: the longest context, the most sequences; both smaller where neither alone is enough.
std::vector<governor::SmallerChoice> smaller_language(const Subject& subject, const Ask& ask, int64_t room);
/// In `room` bytes: the most pictures at once; pieces to decode in; the largest single picture of that shape.
std::vector<governor::SmallerChoice> smaller_picture(const Subject& subject, const Ask& ask, int64_t room);

/// What a refusal's numbers say is left if everything idle leaves; 0 where it was not the account that refused.
int64_t room_of(const Error& refusal);

}  // namespace hearth::planner
