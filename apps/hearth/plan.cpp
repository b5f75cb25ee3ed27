// hearth plan: what models would need and how fast they could be at best, before anything is downloaded or loaded.
#include <algorithm>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/files.h"
#include "core/device/cuda.h"
#include "formats/json/json.h"
#include "host.h"
#include "picture_host.h"
#include "planner/cost/this_machine.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"
#include "planner/report/answer.h"
#include "planner/report/charts.h"
#include "planner/report/report.h"
#include "planner/report/suggest.h"
#include "planner/report/table.h"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;
using planner::Catalogue;
using planner::Machine;
using SubjectRef = std::shared_ptr<const planner::Subject>;

struct PlanOptions {
  std::vector<std::string> models;
  std::optional<int64_t> context, parallel, prompt, steps, tile;
  std::string kv_dtype, quant, images, machine, svg, batch, currency = "$";
  double price = 0.30;
  int64_t count = 1;
  bool table = false, json = false;
};

bool is_language(const fs::path& path) {
  if (fs::is_directory(path)) return fs::exists(path / "config.json") && !fs::exists(path / "model_index.json");
  if (path.extension() != ".gguf") return false;
  const std::vector<std::string> known = language_architectures();
  return std::find(known.begin(), known.end(), Checkpoint::open(path.string()).architecture()) != known.end();
}

// Pictures run on the CPU so far, whatever the machine.
Caps picture_caps(const Caps& target) { return cpu_caps(std::max(target.threads, 1)); }

SubjectRef from_file(const std::string& name, const std::string& path, const std::string& quant, const Caps& target) {
  if (is_language(path)) {
    if (!quant.empty()) {
      throw Error(Code::kInvalidArgument, fmt::format("--quant {}: {} is what its file holds; schemes can be chosen "
                                                      "for models of the catalogue",
                                                      quant, name));
    }
    return std::make_shared<planner::LanguageSubject>(name, Checkpoint::open(path), target);
  }
  std::optional<DType> scheme;
  if (!quant.empty()) {
    scheme = quant == "fp16" ? DType::kF16 : quant == "bf16" ? DType::kBF16 : DType::kF32;
    if (quant != "fp16" && quant != "bf16" && quant != "fp32") {
      throw Error(Code::kInvalidArgument, fmt::format("--quant {}: pictures' models are kept as fp32, fp16 or bf16",
                                                      quant));
    }
  }
  return std::make_shared<planner::PictureSubject>(name, std::vector{open_picture_file(path)}, picture_caps(target),
                                                   scheme);
}

class Resolver {
 public:
  Resolver(const config::Config& config, const Caps& target) : config_(config), target_(target) {}

  Result<SubjectRef> operator()(const std::string& asked, const std::string& asked_quant) const {
    try {
      auto [name, quant] = split(asked, asked_quant);
      if (fs::exists(name)) return from_file(fs::path(name).stem().string(), name, quant, target_);
      std::vector<std::string> known = Catalogue::built_in().model_names();
      for (const ModelSpec& spec : known_models(config_)) {
        if (spec.answers_to(name)) return from_file(name, spec.load.path, quant, target_);
        known.push_back(spec.load.name);
      }
      workflow::Places places = places_named(config_.pictures);
      if (Result<std::string> path = places.models.resolve("checkpoints", name)) {
        return from_file(name, *path, quant, target_);
      }
      const std::vector<std::string> catalogue = Catalogue::built_in().model_names();
      if (std::find(catalogue.begin(), catalogue.end(), name) == catalogue.end()) {
        return unexpected(planner::unknown_name("model file, installed model or entry of the catalogue", name, known));
      }
      return Catalogue::built_in().subject(name, quant, target_);
    } catch (const Error& e) {
      return unexpected(e);
    }
  }

 private:
  // "llama-3.1-8b:q4_k_m" names a scheme of its own.
  static std::pair<std::string, std::string> split(const std::string& asked, const std::string& quant) {
    const size_t colon = asked.rfind(':');
    if (colon == asked.npos || fs::exists(asked)) return {asked, quant};
    return {asked.substr(0, colon), asked.substr(colon + 1)};
  }
  const config::Config& config_;
  const Caps target_;
};

Machine machine_for(const config::Config& config, const std::string& name) {
  if (name != "this") {
    Result<Machine> known = Catalogue::built_in().machine(name);
    if (known) return *known;
    std::vector<std::string> names = Catalogue::built_in().machine_names();
    names.push_back("this");
    throw planner::unknown_name("machine", name, names);
  }
  const int threads = thread_count(config);
  const DeviceChoice choice = choose_device("auto", threads);
  planner::ThisMachineOptions options{.caps = choice.caps, .threads = threads,
                                      .configured_bytes = config.memory.budget_bytes.value_or(0),
                                      .reserve_bytes = config.memory.reserve_bytes.value_or(0)};
  options.caps.threads = threads;
  if constexpr (cuda::kBuilt) {
    if (choice.device.kind == DeviceKind::kCuda) {
      options.gpu_memory_bytes = cuda::memory_info(choice.device.index).total_bytes;
    }
  }
  return planner::this_machine(options, Catalogue::built_in());
}

// "1024x768".
std::pair<std::string, std::string> sides(const std::string& images) {
  const size_t x = images.find('x');
  if (x == images.npos) {
    throw Error(Code::kInvalidArgument, fmt::format("--images {}: wanted WIDTHxHEIGHT, such as 1024x1024", images));
  }
  return {images.substr(0, x), images.substr(x + 1)};
}

planner::Ask ask_of(const PlanOptions& o, const config::Config& config) {
  std::map<std::string, std::string> fields;
  auto set = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) fields[name] = std::to_string(*value);
  };
  set("context", o.context);
  set("parallel", o.parallel);
  set("prompt", o.prompt);
  set("steps", o.steps);
  set("tile", o.tile);
  if (!o.batch.empty()) fields["batch"] = o.batch;
  if (!o.kv_dtype.empty()) fields["kv_dtype"] = o.kv_dtype;
  if (!o.images.empty()) std::tie(fields["width"], fields["height"]) = sides(o.images);
  planner::Ask ask = planner::read_ask(fields).value();
  if (!o.context) ask.context = config.llm.context;
  if (!o.parallel) ask.parallel = config.llm.parallel;
  if (o.kv_dtype.empty()) ask.state_dtype = from_name(config.llm.state_dtype).value_or(DType::kF16);
  ask.max_rows = config.llm.prefill_chunk;
  ask.page_tokens = config.llm.page_tokens;
  return ask;
}

int print_table(const PlanOptions& o, const config::Config& config) {
  const Value table = planner::table(machine_for(config, o.machine.empty() ? "gb10" : o.machine),
                                     o.context.value_or(8192));
  std::cout << (o.json ? json::write(table, {.indent = 2}) + "\n" : planner::table_text(table));
  return 0;
}

int plan(const PlanOptions& o, const Common& common) {
  const config::Config config = read_config(common.config_file, {});
  if (o.table) return print_table(o, config);
  if (o.models.empty()) {
    throw Error(Code::kInvalidArgument, "name a model to plan for, or ask for the table with --table");
  }
  const Machine machine = machine_for(config, o.machine.empty() ? "this" : o.machine).times(o.count);
  const Resolver resolve(config, machine.caps);
  const planner::Ask ask = ask_of(o, config);
  std::vector<planner::Want> wants;
  for (const std::string& name : o.models) wants.push_back({resolve(name, o.quant).value(), ask});
  if (o.batch == "auto") {
    int64_t others = 0;
    for (const planner::Want& want : wants) {
      if (!want.subject->facts().is_picture) others += want.subject->demand(want.ask).total_bytes();
    }
    for (planner::Want& want : wants) {
      if (!want.subject->facts().is_picture) continue;
      want.ask.batch =
          std::max<int64_t>(planner::auto_batch(*want.subject, want.ask, machine.budget_bytes() - others), 1);
    }
  }
  const Value report = planner::report(wants, machine, {.price_per_kwh = o.price, .currency = o.currency});
  if (!o.svg.empty()) write_text(o.svg, planner::draw(planner::charts(wants, machine))).value();
  std::cout << (o.json ? json::write(report, {.indent = 2}) + "\n" : planner::report_text(report));
  return report.at("fits").as_bool() ? 0 : 1;
}

}  // namespace

Action add_plan(CLI::App& app, Common& common) {
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
  app.add_option("--vae-tile", o->tile, "Decode pictures in pieces of this many pixels");
  app.add_option("--machine", o->machine, "gb10, rtx4090, h200, cpu or this (the default)");
  app.add_option("--machines", o->count, "So many of them as one pool")->check(CLI::Range(1, 64));
  app.add_option("--price", o->price, "Price of a kilowatt-hour")->capture_default_str()->check(CLI::Range(0.0, 1e6));
  app.add_option("--currency", o->currency, "Of the price")->capture_default_str();
  app.add_option("--svg", o->svg, "Write memory over context and batch as a chart to this file");
  app.add_flag("--table", o->table, "Print what fits one and two machines (default: gb10)");
  app.add_flag("--json", o->json, "Print JSON");
  return [o, &common] { return plan(*o, common); };
}

}  // namespace hearth::app
