// What a pickle's calls amount to: containers, tensors, storages. Every argument is checked.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "formats/pickle/machine.h"

namespace hearth::pickle {

/// Works on the values made so far; both references are borrowed.
class Calls {
 public:
  Calls(Program& program, const std::string& name) : program_(program), name_(name) {}

  /// Throws Error{kUnsupported} naming a refused global.
  Global find(std::string_view module, std::string_view name) const;

  /// What `function(*arguments)` is; an empty value where it is nothing that tensors need.
  Node call(Id function, Id arguments, int depth = 0);

  /// The storage that a persistent id names.
  Node storage(Id persistent_id);

  /// Keys and values of the tensors in the state of a ParameterDict; empty for any other state.
  std::vector<Id> parameters_in(Id state) const;

 private:
  [[noreturn]] void corrupt(std::string_view what) const;
  const Node& need(Id id, Kind kind, std::string_view what) const;
  int64_t need_size(Id id, std::string_view what) const;
  std::vector<int64_t> need_sizes(Id id, std::string_view what) const;
  Node container(Kind kind, const std::vector<Id>& arguments) const;
  Node tensor(const std::vector<Id>& arguments, bool has_type);
  void check_extent(const TensorRef& tensor, int64_t elements) const;

  Program& program_;
  const std::string& name_;
};

}  // namespace hearth::pickle
