// Catalogue: architectures without weights, machines and schemes people ask about, from assets/catalogue.json. What it
// returns is plain data or a Subject of its own; failures name what there is. Immutable.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "planner/catalogue/quant.h"
#include "planner/fit/machine.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

struct CatalogueEntry {
  std::string name, title, source;
  bool is_picture = false;
  bool is_in_table = false;  // of `hearth plan --table`
  std::string best_quant;    // the scheme to fetch, where there is a command
  std::string fetch;         // command that installs it; "" where this build has no code for it
};

class Catalogue {
 public:
  /// The one built into the program.
  static const Catalogue& built_in();
  /// Throws kCorruptFile or what reading a Value throws.
  explicit Catalogue(Value data);

  const std::vector<CatalogueEntry>& entries() const { return entries_; }
  std::vector<std::string> model_names() const;
  std::vector<std::string> machine_names() const;
  std::vector<std::string> quant_names() const;
  /// Those a model is shown in.
  std::vector<std::string> table_quants(const std::string& model) const;

  /// kNotFound with the nearest name and all there are.
  Result<Machine> machine(const std::string& name) const;
  /// The same with both kinds of models on it, "this" among the names there are.
  Result<Machines> machines(const std::string& name) const;
  Result<Quant> quant(const std::string& name) const;
  /// `quant` "": fp16. `target`: what the model would run on.
  Result<std::shared_ptr<const Subject>> subject(const std::string& name, const std::string& quant,
                                                 const Caps& target) const;
  /// A language model by shapes alone, quickly: for choosing among many.
  std::shared_ptr<const Subject> rough(const CatalogueEntry& entry, const std::string& quant) const;

 private:
  const Value& model(const std::string& name) const;
  Value data_;
  std::vector<CatalogueEntry> entries_;
};

/// "no model 'x'; did you mean 'y'? There are a, b and c".
Error unknown_name(const char* what, const std::string& name, const std::vector<std::string>& known);

}  // namespace hearth::planner
