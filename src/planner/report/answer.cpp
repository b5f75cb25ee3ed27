#include "planner/report/answer.h"

#include <charconv>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/nearest.h"
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
    {"width", &Ask::width, 16, kMostPixels},      {"height", &Ask::height, 16, kMostPixels},
    {"steps", &Ask::steps, 1, 1000},              {"tile", &Ask::tile, 64, kMostPixels},
    {"context", &Ask::context, 1, kMostTokens},   {"parallel", &Ask::parallel, 1, 256},
    {"prompt", &Ask::prompt, 1, kMostTokens},     {"batch", &Ask::batch, 1, 64},
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
    ask.is_guided = text != "1" && text != "1.0";
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

}  // namespace

Result<Ask> read_ask(const std::map<std::string, std::string>& fields) {
  Ask ask;
  for (const auto& [name, text] : fields) {
    if (Result<void> read = read_field(ask, name, text); !read) return unexpected(read.error());
  }
  return ask;
}

Result<Value> answer(const std::map<std::string, std::string>& fields, const Resolver& resolve,
                     const Machine& machine) {
  Result<Ask> ask = read_ask(fields);
  if (!ask) return unexpected(ask.error());
  const auto model = fields.find("model");
  if (model == fields.end() || model->second.empty()) {
    return unexpected(Code::kInvalidArgument, "model: missing; name an installed model, a file or an entry of the "
                                              "catalogue");
  }
  const auto quant = fields.find("quant");
  Result<std::shared_ptr<const Subject>> subject =
      resolve(model->second, quant == fields.end() ? "" : quant->second);
  if (!subject) return unexpected(subject.error());
  const auto batch = fields.find("batch");
  if (batch != fields.end() && batch->second == "auto") {
    ask->batch = std::max<int64_t>(auto_batch(**subject, *ask, machine.budget_bytes()), 1);
  }
  Value plan = report({{*subject, *ask}}, machine, {});
  const Value& of = plan.at("models").as_list().front();
  Value out = Value::object();
  for (const char* key : {"model", "kind", "quant", "estimate", "width", "height", "batch", "largest_batch", "context",
                          "parallel", "largest_context", "largest_parallel"}) {
    if (const Value* value = of.find(key)) out.set(key, *value);
  }
  out.set("fits", plan.at("fits"));
  out.set("bytes", of.at("total_bytes"));
  out.set("budget_bytes", plan.at("budget_bytes"));
  out.set("free_bytes", plan.at("left_bytes"));
  const Value::List& phases = of.at("phases").as_list();
  if ((*subject)->facts().is_picture) {
    out.set("seconds", phases.back().at("seconds_at_least"));
    out.set("limit", phases.back().at("limit"));
  } else {
    out.set("prefill_seconds", phases[0].at("seconds_at_least"));
    out.set("token_seconds", phases[1].at("seconds_at_least"));
    out.set("limit", phases[1].at("limit"));
  }
  out.set("seconds_are", "a lower bound from counted work, not a measurement");
  out.set("plan", std::move(plan));
  return out;
}

}  // namespace hearth::planner
