// Python's calling convention for the functions written here: positional and keyword arguments meet parameter names.
#pragma once
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/py_value.h"

namespace hearth::text::jinja {

class Parameters {
 public:
  /// `args` must outlive this. The first `required` names must be given. Throws as Python's TypeError does.
  Parameters(std::string_view function, const Args& args, std::initializer_list<std::string_view> names,
             size_t required = 0);

  bool has(size_t i) const { return given_[i] != nullptr; }
  const PyValue& at(size_t i) const { return *given_[i]; }
  bool given_and_not_none(size_t i) const { return has(i) && !at(i).is_none(); }
  bool flag(size_t i, bool standard) const { return has(i) ? at(i).truthy() : standard; }
  Int integer(size_t i, Int standard) const;
  /// The text of a string parameter; any other type is an error.
  const std::string& text(size_t i) const;

 private:
  std::string function_;
  std::vector<const PyValue*> given_;
};

}  // namespace hearth::text::jinja
