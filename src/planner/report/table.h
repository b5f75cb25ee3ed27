// The table "what fits in 128 GB": every catalogue model in every scheme, on one machine and on two.
#pragma once
#include "core/base/value.h"
#include "planner/catalogue/catalogue.h"

namespace hearth::planner {

/// One row a model and scheme: bytes at `context` tokens, whether one machine holds them, whether two do, the largest
/// context on one, tokens a second at most.
Value table(const Machine& machine, int64_t context, const Catalogue& catalogue = Catalogue::built_in());
std::string table_text(const Value& table);

}  // namespace hearth::planner
