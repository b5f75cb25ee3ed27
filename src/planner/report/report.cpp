#include "planner/report/report.h"

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::planner {
namespace {

// What is not known is null, never 0.
Value known(double number) { return number > 0 ? Value(number) : Value(nullptr); }
double or_zero(const Value& value) { return value.is_null() ? 0 : value.as_double(); }

Value phase_value(const Bound& bound, const ReportOptions& options, bool is_picture) {
  Value out = Value::object();
  out.set("phase", bound.phase);
  out.set("units", bound.units);
  out.set("flops", bound.flops);
  out.set("bytes", bound.bytes);
  out.set("op_bytes", bound.op_bytes);
  out.set("seconds_at_least", known(bound.seconds));
  out.set("seconds_unfused_at_least", known(bound.op_seconds));
  out.set(is_picture ? "pictures_per_second_at_most" : "tokens_per_second_at_most", known(bound.per_second()));
  out.set("limit", bound.seconds > 0 ? Value(bound.limit) : Value(nullptr));
  out.set("joules", known(bound.joules));
  const double per = bound.joules / bound.units * (is_picture ? 1 : 1000);  // a picture, or a thousand tokens
  out.set(is_picture ? "joules_per_picture" : "joules_per_1000_tokens", known(per));
  out.set(is_picture ? "price_per_picture" : "price_per_1000_tokens",
          bound.joules > 0 ? Value(price(per, options.price_per_kwh)) : Value(nullptr));
  return out;
}

// Phases of a picture follow each other.
Bound whole_picture(const std::vector<Bound>& phases) {
  Bound all{.phase = "picture", .units = phases.front().units};
  const Bound* longest = &phases.front();
  for (const Bound& phase : phases) {
    all.seconds += phase.seconds;
    all.op_seconds += phase.op_seconds;
    all.op_bytes += phase.op_bytes;
    all.flops += phase.flops;
    all.bytes += phase.bytes;
    all.joules += phase.joules;
    if (phase.seconds > longest->seconds) longest = &phase;
  }
  all.limit = longest->limit;
  return all;
}

Value model_value(const Want& want, const Share& share, const Machine& machine, const ReportOptions& options) {
  const SubjectFacts& facts = want.subject->facts();
  const Ask& ask = want.ask;
  Value out = Value::object();
  out.set("model", facts.name);
  out.set("kind", facts.is_picture ? "picture" : "language");
  out.set("quant", facts.quant);
  out.set("estimate", facts.is_estimate);
  out.set("parameters", facts.parameters);
  const Demand& d = share.demand;
  out.set("weights_bytes", d.weights_bytes);
  out.set("state_bytes", d.state_bytes);
  out.set("arena_bytes", d.arena_bytes);
  out.set("buffer_bytes", d.buffer_bytes);
  out.set("text_bytes", d.text_bytes);
  out.set("total_bytes", d.total_bytes());
  if (facts.is_picture) {
    out.set("width", ask.width > 0 ? ask.width : facts.width);
    out.set("height", ask.height > 0 ? ask.height : facts.height);
    out.set("batch", ask.batch);
    out.set("steps", ask.steps);
    out.set("largest_batch", share.largest_batch);
  } else {
    out.set("context", std::min(facts.own_context, ask.context > 0 ? ask.context : int64_t{8192}));
    out.set("parallel", ask.parallel);
    out.set("prompt_tokens", ask.prompt);
    out.set("state_dtype", std::string(hearth::name(ask.state_dtype)));
    out.set("kv_bytes_per_token", facts.kv_bytes_per_token * row_bytes(ask.state_dtype, 32) / 64);
    out.set("largest_context", share.largest_context);
    out.set("largest_parallel", share.largest_parallel);
  }
  std::vector<Bound> phases = bounds(want.subject->phases(ask), machine);
  if (facts.is_picture) phases.push_back(whole_picture(phases));
  Value list = Value::list();
  for (const Bound& phase : phases) list.push(phase_value(phase, options, facts.is_picture));
  out.set("phases", std::move(list));
  Value notes = Value::list();
  for (const std::string& note : facts.notes) notes.push(note);
  if (!facts.is_picture && ask.context > facts.own_context) {
    notes.push(fmt::format("a context of {} was asked for; the model was made for {}, which is planned", ask.context,
                           facts.own_context));
  }
  out.set("notes", std::move(notes));
  return out;
}

std::string short_seconds(double seconds) {
  if (seconds >= 1) return fmt::format("{:.3g} s", seconds);
  return seconds >= 1e-3 ? fmt::format("{:.3g} ms", 1e3 * seconds) : fmt::format("{:.3g} us", 1e6 * seconds);
}

std::string line(const char* what, const Value& model, const char* key, const std::string& more = "") {
  return fmt::format("  {:<22} {:>26}{}\n", what, both_units(model.at(key).as_int()), more);
}

std::string phase_text(const Value& phase, bool is_picture, const std::string& currency) {
  std::string out = fmt::format("  {:<22} ", phase.at("phase").as_string());
  const double seconds = or_zero(phase.at("seconds_at_least"));
  if (seconds <= 0) return out + fmt::format("{:.3g} TFLOP; this machine's rates are not known\n",
                                             phase.at("flops").as_double() / 1e12);
  const double units = phase.at("units").as_double();
  out += "at least " + short_seconds(seconds);
  if (is_picture && units > 1) out += fmt::format(" for {:g} pictures, {} each", units, short_seconds(seconds / units));
  if (!is_picture) out += fmt::format(", at most {:.4g} tokens/s", or_zero(phase.at("tokens_per_second_at_most")));
  out += fmt::format(", bound by {}", phase.at("limit").as_string());
  const double unfused = or_zero(phase.at("seconds_unfused_at_least"));
  if (unfused > 1.2 * seconds) {
    out += fmt::format(" ({} with this build's ops, which write every result to memory)", short_seconds(unfused));
  }
  if (const double joules = or_zero(phase.at(is_picture ? "joules_per_picture" : "joules_per_1000_tokens"))) {
    const double money = or_zero(phase.at(is_picture ? "price_per_picture" : "price_per_1000_tokens"));
    out += fmt::format("; {:.3g} J and {}{:.2g} a {}", joules, currency, money,
                       is_picture ? "picture" : "1,000 tokens");
  }
  return out + '\n';
}

std::string model_text(const Value& model, const std::string& currency) {
  const bool is_picture = model.at("kind").as_string() == "picture";
  std::string out = fmt::format("{} ({}{}), {:.4g} billion parameters\n", model.at("model").as_string(),
                                model.at("quant").as_string(), model.at("estimate").as_bool() ? ", estimate" : "",
                                model.at("parameters").as_double() / 1e9);
  out += line("weights", model, "weights_bytes");
  if (is_picture) {
    out += line("latents and pixels", model, "state_bytes",
                fmt::format("  {} of {}x{}", model.at("batch").as_int(), model.at("width").as_int(),
                            model.at("height").as_int()));
  } else {
    out += line("keys and values", model, "state_bytes",
                fmt::format("  {} tokens, {} sequences, {} B a token", model.at("context").as_int(),
                            model.at("parallel").as_int(), model.at("kv_bytes_per_token").as_int()));
  }
  out += line("arena of a step", model, "arena_bytes", "  activations and workspaces at their highest");
  if (!is_picture) out += line("batches and logits", model, "buffer_bytes") + line("tokenizer", model, "text_bytes");
  out += line("together", model, "total_bytes");
  if (is_picture) {
    out += fmt::format("  {:<22} {}\n", "largest batch", model.at("largest_batch").as_int());
  } else {
    out += fmt::format("  {:<22} {} tokens\n", "largest context", model.at("largest_context").as_int());
    out += fmt::format("  {:<22} {} sequences of {} tokens\n", "largest parallel",
                       model.at("largest_parallel").as_int(), model.at("context").as_int());
  }
  for (const Value& phase : model.at("phases").as_list()) out += phase_text(phase, is_picture, currency);
  for (const Value& note : model.at("notes").as_list()) out += fmt::format("  note: {}\n", note.as_string());
  return out + '\n';
}

}  // namespace

std::string both_units(int64_t bytes) {
  const double n = static_cast<double>(bytes);
  if (n >= 0.995e9) return fmt::format("{:.2f} GiB ({:.2f} GB)", n / static_cast<double>(GiB), n / 1e9);
  return fmt::format("{:.1f} MiB ({:.1f} MB)", n / static_cast<double>(MiB), n / 1e6);
}

namespace {

Value machine_value(const Machine& machine) {
  Value where = Value::object();
  where.set("name", machine.name);
  where.set("words", machine.words);
  where.set("count", machine.count);
  where.set("memory_bytes", machine.memory_bytes);
  where.set("kept_bytes", machine.kept_bytes());
  where.set("driver_bytes", machine.driver_bytes * machine.count);
  where.set("power_w", machine.power_w);
  where.set("rates", machine.source);
  return where;
}

// `machines` share one pool here: its numbers are those of the first model's.
Value report_on_pool(const std::vector<Want>& wants, const Machines& machines, const ReportOptions& options) {
  const bool is_pictures = !wants.empty() && wants.front().subject->facts().is_picture;
  const Machine& pool = machines.of(is_pictures);
  const Fit fitted = fit(wants, pool);
  Value out = Value::object();
  out.set("machine", machine_value(pool));
  Value models = Value::list();
  for (size_t i = 0; i < wants.size(); ++i) {
    const Machine& runs_on = machines.of(wants[i].subject->facts().is_picture);
    models.push(model_value(wants[i], fitted.shares[i], runs_on, options));
  }
  out.set("models", std::move(models));
  out.set("budget_bytes", fitted.budget_bytes);
  out.set("needed_bytes", fitted.needed_bytes);
  out.set("left_bytes", fitted.left_bytes());
  out.set("fits", fitted.does_fit());
  out.set("price_per_kwh", options.price_per_kwh);
  out.set("currency", options.currency);
  return out;
}

}  // namespace

Value report(const std::vector<Want>& wants, const Machines& machines, const ReportOptions& options) {
  if (machines.is_one_pool()) return report_on_pool(wants, machines, options);
  std::vector<Want> of_words, of_pictures;
  for (const Want& want : wants) (want.subject->facts().is_picture ? of_pictures : of_words).push_back(want);
  if (of_pictures.empty() || of_words.empty()) return report_on_pool(wants, machines, options);
  Value pools = Value::list();
  pools.push(report_on_pool(of_words, machines, options));
  pools.push(report_on_pool(of_pictures, machines, options));
  const bool do_fit = pools.as_list()[0].at("fits").as_bool() && pools.as_list()[1].at("fits").as_bool();
  return Value::object({{"pools", std::move(pools)}, {"fits", do_fit}});
}

std::string report_text(const Value& report) {
  if (const Value* pools = report.find("pools")) {
    return report_text(pools->as_list()[0]) + '\n' + report_text(pools->as_list()[1]);
  }
  const Value& machine = report.at("machine");
  std::string out;
  for (const Value& model : report.at("models").as_list()) {
    out += model_text(model, report.at("currency").as_string());
  }
  const int64_t left = report.at("left_bytes").as_int();
  out += fmt::format("{}: {}\n", machine.at("name").as_string(), machine.at("words").as_string());
  out += fmt::format("  {:<22} {:>26}\n", "memory", both_units(machine.at("memory_bytes").as_int()));
  out += fmt::format("  {:<22} {:>26}  reserve{}\n", "kept free", both_units(machine.at("kept_bytes").as_int()),
                     machine.at("driver_bytes").as_int() > 0 ? " and the driver's own" : "");
  out += fmt::format("  {:<22} {:>26}\n", "for models", both_units(report.at("budget_bytes").as_int()));
  out += fmt::format("  {:<22} {:>26}\n", "needed", both_units(report.at("needed_bytes").as_int()));
  out += report.at("fits").as_bool() ? fmt::format("It fits; {} remain.\n", both_units(left))
                                     : fmt::format("It does not fit: {} too much.\n", both_units(-left));
  out += fmt::format("Times are lower bounds from counted work and highest rates, not measurements of this program; a "
                     "kWh costs {}{:.2f}.\nRates: {}.\n",
                     report.at("currency").as_string(), report.at("price_per_kwh").as_double(),
                     machine.at("rates").as_string());
  return out;
}

}  // namespace hearth::planner
