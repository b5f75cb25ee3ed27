#include "host.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "core/device/cuda.h"
#include "fetch/store/store.h"
#include "machine/memory.h"
#include "planner/report/advise.h"

namespace hearth::app {
namespace {

namespace fs = std::filesystem;

double seconds(std::chrono::milliseconds duration) { return std::chrono::duration<double>(duration).count(); }

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNotFound, fmt::format("chat_template: cannot read {}", path.string()));
  return {std::istreambuf_iterator<char>(file), {}};
}

ModelSpec base_spec(const config::Config& config, std::string name, std::string path) {
  ModelSpec spec;
  spec.load.name = std::move(name);
  spec.load.path = std::move(path);
  spec.load.context = config.llm.context;
  spec.load.parallel = config.llm.parallel;
  spec.load.max_rows = config.llm.prefill_chunk;
  spec.load.page_tokens = config.llm.page_tokens;
  spec.load.state_dtype = from_name(config.llm.state_dtype).value_or(DType::kF16);
  spec.keep_alive_s = seconds(config.llm.keep_alive);
  return spec;
}

void apply_profile(ModelSpec& spec, const config::ModelProfile& profile) {
  spec.aliases = profile.alias;
  if (profile.context) spec.load.context = *profile.context;
  if (profile.state_dtype) spec.load.state_dtype = from_name(*profile.state_dtype).value_or(DType::kF16);
  if (profile.keep_alive) spec.keep_alive_s = seconds(*profile.keep_alive);
  if (profile.pin) spec.keep_alive_s = -1;
  if (profile.temperature) spec.defaults.temperature = static_cast<float>(*profile.temperature);
  if (profile.top_p) spec.defaults.top_p = static_cast<float>(*profile.top_p);
  if (profile.min_p) spec.defaults.min_p = static_cast<float>(*profile.min_p);
  if (profile.top_k) spec.defaults.top_k = *profile.top_k;
  if (profile.typical_p) spec.defaults.typical_p = static_cast<float>(*profile.typical_p);
  if (profile.repetition_penalty) spec.defaults.repetition_penalty = static_cast<float>(*profile.repetition_penalty);
  if (profile.presence_penalty) spec.defaults.presence_penalty = static_cast<float>(*profile.presence_penalty);
  if (profile.frequency_penalty) spec.defaults.frequency_penalty = static_cast<float>(*profile.frequency_penalty);
  if (profile.seed) spec.defaults.seed = static_cast<uint64_t>(*profile.seed);
  if (!profile.chat_template.empty()) spec.load.chat_template = read_file(profile.chat_template);
}

// A folder's name may have dots of its own, as in Qwen3-0.6B.
std::string name_of_file(const fs::path& path) {
  const fs::path whole = fs::canonical(path);
  return fs::is_directory(whole) ? whole.filename().string() : path.stem().string();
}

fetch::Store store_of(const config::Config& config) {
  return config.memory.models_dir.empty() ? fetch::Store() : fetch::Store(config.memory.models_dir);
}

}  // namespace

config::Config read_config(const std::string& file, const Flags& flags) {
  config::LoadOptions options;
  options.file = file;
  options.flags = flags;
  return std::move(config::load(options)).value();
}

int thread_count(const config::Config& config) {
  if (config.llm.threads > 0) return config.llm.threads;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return std::max(CPU_COUNT(&allowed), 1);
  return std::max(static_cast<int>(std::thread::hardware_concurrency()), 1);
}

namespace {

// The N of "cuda:N", 0 for "cuda" and "auto"; nothing when `asked` is none of them.
std::optional<int> gpu_index(const std::string& asked) {
  if (asked == "auto" || asked == "cuda") return 0;
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  const char* end = asked.data() + asked.size();
  if (!asked.starts_with(kPrefix)) return std::nullopt;
  const auto [rest, failure] = std::from_chars(asked.data() + kPrefix.size(), end, index);
  if (failure != std::errc() || rest != end || index < 0) return std::nullopt;
  return index;
}

}  // namespace

DeviceChoice choose_device(const std::string& asked, int threads) {
  auto cpu = [&](std::string why) {
    Caps caps = cpu_caps(threads);
    std::string reason = fmt::format("CPU, {} threads, {}: {}", threads, isa_name(caps.isa), why);
    return DeviceChoice{{DeviceKind::kCpu}, std::move(caps), std::move(reason)};
  };
  if (asked == "cpu") return cpu("asked for with --device");
  const std::optional<int> gpu = gpu_index(asked);
  if (!gpu) throw Error(Code::kInvalidArgument, fmt::format("--device {}: expected auto, cpu, cuda or cuda:N", asked));
  const bool wants_cuda = asked != "auto";
  if constexpr (cuda::kBuilt) {
    const int count = cuda::device_count();
    const int index = *gpu;
    if (index < count) {
      Caps caps = cuda::caps(index);
      std::string reason = fmt::format("{} (sm_{}, {} multiprocessors): {}", caps.name, caps.sm, caps.multiprocessors,
                                       asked == "auto" ? "a usable NVIDIA GPU is here" : "asked for with --device");
      return {{DeviceKind::kCuda, index}, std::move(caps), std::move(reason)};
    }
    std::string why = count == 0 ? cuda::why_none() : fmt::format("this machine has {} GPUs", count);
    if (wants_cuda) throw Error(Code::kDevice, fmt::format("--device {}: {}", asked, why));
    return cpu(why);
  }
  if (wants_cuda) throw Error(Code::kUnsupported, "this build has no CUDA backend; build with preset 'cuda'");
  return cpu("this build has no CUDA backend");
}

std::vector<ModelSpec> known_models(const config::Config& config) {
  std::vector<ModelSpec> models;
  const fetch::Store store = store_of(config);
  Result<std::vector<fetch::StoredModel>> stored = store.list();
  if (!stored) log::warn("model store: {}", stored.error().message());
  for (const config::ModelProfile& profile : config.models) {
    std::string path = profile.path.string();
    if (path.empty()) {
      Result<fetch::StoredModel> found = store.find(profile.name);
      if (!found) {
        log::warn("[models.\"{}\"]: {}", profile.name, found.error().message());
        continue;
      }
      path = found->path().string();
    }
    models.push_back(base_spec(config, profile.name, path));
    apply_profile(models.back(), profile);
  }
  if (!stored) return models;
  for (const fetch::StoredModel& model : *stored) {
    bool has_profile = std::any_of(models.begin(), models.end(),
                                   [&](const ModelSpec& spec) { return spec.load.name == model.name; });
    if (!has_profile) models.push_back(base_spec(config, model.name, model.path().string()));
  }
  return models;
}

void add_model(std::vector<ModelSpec>& models, ModelSpec model) {
  auto is_same = [&](const ModelSpec& there) {
    std::error_code failure;
    return there.answers_to(model.load.name) && fs::equivalent(there.load.path, model.load.path, failure);
  };
  if (std::none_of(models.begin(), models.end(), is_same)) models.push_back(std::move(model));
}

ModelSpec model_for(const config::Config& config, const std::string& name_or_path) {
  for (ModelSpec& spec : known_models(config)) {
    if (spec.answers_to(name_or_path)) return std::move(spec);
  }
  if (fs::exists(name_or_path)) return base_spec(config, name_of_file(name_or_path), name_or_path);
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".gguf")) {
    throw Error(Code::kNotFound, fmt::format("no model file or folder at {}", name_or_path));
  }
  throw std::move(store_of(config).find(name_or_path)).error();
}

namespace {

bool is_discrete(const DeviceChoice& choice) {
  return choice.device.kind == DeviceKind::kCuda && !choice.caps.is_integrated;
}

governor::Floors floors_of(const config::Memory& memory, const machine::Root& root) {
  const machine::HostMemory host = machine::read_host_memory(root);
  const int64_t total = host.total_bytes.value_or(0);
  governor::Floors floors = governor::floors_for(std::min(total, host.cgroup_limit_bytes.value_or(total)));
  floors.soft_bytes = memory.soft_floor_bytes.value_or(floors.soft_bytes);
  floors.hard_bytes = memory.hard_floor_bytes.value_or(floors.hard_bytes);
  floors.panic_bytes = memory.panic_floor_bytes.value_or(floors.panic_bytes);
  if (floors.soft_bytes >= floors.hard_bytes && floors.hard_bytes >= floors.panic_bytes) return floors;
  throw Error(Code::kInvalidArgument,
              fmt::format("memory.soft_floor {}, hard_floor {} and panic_floor {}: each must be at least the next",
                          format_bytes(floors.soft_bytes), format_bytes(floors.hard_bytes),
                          format_bytes(floors.panic_bytes)));
}

}  // namespace

machine::Root machine_root() {
  const char* folder = std::getenv("HEARTH_TEST_MACHINE");
  return folder && *folder ? machine::Root(std::string(folder)) : machine::Root();
}

Host::Host(config::Config config, const std::string& device)
    : config_(std::move(config)), threads_(thread_count(config_)), choice_(choose_device(device, threads_)),
      is_host_pool_(!is_discrete(choice_)) {
  const machine::Root root = machine_root();
  const int64_t configured = config_.memory.budget_bytes.value_or(0);
  governor_ = std::make_unique<governor::Governor>(governor::GovernorOptions{
      .root = root, .has_integrated_gpu = choice_.caps.is_integrated,
      .needs_blocks = choice_.device.kind == DeviceKind::kCuda && choice_.caps.is_integrated,
      .limits = {is_host_pool_ ? configured : 0, config_.memory.reserve_bytes.value_or(0)},
      .floors = floors_of(config_.memory, root), .end_process = {}});
  host_budget_.emplace(choice_.caps.is_integrated ? "unified" : "host",
                       [g = governor_.get()] { return g->limit_bytes(); });
  host_budget_->set_reserve_bytes(governor_->reserve_bytes());
  if (is_host_pool_) {
    memory_ = std::make_unique<governor::LeasedAllocator>(*host_budget_, choice_.device, look());
  } else if constexpr (cuda::kBuilt) {
    device_account_.emplace(choice_.device.text(), configured, [index = choice_.device.index] {
      const cuda::MemoryInfo info = cuda::memory_info(index);
      return governor::DeviceAccount::Memory{info.total_bytes, info.free_bytes};
    });
    memory_ = std::make_unique<governor::LeasedAllocator>(device_account_->budget(), choice_.device);
  }
  governor::Budget& budget = memory_->budget();
  if (choice_.device.kind != DeviceKind::kCpu) {
    if constexpr (cuda::kBuilt) {
      const int64_t taken = cuda::initialise(choice_.device.index);
      driver_lease_ = std::move(budget.take(taken, "driver", /*is_there=*/true)).value();
      gpu_ = cuda::bus_id(choice_.device.index);
    }
    own_host_memory_ =
        std::make_unique<governor::LeasedAllocator>(*host_budget_, Device{DeviceKind::kCpu}, look());
  }
  evictor_ = std::make_unique<governor::Evictor>(budget);
  budget.set_idle([e = evictor_.get()] { return e->idle(); });
}

governor::LeasedAllocator::Look Host::look() const {
  return [g = governor_.get()](int64_t bytes) { return g->may_take(bytes); };
}

EngineOptions Host::engine_options(std::vector<ModelSpec> models) {
  return {.device = choice_.device, .caps = choice_.caps,
          .threads = choice_.device.kind == DeviceKind::kCpu ? threads_ : std::min(threads_, 4),
          .maps_files = maps_files(), .max_queue = config_.server.max_queue, .default_model = config_.llm.default_model,
          .models = std::move(models), .host_memory = own_host_memory_.get(), .is_one_pool = is_host_pool_,
          .admit = [g = governor_.get()] { return g->admit(); },
          .advise = [caps = choice_.caps](const Error& refusal, const LoadOptions& load, const std::stop_token& stop) {
            return planner::advise(refusal, load, caps, stop);
          }};
}

}  // namespace hearth::app
