// State: what a sequence leaves behind between steps. A layer declares its kind; layers of one kind and shape form a
// group that shares page tables. The runtime owns the pages and decides which sequence holds which.
#pragma once
#include <cstdint>
#include <vector>

#include "core/device/ctx.h"
#include "models/lm/batch.h"

namespace hearth {

enum class StateKind : uint8_t {
  kFullPages,    // every position is kept
  kWindowPages,  // pages wholly behind the window are freed
};

struct StateGroup {
  StateKind kind = StateKind::kFullPages;
  int window = 0;  // positions a query sees, for kWindowPages
};

/// What a model needs the runtime to hold for it.
struct StateSpec {
  std::vector<StateGroup> groups;    // at most kMaxStateGroups
  std::vector<int> group_of_layer;   // index into groups
  int kv_heads = 0, head_dim = 0;

  /// Bytes of one page of one group over all its layers, keys and values.
  int64_t page_bytes(int group, int64_t page_tokens, DType dtype) const;
};

/// The pages of all layers of one loaded model.
struct State {
  std::vector<KvPages> layers;
  std::vector<int> group_of_layer;

  /// A layer's pages together with where the batch's rows live in them.
  struct Layer {
    const KvPages& pages;
    const Batch::Group& where;

    void append(Ctx& c, const Tensor& k, const Tensor& v) const { kv_append(c, pages, k, v, where.slots); }
    Tensor attend(Ctx& c, const Tensor& q, const Batch& b, const AttentionParams& params) const {
      return attention(c, q, pages, {b.pos, b.seq, where.page_table}, params);
    }
  };
  Layer layer(int i, const Batch& b) const { return {layers[i], b.groups[group_of_layer[i]]}; }
};

}  // namespace hearth
