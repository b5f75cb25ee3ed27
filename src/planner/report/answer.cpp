#include "planner/report/answer.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/nearest.h"
#include "planner/fit/fit.h"
#include "planner/report/report.h"
#include "planner/report/suggest.h"

namespace hearth::planner {
namespace {

constexpr int64_t kMostPixels = 16384, kMostTokens = int64_t{1} << 24;

struct Field {
  const char* name;
  int64_t Ask::*at;
  int64_t low, high;
};

constexpr Field kFields[] = {
    {"width", &Ask::width, 16, kMostPixels},    {"height", &Ask::height, 16, kMostPixels},
    {"steps", &Ask::steps, 1, 1000},            {"tile", &Ask::tile, 64, kMostPixels},
    {"ctx", &Ask::context, 1, kMostTokens},     {"context", &Ask::context, 1, kMostTokens},
    {"parallel", &Ask::parallel, 1, 1024},       {"prompt", &Ask::prompt, 1, kMostTokens},
    {"batch", &Ask::batch, 1, 4096},
};

bool is_auto_batch(const std::string& name, const std::string& text) { return name == "batch" && text == "auto"; }

Result<int64_t> whole_number(const Field& field, const std::string& text) {
  int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure == std::errc() && end == text.data() + text.size() && value >= field.low && value <= field.high) {
    return value;
  }
  return unexpected(Code::kInvalidArgument, fmt::format("{}: got '{}', wanted a whole number from {} to {}{}",
                                                        field.name, text, field.low, field.high,
                                                        field.name == std::string_view("batch") ? " or auto" : ""));
}

Result<void> read_field(Ask& ask, const std::string& name, const std::string& text) {
  if (is_auto_batch(name, text) || name == "model" || name == "quant" || name == "machine") return {};
  for (const Field& field : kFields) {
    if (name != field.name) continue;
    Result<int64_t> value = whole_number(field, text);
    if (!value) return unexpected(value.error());
    ask.*field.at = *value;
    return {};
  }
  if (name == "cfg") {
    double scale = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), scale);
    if (failure != std::errc() || end != text.data() + text.size() || !(scale >= 0 && scale <= 100)) {
      return unexpected(Code::kInvalidArgument, fmt::format("cfg: got '{}', wanted a number from 0 to 100", text));
    }
    ask.is_guided = scale != 1;
    return {};
  }
  if (name == "kv_dtype") {
    const std::optional<DType> dtype = from_name(text);
    if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBF16) {
      return unexpected(Code::kInvalidArgument, fmt::format("kv_dtype: got '{}', wanted f32, f16 or bf16", text));
    }
    ask.state_dtype = *dtype;
    return {};
  }
  std::vector<std::string> known = {"model", "quant", "machine", "cfg", "kv_dtype"};
  for (const Field& field : kFields) known.emplace_back(field.name);
  const std::string nearest = nearest_name(name, known);
  return unexpected(Code::kInvalidArgument,
                    fmt::format("unknown field '{}'{} There are {}", name,
                                nearest.empty() ? "." : fmt::format("; did you mean '{}'?", nearest),
                                fmt::join(known, ", ")));
}

std::string text_of(const Fields& fields, const char* name) {
  const auto found = fields.find(name);
  return found == fields.end() ? "" : found->second;
}

Value bytes_by_kind(const Value& model) {
  Value out = Value::object();
  for (const char* kind : {"weights", "state", "arena", "buffer", "text", "total"}) {
    out.set(kind, model.at(fmt::format("{}_bytes", kind)));
  }
  return out;
}

// The same question with what is free now in place of the whole budget.
// `loaded_bytes`: what the model holds already; 0 when it is not loaded.
Value now(const SubjectRef& subject, const Ask& ask, const Room& room, int64_t loaded_bytes) {
  const int64_t needed = subject->demand(ask).total_bytes();
  const bool is_there = needed <= loaded_bytes;
  Value out = Value::object({{"fits", is_there || needed <= room.bytes()},
                             {"fits_beside_all", is_there || needed <= room.free_bytes},
                             {"free_bytes", room.free_bytes}, {"idle_bytes", room.idle_bytes}});
  const Share share = share_of({subject, ask}, room.bytes());
  if (subject->facts().is_picture) {
    out.set("largest_batch", share.largest_batch);
  } else {
    out.set("largest_context", share.largest_context);
    out.set("largest_parallel", share.largest_parallel);
  }
  return out;
}

// Energy and money of a picture, or of a thousand tokens.
void add_costs(Value& out, const Value& phase) {
  for (const char* key : {"joules_per_picture", "price_per_picture", "joules_per_1000_tokens",
                          "price_per_1000_tokens"}) {
    if (const Value* value = phase.find(key)) out.set(key, *value);
  }
}

Value summary(const Value& plan, const Value& model, bool is_picture) {
  Value out = Value::object();
  for (const char* key : {"model", "kind", "quant", "estimate", "width", "height", "batch", "largest_batch", "context",
                          "parallel", "largest_context", "largest_parallel"}) {
    if (const Value* value = model.find(key)) out.set(key, *value);
  }
  out.set("machine", plan.at("machine").at("name"));
  out.set("fits", plan.at("fits"));
  out.set("bytes", bytes_by_kind(model));
  out.set("budget_bytes", plan.at("budget_bytes"));
  out.set("left_bytes", plan.at("left_bytes"));
  const Value::List& phases = model.at("phases").as_list();
  const Value& whole = is_picture ? phases.back() : phases.at(1);
  if (is_picture) {
    out.set("seconds", whole.at("seconds_at_least"));
  } else {
    out.set("prefill_seconds", phases.at(0).at("seconds_at_least"));
    out.set("token_seconds", whole.at("seconds_at_least"));
  }
  out.set("limit", whole.at("limit"));
  add_costs(out, whole);
  out.set("seconds_are", "a lower bound from counted work, not a measurement");
  return out;
}

}  // namespace

Result<Ask> read_ask(const Fields& fields, Ask ask) {
  for (const auto& [name, text] : fields) {
    if (Result<void> read = read_field(ask, name, text); !read) return unexpected(read.error());
  }
  return ask;
}

Result<Value> answer(const Fields& fields, const Desk& desk, const std::stop_token& stop) {
  const std::string model = text_of(fields, "model"), asked_machine = text_of(fields, "machine");
  Ask usual = desk.own_ask ? desk.own_ask(model).value_or(desk.ask) : desk.ask;
  usual.stop = stop;
  Result<Ask> ask = read_ask(fields, usual);
  if (!ask) return unexpected(ask.error());
  if (model.empty()) {
    return unexpected(Code::kInvalidArgument, "model: missing; name an installed model or an entry of the catalogue");
  }
  const std::string where = asked_machine.empty() ? "this" : asked_machine;
  const Result<Machines> machines = desk.machines(where);
  if (!machines) return unexpected(Code::kInvalidArgument, "machine: " + machines.error().message());
  Result<SubjectRef> subject = subject_of(desk.shelf, model, text_of(fields, "quant"), machines->words.caps);
  if (!subject) return unexpected(subject.error());
  const bool is_picture = (*subject)->facts().is_picture;
  const int64_t budget = machines->of(is_picture).budget_bytes();
  const std::optional<Room> room = where == "this" && desk.room ? desk.room(is_picture) : std::nullopt;
  if (text_of(fields, "batch") == "auto") {
    const int64_t most_bytes = room ? std::min(room->bytes(), budget) : budget;
    ask->batch = std::max<int64_t>(auto_batch(**subject, *ask, most_bytes), 1);
  }
  Value plan = report({{*subject, *ask}}, *machines, desk.money);
  Value out = summary(plan, plan.at("models").as_list().front(), is_picture);
  if (room) {
    const bool is_known = !is_picture && desk.is_loaded, is_loaded = is_known && desk.is_loaded(model);
    Value there = now(*subject, *ask, *room, is_loaded ? (*subject)->demand(usual).total_bytes() : 0);
    if (is_known) there.set("is_loaded", is_loaded);
    out.set("now", std::move(there));
  }
  out.set("plan", std::move(plan));
  return out;
}

}  // namespace hearth::planner
