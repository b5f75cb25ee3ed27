// Any text either parses as a chat template or is refused; what parses renders within its limits or is refused.
#include <cstdlib>

#include "text/template/template.h"

namespace {

hearth::Value conversation() {
  using hearth::Value;
  Value messages = Value::list();
  messages.push(Value::object({{"role", "user"}, {"content", "Grüße <b> 'x' \"y\"\n"}}));
  messages.push(Value::object({{"role", "assistant"}, {"content", Value()}, {"n", 3}, {"f", 2.5}}));
  return Value::object({{"messages", messages}, {"s", "a b"}, {"n", 7}, {"f", 0.5}, {"xs", Value(Value::List{3, 1, 2})},
                        {"tools", Value::list()}, {"add_generation_prompt", true}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth;
  auto parsed = text::Template::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!parsed) return parsed.error().code() == Code::kInvalidArgument ? 0 : (std::abort(), 0);
  static const Value context = conversation();
  constexpr text::TemplateLimits kSmall{.max_steps = 20'000, .max_output = 1 << 16, .max_depth = 20};
  auto text = parsed->render(context, kSmall, 1'753'000'000);
  if (text) return text->size() <= kSmall.max_output ? 0 : (std::abort(), 0);
  switch (text.error().code()) {
    case Code::kInvalidArgument:
    case Code::kTimeout:
    case Code::kUnsupported: return 0;
    default: std::abort();
  }
}
