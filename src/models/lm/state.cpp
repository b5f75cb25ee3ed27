#include "models/lm/state.h"

namespace hearth {

int64_t StateSpec::page_bytes(int group, int64_t page_tokens, DType dtype) const {
  int64_t layers = 0;
  for (int g : group_of_layer) layers += g == group;
  return 2 * layers * row_bytes(dtype, kv_heads * page_tokens * head_dim);
}

}  // namespace hearth
