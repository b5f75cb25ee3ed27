#include "plan_desk.h"

#include <algorithm>
#include <filesystem>

#include "core/device/cuda.h"
#include "fetch/store/store.h"
#include "picture_host.h"
#include "planner/report/suggest.h"

namespace hearth::app {
namespace {

using planner::Catalogue;
using planner::Machine;

// Looked up anew each time: what was pulled meanwhile counts.
std::vector<ModelSpec> all_models(const config::Config& config, std::vector<ModelSpec> given) {
  for (ModelSpec& spec : known_models(config)) add_model(given, std::move(spec));
  return given;
}

std::optional<ModelSpec> model_named(const config::Config& config, const std::vector<ModelSpec>& given,
                                     const std::string& name) {
  for (ModelSpec& spec : all_models(config, given)) {
    if (spec.answers_to(name)) return std::move(spec);
  }
  return std::nullopt;
}

std::optional<std::string> installed(const config::Config& config, const std::vector<ModelSpec>& given,
                                     const std::string& name) {
  if (const auto spec = model_named(config, given, name)) return spec->load.path;
  const workflow::Places places = places_named(config.pictures);
  for (const std::string& file : places.models.list("checkpoints")) {
    if (file != name && fs::path(file).stem() != name) continue;
    if (Result<std::string> path = places.models.resolve("checkpoints", file)) return *path;
  }
  return std::nullopt;
}

std::vector<std::string> installed_names(const config::Config& config, const std::vector<ModelSpec>& given) {
  std::vector<std::string> names;
  for (const ModelSpec& spec : all_models(config, given)) names.push_back(spec.load.name);
  for (const std::string& file : places_named(config.pictures).models.list("checkpoints")) {
    names.push_back(fs::path(file).stem().string());
  }
  return names;
}

planner::Ask usual_ask(const config::Llm& llm) {
  return {.context = llm.context, .parallel = llm.parallel, .max_rows = llm.prefill_chunk,
          .page_tokens = llm.page_tokens, .state_dtype = from_name(llm.state_dtype).value_or(DType::kF16)};
}

planner::Ask ask_of(const LoadOptions& o) {
  return {.context = o.context, .parallel = o.parallel, .max_rows = o.max_rows, .page_tokens = o.page_tokens,
          .state_dtype = o.state_dtype};
}

int64_t size_on_disk(const std::string& path) {
  std::error_code none;
  if (!fs::is_directory(path, none)) return static_cast<int64_t>(fs::file_size(path, none));
  int64_t bytes = 0;
  for (const fs::directory_entry& file : fs::directory_iterator(path, none)) {
    if (file.is_regular_file(none)) bytes += static_cast<int64_t>(file.file_size(none));
  }
  return bytes;
}

int64_t free_on_disk(const config::Config& config) {
  fs::path folder = config.memory.models_dir.empty() ? fetch::Store::default_root() : config.memory.models_dir;
  std::error_code none;
  while (!fs::exists(folder, none) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, none);
  return none ? 0 : static_cast<int64_t>(std::min<uintmax_t>(space.available, INT64_MAX));
}

}  // namespace

MachineHere::MachineHere(const config::Config& config, DeviceChoice choice, int threads, Allocator* memory)
    : config_(config), choice_(std::move(choice)), threads_(threads), own_({DeviceKind::kCpu}),
      memory_(memory ? *memory : own_) {}

bool MachineHere::runs_on_cpu(bool for_pictures) const {
  return for_pictures || choice_.device.kind == DeviceKind::kCpu;
}

Machine MachineHere::read(bool for_pictures) const {
  const bool has_own_memory = choice_.device.kind == DeviceKind::kCuda && !choice_.caps.is_integrated;
  const bool is_other_pool = for_pictures && has_own_memory;  // then the budget is the card's alone
  planner::ThisMachineOptions o{.caps = runs_on_cpu(for_pictures) ? cpu_caps(threads_) : choice_.caps,
                                .threads = threads_,
                                .configured_bytes = is_other_pool ? 0 : config_.memory.budget_bytes.value_or(0),
                                .reserve_bytes = config_.memory.reserve_bytes.value_or(0),
                                .power_w = config_.planner.power_w, .rates = rates_};
  o.caps.threads = threads_;
  if constexpr (cuda::kBuilt) {
    if (!runs_on_cpu(for_pictures)) o.gpu_memory_bytes = cuda::memory_info(choice_.device.index).total_bytes;
  }
  return planner::this_machine(o, Catalogue::built_in());
}

Machine MachineHere::known(bool for_pictures) const {
  std::lock_guard lock(mutex_);
  return read(for_pictures);
}

Machine MachineHere::measured(bool for_pictures) {
  std::lock_guard lock(mutex_);
  if (!rates_ && runs_on_cpu(for_pictures)) {
    planner::Rates rates = planner::measure_rates(cpu_caps(threads_), threads_, memory_);
    if (rates.bandwidth > 0) rates_ = std::move(rates);
  }
  return read(for_pictures);
}

planner::Desk plan_desk(const config::Config& config, MachineHere& here, bool opens_paths,
                        std::vector<ModelSpec> given) {
  return {.shelf = {.installed = [&config, given](const std::string& name) { return installed(config, given, name); },
                    .names = [&config, given] { return installed_names(config, given); },
                    .opens_paths = opens_paths},
          .machine = [&here](const std::string& name, bool for_pictures) -> Result<Machine> {
            if (name == "this") return here.measured(for_pictures);
            if (Result<Machine> known = Catalogue::built_in().machine(name)) return known;
            std::vector<std::string> names = Catalogue::built_in().machine_names();
            names.push_back("this");
            return unexpected(planner::unknown_name("machine", name, names));
          },
          .ask = usual_ask(config.llm),
          .own_ask = [&config, given](const std::string& name) -> std::optional<planner::Ask> {
            const auto spec = model_named(config, given, name);
            return spec ? std::optional(ask_of(spec->load)) : std::nullopt;
          },
          .money = {.price_per_kwh = config.planner.price_per_kwh, .currency = config.planner.currency}};
}

std::string suggested_model(const config::Config& config, const MachineHere& here,
                            const std::vector<ModelSpec>& models, int64_t room) {
  const Machine machine = here.known(/*for_pictures=*/false);
  const auto best = planner::best_for(machine, std::max<int64_t>(std::min(room, machine.budget_bytes()), 1));
  if (!best || best->bytes > free_on_disk(config)) return "";
  for (const ModelSpec& spec : models) {
    if (spec.answers_to(best->name) || size_on_disk(spec.load.path) >= best->file_bytes) return "";
  }
  return best->words(machine);
}

}  // namespace hearth::app
