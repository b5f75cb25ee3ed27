#include "text/template/parameters.h"

#include <algorithm>

#include <fmt/format.h>

#include "text/template/py_ops.h"

namespace hearth::text::jinja {

Parameters::Parameters(std::string_view function, const Args& args, std::initializer_list<std::string_view> names,
                       size_t required)
    : function_(function), given_(names.size(), nullptr) {
  if (args.positional.size() > names.size()) {
    raise_error(
        fmt::format("{}() takes at most {} arguments ({} given)", function, names.size(), args.positional.size()));
  }
  for (size_t i = 0; i < args.positional.size(); ++i) given_[i] = &args.positional[i];
  for (const auto& [name, value] : args.named) {
    auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) raise_error(fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
    const PyValue*& slot = given_[static_cast<size_t>(found - names.begin())];
    if (slot) raise_error(fmt::format("{}() got multiple values for argument '{}'", function, name));
    slot = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!given_[i]) raise_error(fmt::format("{}() missing required argument '{}'", function, *(names.begin() + i)));
  }
}

Int Parameters::integer(size_t i, Int standard) const {
  return has(i) ? integer_argument(at(i), function_ + "()") : standard;
}

const std::string& Parameters::text(size_t i) const {
  require_defined(at(i));
  if (!at(i).is_string()) raise_error(fmt::format("{}() wants a string, got '{}'", function_, at(i).type_name()));
  return at(i).bytes();
}

}  // namespace hearth::text::jinja
