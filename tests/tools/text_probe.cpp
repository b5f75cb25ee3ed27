// Reads requests {"op": ..., ...} as JSON lines, asks each family of operations in turn and writes the reply, or
// {"error": message, "code": name}, as a JSON line. Ends with the input.
#include "text_probe.h"

#include <iostream>
#include <string>

#include "formats/json/json.h"
#include "probe_template.h"

namespace {

using hearth::Code;
using hearth::Error;
using hearth::Value;

Value answer(const std::string& line) {
  Value request = hearth::json::parse(line).value();
  const std::string& op = request.at("op").as_string();
  if (auto reply = hearth::probe::tokenizer_op(op, request)) return *reply;
  if (auto reply = hearth::probe::template_op(op, request)) return *reply;
  throw Error(Code::kInvalidArgument, "unknown op '" + op + "'");
}

}  // namespace

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    Value reply;
    try {
      reply = answer(line);
    } catch (const Error& error) {
      reply = Value::object({{"error", error.message()}, {"code", wire_name(error.code())}});
    }
    std::cout << hearth::json::write(reply) << std::endl;
  }
}
