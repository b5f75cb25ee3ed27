// A model's chat template: Jinja text, parsed once, rendered for every request with the results jinja2 gives in the
// sandbox transformers sets up (trim_blocks, lstrip_blocks, loop controls, `generation` blocks, Python-style tojson).
// Lifetime: a Template is immutable and cheap to copy; threads share it freely.
// Failures: parse() names the line and what was expected. render() gives kInvalidArgument for what the template itself
// raises or does wrong (raise_exception: the model's message, word for word), kTimeout when the step budget is spent
// and kUnsupported when output or nesting limits are reached. Nothing else is ever thrown to the caller.
// It refuses what needs other files: include, import and extends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::text {

struct TemplateLimits {
  int64_t max_steps = 5'000'000;    // expressions evaluated, loop turns, and one step per 64 bytes of text made
  size_t max_output = 16 << 20;     // bytes of the result and of any single text made on the way
  int max_depth = 100;              // macro calls and recursive loops inside each other
};

class Template {
 public:
  static Result<Template> parse(std::string_view source);

  /// `context` is an object: messages, tools, add_generation_prompt, bos_token and whatever else the template reads.
  /// `now` is what strftime_now shows, in local time.
  Result<std::string> render(const Value& context, const TemplateLimits& limits = {},
                             std::time_t now = std::time(nullptr)) const;

  /// Whether the template reads a variable of this name (tools, documents, enable_thinking, ...).
  bool mentions(std::string_view identifier) const;

 private:
  struct Program;
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

}  // namespace hearth::text
