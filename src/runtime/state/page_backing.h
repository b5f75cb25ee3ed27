// PageBacking: the memory behind the pages of a model's state, as far as it can be given back to the machine and taken
// again page by page. Implemented over leased host memory (elastic_state.h); a scheduler without one keeps every page.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "runtime/state/page_pool.h"

namespace hearth {

/// Pages of each state group, ascending.
using GroupPages = std::vector<std::vector<Page>>;

class PageBacking {
 public:
  virtual ~PageBacking() = default;
  /// Of one page in all layers of its group.
  virtual int64_t page_bytes(size_t group) const = 0;
  /// Nobody reads or writes these pages before take_again(). Any thread.
  virtual void give_back(const GroupPages& pages) = 0;
  /// kNoMemory with numbers, and nothing taken, when there is no room. Any thread.
  virtual Result<void> take_again(const GroupPages& pages) = 0;
};

}  // namespace hearth
