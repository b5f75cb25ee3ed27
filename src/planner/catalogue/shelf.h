// Shelf: what the name of a model stands for in a plan: a file, something installed here, an entry of the catalogue.
// Only headers of files are read.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/device/device.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

using SubjectRef = std::shared_ptr<const Subject>;

struct Shelf {
  std::function<std::optional<std::string>(const std::string& name)> installed{};  // its path; empty: nothing is
  std::function<std::vector<std::string>()> names{};                               // of all of it
  bool opens_paths = false;  // a name may be a path: for people at this machine, never for clients
};

/// `name` may end in ":scheme", which is then its own; `quant` "": the file's, or fp16 for the catalogue's models.
/// `target`: what it would run on. kNotFound naming the nearest name and all there are; kInvalidArgument for a scheme
/// that a file does not hold; what reading its headers gives.
Result<SubjectRef> subject_of(const Shelf& shelf, const std::string& name, const std::string& quant,
                              const Caps& target);

/// The model that lies at `path`. Throws Error.
SubjectRef subject_of_file(const std::string& name, const std::string& path, const std::string& quant,
                           const Caps& target);

}  // namespace hearth::planner
