// What this machine could run: the best model of the catalogue that fits it and is fast enough to talk to, with the
// command that installs it. Quick: by shapes alone. And how many pictures to draw at once.
#pragma once
#include <optional>
#include <string>

#include "planner/catalogue/catalogue.h"

namespace hearth::planner {

struct Suggestion {
  std::string name, title, quant, command;
  int64_t bytes = 0;             // at a context of 8,192 tokens
  int64_t file_bytes = 0;        // of the weights
  double tokens_per_second = 0;  // decode, at most

  /// "Qwen3 8B as q4_k_m needs 5.9 GiB of the 20 GiB here; get it with `hearth pull ...`".
  std::string words(const Machine& machine) const;
};

/// The model with the most parameters that fits `free_bytes` (0: the machine's whole budget) and whose bound is at
/// least ten tokens a second; nothing when none does. A CPU whose rates are not known is taken for as many threads of
/// the catalogue's.
std::optional<Suggestion> best_for(const Machine& machine, int64_t free_bytes = 0,
                                   const Catalogue& catalogue = Catalogue::built_in());

/// The `batch: "auto"` of a picture request: as many as `room_bytes` hold beside what is counted in `ask`, at most
/// `most`; 0 when not even one fits.
int64_t auto_batch(const Subject& subject, Ask ask, int64_t room_bytes, int64_t most = 4096);

}  // namespace hearth::planner
