#include "plan_desk.h"

#include <algorithm>
#include <filesystem>

#include "core/device/cuda.h"
#include "fetch/store/store.h"
#include "machine/cgroup.h"
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
    : config_(config), choice_(std::move(choice)), processors_{threads, machine::read_cpu_quota(machine_root())},
      own_({DeviceKind::kCpu}), memory_(memory ? *memory : own_) {}

planner::Machines MachineHere::look() {
  std::lock_guard lock(mutex_);
  if (!rates_) rates_ = planner::measure_rates(cpu_caps(processors_.threads), processors_, memory_);
  planner::ThisMachineOptions words{.caps = choice_.caps,
                                    .configured_bytes = config_.memory.budget_bytes.value_or(0),
                                    .reserve_bytes = config_.memory.reserve_bytes.value_or(0),
                                    .power_w = config_.planner.power_w};
  words.caps.threads = processors_.threads;
  if constexpr (cuda::kBuilt) {
    if (choice_.device.kind == DeviceKind::kCuda) {
      words.gpu_memory_bytes = cuda::memory_info(choice_.device.index).total_bytes;
    }
  }
  return planner::these_machines(words, processors_, rates_, Catalogue::built_in(), machine_root());
}

planner::Desk plan_desk(const config::Config& config, MachineHere& here, bool opens_paths,
                        std::vector<ModelSpec> given) {
  return {.shelf = {.installed = [&config, given](const std::string& name) { return installed(config, given, name); },
                    .names = [&config, given] { return installed_names(config, given); },
                    .opens_paths = opens_paths},
          .machines = [&here](const std::string& name) -> Result<planner::Machines> {
            return name == "this" ? here.look() : Catalogue::built_in().machines(name);
          },
          .ask = usual_ask(config.llm),
          .own_ask = [&config, given](const std::string& name) -> std::optional<planner::Ask> {
            const auto spec = model_named(config, given, name);
            return spec ? std::optional(ask_of(spec->load)) : std::nullopt;
          },
          .money = {.price_per_kwh = config.planner.price_per_kwh, .currency = config.planner.currency}};
}

std::string suggested_model(const config::Config& config, MachineHere& here,
                            const std::vector<ModelSpec>& models, int64_t room) {
  const Machine machine = here.look().words;
  const auto best = planner::best_for(machine, std::max<int64_t>(std::min(room, machine.budget_bytes()), 1));
  if (!best || best->bytes > free_on_disk(config)) return "";
  for (const ModelSpec& spec : models) {
    if (spec.answers_to(best->name) || size_on_disk(spec.load.path) >= best->file_bytes) return "";
  }
  return best->words(machine);
}

}  // namespace hearth::app
