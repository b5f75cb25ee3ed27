#include "text/template/template.h"

#include "text/template/interpreter.h"
#include "text/template/parser.h"

namespace hearth::text {

struct Template::Program {
  jinja::Ast ast;
};

Result<Template> Template::parse(std::string_view source) {
  try {
    auto program = std::make_shared<Program>();
    program->ast = jinja::parse_template(source);
    return Template(std::move(program));
  } catch (const Error& error) {
    return unexpected(error.within("chat template"));
  }
}

Result<std::string> Template::render(const Value& context, const TemplateLimits& limits, std::time_t now) const {
  try {
    return jinja::Interpreter(program_->ast, context, limits, now).run();
  } catch (const jinja::RaisedByTemplate& raised) {
    return unexpected(Error(raised.code(), raised.message()));
  } catch (const Error& error) {
    return unexpected(error.within("chat template"));
  } catch (const std::bad_alloc&) {
    return unexpected(Code::kNoMemory, "chat template: no memory left for its values");
  }
}

bool Template::mentions(std::string_view identifier) const { return program_->ast.reads.contains(identifier); }

}  // namespace hearth::text
