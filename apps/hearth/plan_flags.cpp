#include "plan_flags.h"

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "core/base/files.h"
#include "formats/json/json.h"
#include "planner/report/charts.h"
#include "planner/report/suggest.h"
#include "planner/report/table.h"

namespace hearth::app {
namespace {

using planner::Desk;
using planner::Machine;
using planner::Machines;

struct PlanOptions {
  std::vector<std::string> models;
  std::optional<int64_t> context, parallel, prompt, steps, tile;
  std::optional<double> price, cfg;
  std::optional<std::string> currency;
  std::string kv_dtype, quant, images, machine, svg, batch;
  int64_t count = 1;
  bool table = false, json = false;
};

// "1024x768".
std::pair<std::string, std::string> sides(const std::string& images) {
  const size_t x = images.find('x');
  if (x == images.npos) {
    throw Error(Code::kInvalidArgument, fmt::format("--images {}: wanted WIDTHxHEIGHT, such as 1024x1024", images));
  }
  return {images.substr(0, x), images.substr(x + 1)};
}

// What the flags say, over what the configuration says of that model.
planner::Ask ask_of(const PlanOptions& o, const Desk& desk, const std::string& model) {
  planner::Fields fields;
  auto set = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) fields[name] = std::to_string(*value);
  };
  set("context", o.context);
  set("parallel", o.parallel);
  set("prompt", o.prompt);
  set("steps", o.steps);
  set("tile", o.tile);
  if (o.cfg) fields["cfg"] = fmt::format("{}", *o.cfg);
  if (!o.batch.empty()) fields["batch"] = o.batch;
  if (!o.kv_dtype.empty()) fields["kv_dtype"] = o.kv_dtype;
  if (!o.images.empty()) std::tie(fields["width"], fields["height"]) = sides(o.images);
  return planner::read_ask(fields, desk.own_ask ? desk.own_ask(model).value_or(desk.ask) : desk.ask).value();
}

// What is left of their pool beside the language models in it.
void choose_batches(std::vector<planner::Want>& wants, const Machines& machines) {
  int64_t others = 0;
  for (const planner::Want& want : wants) {
    const bool is_beside = !want.subject->facts().is_picture && machines.is_one_pool();
    if (is_beside) others += want.subject->demand(want.ask).total_bytes();
  }
  for (planner::Want& want : wants) {
    if (!want.subject->facts().is_picture) continue;
    const int64_t room = machines.pictures.budget_bytes() - others;
    want.ask.batch = std::max<int64_t>(planner::auto_batch(*want.subject, want.ask, room), 1);
  }
}

void print(const PlanOptions& o, const Value& value, std::string (*as_text)(const Value&)) {
  std::cout << (o.json ? json::write(value, {.indent = 2}) + "\n" : as_text(value));
}

int print_table(const PlanOptions& o, const Desk& desk) {
  planner::TableAsk ask{.models = o.models};
  if (o.context) ask.context = ask_of(o, desk, "").context;
  if (!o.quant.empty()) ask.quants = {o.quant};
  const Machine machine = desk.machines(o.machine.empty() ? "gb10" : o.machine).value().words;
  print(o, planner::table(machine, ask).value(), planner::table_text);
  return 0;
}

int plan(const PlanOptions& o, const Desk& desk) {
  if (o.table) return print_table(o, desk);
  if (o.models.empty()) {
    throw Error(Code::kInvalidArgument, "name a model to plan for, or ask for the table with --table");
  }
  for (const std::string& name : o.models) ask_of(o, desk, name);  // wrong flags first, measuring takes a moment
  const Machines machines = desk.machines(o.machine.empty() ? "this" : o.machine).value().times(o.count);
  std::vector<planner::Want> wants;
  for (const std::string& name : o.models) {
    wants.push_back({planner::subject_of(desk.shelf, name, o.quant, machines.words.caps).value(),
                     ask_of(o, desk, name)});
  }
  if (o.batch == "auto") choose_batches(wants, machines);
  const Value report = planner::report(wants, machines, {.price_per_kwh = o.price.value_or(desk.money.price_per_kwh),
                                                        .currency = o.currency.value_or(desk.money.currency)});
  if (!o.svg.empty()) write_text(o.svg, planner::draw(planner::charts(wants, machines))).value();
  print(o, report, planner::report_text);
  return report.at("fits").as_bool() ? 0 : 1;
}

}  // namespace

std::function<int()> add_plan_flags(CLI::App& app, std::function<const Desk&()> desk) {
  auto o = std::make_shared<PlanOptions>();
  app.add_option("models", o->models, "Files, installed models or names of the catalogue (llama-3.1-8b:q4_k_m); "
                                      "several share one budget");
  app.add_option("--ctx", o->context, "Tokens one request may use (default: the model's own, at most 8192)");
  app.add_option("--parallel", o->parallel, "Sequences at once");
  app.add_option("--prompt", o->prompt, "Tokens of the prefill that is timed (default: 512)");
  app.add_option("--kv-dtype", o->kv_dtype, "Keys and values as f16, bf16 or f32");
  app.add_option("--quant", o->quant, "Scheme of models from the catalogue: fp16, fp8, int4, nvfp4, q4_k_m, ...");
  app.add_option("--images", o->images, "Size of pictures, WIDTHxHEIGHT");
  app.add_option("--batch", o->batch, "Pictures at once, or auto: as many as fit");
  app.add_option("--steps", o->steps, "Denoising steps of a picture (default: 20)");
  app.add_option("--cfg", o->cfg, "Guidance scale; 1 halves the work (default: guided)")->check(CLI::Range(0.0, 100.0));
  app.add_option("--vae-tile", o->tile, "Decode pictures in pieces of this many pixels");
  app.add_option("--machine", o->machine, "gb10, rtx4090, h200, cpu or this (the default)");
  app.add_option("--machines", o->count, "So many of them as one pool")->check(CLI::Range(1, 64));
  app.add_option("--price,--kwh-price", o->price, "Price of a kilowatt-hour (planner.price_per_kwh)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--currency", o->currency, "Of the price (planner.currency)");
  app.add_option("--svg", o->svg, "Write memory over context and batch as a chart to this file");
  auto* table = app.add_flag("--table", o->table, "Print what fits one and two machines (default: gb10): of all models "
                                                  "of the catalogue, or of those named");
  for (const char* of_one_plan : {"--parallel", "--prompt", "--kv-dtype", "--images", "--batch", "--steps", "--cfg",
                                  "--vae-tile", "--machines", "--price", "--currency", "--svg"}) {
    table->excludes(of_one_plan);
  }
  app.add_flag("--json", o->json, "Print JSON");
  return [o, desk = std::move(desk)] { return plan(*o, desk()); };
}

}  // namespace hearth::app
