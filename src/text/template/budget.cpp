#include "text/template/budget.h"

#include <fmt/format.h>

namespace hearth::text::jinja {
namespace {

constexpr size_t kBytesPerStep = 64;  // so that the step limit also bounds the memory all texts together take

}  // namespace

void Budget::charge_text(size_t bytes) {
  if (bytes > limits_.max_output) {
    throw Error(Code::kUnsupported, fmt::format("the template makes a text of {} bytes; max_output allows {}", bytes,
                                                limits_.max_output));
  }
  charge(static_cast<int64_t>(bytes / kBytesPerStep));
}

void Budget::charge_search(size_t size, size_t wanted) {
  size_t blocks = size / kBytesPerStep + 1;
  charge(static_cast<int64_t>(blocks * (wanted / kBytesPerStep + 1)));
}

void Budget::charge_items(size_t count) {
  if (count > static_cast<size_t>(INT64_MAX)) out_of_steps();
  charge(static_cast<int64_t>(count));
}

void Budget::out_of_steps() const {
  throw Error(Code::kTimeout, fmt::format("the template did not finish within max_steps = {}", limits_.max_steps));
}

void Budget::too_deep() const {
  throw Error(Code::kUnsupported,
              fmt::format("the template nests calls deeper than max_depth = {}", limits_.max_depth));
}

}  // namespace hearth::text::jinja
