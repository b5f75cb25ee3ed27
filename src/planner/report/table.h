// The table "what fits in 128 GB": models of the catalogue in every scheme, on one machine and on two.
#pragma once
#include <string>
#include <vector>

#include "core/base/value.h"
#include "planner/catalogue/catalogue.h"

namespace hearth::planner {

struct TableAsk {
  int64_t context = 8192;                   // tokens of the one request there is
  std::vector<std::string> models, quants;  // empty: those the catalogue shows
};

/// One row a model and scheme: bytes, whether one machine holds them, whether two do, the largest context on one,
/// tokens a second or seconds a picture at best. kNotFound of a model or a scheme, naming the nearest.
Result<Value> table(const Machine& machine, const TableAsk& ask, const Catalogue& catalogue = Catalogue::built_in());
std::string table_text(const Value& table);

}  // namespace hearth::planner
