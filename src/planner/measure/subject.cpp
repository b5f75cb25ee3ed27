#include "planner/measure/subject.h"

#include "core/base/error.h"

namespace hearth::planner {

void Ask::check_is_wanted() const {
  if (stop.stop_requested()) throw Error(Code::kCancelled, "the plan was given up");
}

}  // namespace hearth::planner
