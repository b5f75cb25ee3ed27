#include "planner/measure/words.h"

#include <bit>

namespace hearth::planner {
namespace {

int64_t length_of(const Value* list) {
  if (!list) return 0;
  return static_cast<int64_t>(list->is_list() || list->is_object() ? list->size() : 0);
}

int64_t slots(int64_t least) { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(least))); }

}  // namespace

Words Words::of(const Checkpoint& checkpoint, int64_t vocab) {
  Words words;
  if (checkpoint.format == Checkpoint::Format::kGguf) {
    words = {length_of(checkpoint.config.find("tokenizer.ggml.tokens")),
             length_of(checkpoint.config.find("tokenizer.ggml.merges"))};
  } else if (const Value* model = checkpoint.tokenizer.is_object() ? checkpoint.tokenizer.find("model") : nullptr) {
    words = {length_of(model->find("vocab")), length_of(model->find("merges"))};
  }
  return words.count > 0 ? words : Words{vocab, vocab};
}

int64_t Words::bytes(const Caps& target) const {
  if (target.target == DeviceKind::kCuda && !target.is_integrated) return 0;
  constexpr int64_t kWord = 26, kSlot = 8, kMerge = 16;  // spelling and place, entry of the table by text, of merges
  return kWord * count + kSlot * slots(count * 4 / 3) + kMerge * slots(merges * 3 / 2);
}

}  // namespace hearth::planner
