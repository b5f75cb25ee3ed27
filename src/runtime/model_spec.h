// ModelSpec: one model as configured. Plain values.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "runtime/generate/loaded_model.h"
#include "runtime/request.h"

namespace hearth {

/// Where a model is, what it is called, what requests to it default to.
struct ModelSpec {
  LoadOptions load;               // load.name is the name
  std::vector<std::string> aliases;
  SamplingOptions defaults;
  double keep_alive_s = 1800;     // unloaded after this long without a request; < 0: never, not even to make room

  /// By its name or an alias.
  bool answers_to(const std::string& name) const;
};

/// Every name and alias means one model. kInvalidArgument names both models, their files and the cure.
Result<void> check_names_are_distinct(const std::vector<ModelSpec>& models);

}  // namespace hearth
