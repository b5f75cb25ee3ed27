#include "probe_template.h"

#include "text/template/template.h"

namespace hearth::probe {

std::optional<Value> template_op(std::string_view op, const Value& request) {
  if (op != "template") return std::nullopt;
  auto parsed = text::Template::parse(request.at("source").as_string()).value();
  const Value* now = request.find("now");
  std::time_t when = now ? static_cast<std::time_t>(now->as_int()) : std::time(nullptr);
  return Value::object({{"text", parsed.render(request.at("context"), {}, when).value()}});
}

}  // namespace hearth::probe
