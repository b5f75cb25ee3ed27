#include "governor/budget/refusal.h"

#include <memory>
#include <utility>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::governor {
namespace {

Value list_of(const std::vector<Holding>& holdings) {
  Value list = Value::list();
  for (const Holding& held : holdings) {
    list.push(Value::object({{"holder", held.holder}, {"bytes", held.bytes}}));
  }
  return list;
}

std::string words_of(const std::vector<Holding>& holdings, size_t most) {
  std::string text;
  for (size_t i = 0; i < holdings.size() && i < most; ++i) {
    text += fmt::format("{}{} {}", i ? ", " : "", holdings[i].holder, format_bytes(holdings[i].bytes));
  }
  return text;
}

}  // namespace

Refusal Refusal::because(const Error& why) && {
  reason = why.message();
  const Value* room = why.details() ? why.details()->find("available_bytes") : nullptr;
  if (room && room->is_integer()) machine_bytes = room->as_int();
  return std::move(*this);
}

std::string to_text(const Refusal& r) {
  std::string text = fmt::format("{} needs {} in pool '{}': ", r.wanted_by, format_bytes(r.needed_bytes), r.pool);
  text += r.reason.empty() ? fmt::format("{} of {} free", format_bytes(r.available_bytes()),
                                         format_bytes(r.budget_bytes))
                           : r.reason;
  if (!r.holders.empty()) text += "; held by " + words_of(r.holders, 4);
  if (!r.could_leave.empty()) text += "; could leave: " + words_of(r.could_leave, 4);
  if (!r.reason.empty()) return text + ". Close other programs, unload a model or use a smaller one";
  return text + (r.needed_bytes > r.budget_bytes ? ". Choose a smaller model or context, or raise memory.budget"
                                                 : ". Unload a model, use a smaller context, or raise memory.budget");
}

Value to_value(const Refusal& r) {
  Value out = Value::object({{"pool", r.pool},
                             {"wanted_by", r.wanted_by},
                             {"needed_bytes", r.needed_bytes},
                             {"available_bytes", r.available_bytes()},
                             {"budget_bytes", r.budget_bytes},
                             {"reserve_bytes", r.reserve_bytes},
                             {"leased_bytes", r.leased_bytes},
                             {"others_bytes", r.others_bytes},
                             {"holders", list_of(r.holders)},
                             {"could_leave", list_of(r.could_leave)}});
  if (!r.reason.empty()) out.set("reason", r.reason);
  if (r.machine_bytes) out.set("machine_bytes", *r.machine_bytes);
  return out;
}

Error to_error(const Refusal& refusal) {
  return Error(Code::kNoMemory, to_text(refusal)).with(std::make_shared<const Value>(to_value(refusal)));
}

Error with_choices(const Error& refusal, const std::vector<SmallerChoice>& choices) {
  if (choices.empty()) return refusal;
  Value details = refusal.details() ? *refusal.details() : Value::object();
  Value list = Value::list();
  std::string text;
  for (const SmallerChoice& choice : choices) {
    list.push(choice.change);
    text += (text.empty() ? "" : ", or ") + choice.text;
  }
  details.set("would_fit", std::move(list));
  return Error(refusal.code(), refusal.message() + ". What would fit: " + text, refusal.where())
      .with(std::make_shared<const Value>(std::move(details)));
}

}  // namespace hearth::governor
