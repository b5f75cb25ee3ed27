// hearth serve: the HTTP server over the language models and the picture studio, until SIGINT or SIGTERM.
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "host.h"
#include "governor/watchdog/start.h"
#include "machine/memory.h"
#include "memory_keeper.h"
#include "picture_host.h"
#include "plan_desk.h"
#include "server/server.h"
#include "server/workflow_backend.h"
#include "stop_signals.h"

namespace hearth::app {
namespace {

constexpr double kDrainSeconds = 2.5;  // what remains of a 5 s stop goes to freeing memory

struct ServeOptions {
  std::string host, device = "auto", preload, frontend, preview;
  std::optional<int> port, threads;
  std::vector<std::string> models;
  bool is_quiet = false;
};

Flags flags_of(const ServeOptions& options) {
  Flags flags;
  if (!options.host.empty()) flags.emplace_back("server.host", options.host);
  if (options.port) flags.emplace_back("server.port", std::to_string(*options.port));
  if (options.threads) flags.emplace_back("llm.threads", std::to_string(*options.threads));
  if (!options.frontend.empty()) flags.emplace_back("pictures.frontend", options.frontend);
  if (!options.preview.empty()) flags.emplace_back("pictures.preview", options.preview);
  return flags;
}

server::ServerOptions server_options(const config::Server& c, int most_generations) {
  server::ServerOptions options;
  options.host = c.host;
  options.port = c.port;
  options.api_key = c.api_key;
  options.max_body_bytes = c.max_body_bytes;
  options.header_timeout_s = std::chrono::duration<double>(c.header_timeout).count();
  options.request_timeout_s = std::chrono::duration<double>(c.request_timeout).count();
  options.max_connections = c.max_connections;
  options.max_queue = most_generations;
  options.allowed_origins = c.allowed_origins;
  options.allowed_hosts = c.allowed_hosts;
  return options;
}

// What runs at once and what may wait; the engine says more exactly when a queue is full.
int most_generations(const config::Server& c, const std::vector<ModelSpec>& models) {
  int64_t most = c.max_queue;
  for (const ModelSpec& spec : models) most += spec.load.parallel;
  return static_cast<int>(std::min<int64_t>(most, std::numeric_limits<int>::max()));
}

// Loads --preload's model and the pinned ones; false when a signal came first.
bool load_first(Engine& engine, const std::string& preload, const std::vector<ModelSpec>& models,
                const StopSignals& signals) {
  std::vector<std::string> wanted;
  if (!preload.empty()) wanted.push_back(preload);
  for (const ModelSpec& spec : models) {
    if (spec.keep_alive_s < 0) wanted.push_back(spec.load.name);
  }
  for (const std::string& name : wanted) {
    Result<void> loaded = engine.preload(name);
    if (signals.came()) return false;
    loaded.value();
  }
  return !signals.came();
}

comfy::SystemFacts system_facts(Host& host, PictureHost& pictures) {
  const machine::HostMemory memory = machine::read_host_memory();
  const governor::Budget& budget = pictures.memory().budget();
  const int64_t total = memory.total_bytes.value_or(0);
  comfy::DeviceFacts device;
  device.memory_kind = host.choice().caps.is_integrated ? "unified" : "host";
  device.pool_bytes = std::min(total, memory.cgroup_limit_bytes.value_or(total));
  // What a program that asks could really get: the account has it, and the machine above its floor.
  const int64_t spare = host.governor().reading().room_bytes - host.governor().floors().soft_bytes;
  device.grantable_bytes = std::max<int64_t>(std::min(budget.free_bytes(), spare), 0);
  device.budget_bytes = budget.limit_bytes();
  device.leased_bytes = budget.leased_bytes();
  return {.ram_total = total, .ram_free = memory.available_bytes.value_or(0), .devices = {std::move(device)},
          .argv = {"hearth", "serve"}, .version = HEARTH_VERSION};
}

// What a preset says beyond the server's defaults, as inputs of a HearthComputeOptions node; null when nothing.
Value compute_of(const config::Preset& p, const config::Pictures& defaults) {
  const bool slices = p.vae_slicing.value_or(defaults.vae_slicing);
  if (!p.precision && !p.attention && !p.vae_tiling && slices == defaults.vae_slicing) return Value(nullptr);
  return Value::object({{"precision", p.precision.value_or("default")}, {"attention", p.attention.value_or("default")},
                        {"vae_slicing", slices ? "on" : "off"}, {"vae_tiling", p.vae_tiling.value_or("default")},
                        {"vae_tile", p.vae_tile.value_or(defaults.vae_tile)}});
}

// A number that the page's form takes; it draws one at a time where memory is to decide.
Value batch_of(const config::Preset& p) {
  constexpr int64_t kMostOfForm = 64;
  if (!p.batch) return Value(nullptr);
  return p.batch->is_auto ? Value(1) : Value(std::min(p.batch->most, kMostOfForm));
}

Value preset_list(const config::Config& config) {
  Value list = Value::list();
  auto or_null = [](const auto& value) { return value ? Value(*value) : Value(nullptr); };
  for (const config::Preset& p : config.presets) {
    list.push(Value::object({{"name", p.name}, {"steps", or_null(p.steps)}, {"cfg", or_null(p.cfg)},
                             {"sampler", or_null(p.sampler)}, {"scheduler", or_null(p.scheduler)},
                             {"batch", batch_of(p)}, {"batch_is_auto", p.batch && p.batch->is_auto},
                             {"width", or_null(p.width)}, {"height", or_null(p.height)},
                             {"negative", p.negative.value_or("")}, {"note", p.note},
                             {"compute", compute_of(p, config.pictures)},
                             {"is_default", p.name == config.pictures.default_preset}}));
  }
  return list;
}

server::ComfyOptions comfy_options(const config::Config& config, server::ComfyBackend& backend) {
  const config::Pictures& pictures = config.pictures;
  const fs::path user = pictures.user_dir.empty() ? fs::path(default_pictures_folder()) / "user" : pictures.user_dir;
  make_folders(user).value();
  return {.backend = &backend, .database = user / "hearth.sqlite", .user_folder = user, .frontend = pictures.frontend,
          .max_upload_bytes = pictures.max_upload_bytes, .presets = preset_list(config)};
}

void warn_of_missing_default(const std::string& name, const std::vector<ModelSpec>& models) {
  const bool is_there = std::any_of(models.begin(), models.end(),
                                    [&](const ModelSpec& spec) { return spec.answers_to(name); });
  if (!name.empty() && !is_there) log::warn("llm.default_model '{}' is none of the models here", name);
}

// What the server needs for pictures; empty when they are off.
struct PictureSide {
  std::unique_ptr<PictureHost> host;
  std::unique_ptr<server::WorkflowBackend> backend;
};

void unload_all(Engine& engine) {
  for (const governor::Resident& model : engine.residents()) engine.unload(model.name);
  ::malloc_trim(0);
}

server::WorkflowBackend::Hooks picture_hooks(Host& host, Engine& engine, PictureHost& pictures) {
  constexpr std::chrono::minutes kLongestWait{1};
  return {.system = [&] { return system_facts(host, pictures); },
          .admit = [&] { return host.governor().admit(); },
          .wait_for_room =
              [&](const std::function<bool()>& gives_up) {
                return host.governor().wait_for_calm(gives_up, kLongestWait);
              },
          .unload_others = [&] { unload_all(engine); }};
}

// A folder that cannot be written costs the pictures only.
PictureSide make_pictures(Host& host, Engine& engine) {
  PictureSide pictures;
  try {
    pictures.host = std::make_unique<PictureHost>(host, picture_places(host.config().pictures), &engine.executor());
    pictures.backend = std::make_unique<server::WorkflowBackend>(pictures.host->studio(), host.config(),
                                                                 picture_hooks(host, engine, *pictures.host));
    return pictures;
  } catch (const Error& e) {
    if (e.code() != Code::kIo && e.code() != Code::kBusy) throw;
    log::warn("pictures are off: {}; set the folders in [pictures], or stop the other server", e.message());
  }
  return {};
}

// So does a queue that another server holds.
std::unique_ptr<server::Server> make_server(Host& host, Engine& engine, const server::ServerOptions& options,
                                            const PictureSide& pictures, MemoryKeeper& keeper,
                                            const planner::Desk& desk) {
  if (pictures.backend) {
    try {
      return std::make_unique<server::Server>(engine, options, comfy_options(host.config(), *pictures.backend),
                                              &keeper, desk);
    } catch (const Error& e) {
      if (e.code() != Code::kIo && e.code() != Code::kBusy) throw;
      log::warn("pictures are off: {}; set the folders in [pictures], or stop the other server", e.message());
    }
  }
  return std::make_unique<server::Server>(engine, options, server::ComfyOptions(), &keeper, desk);
}

// The watchdog first: what it inherits must not be the readiness to die.
void protect_host(Host& host) {
  const char* machine = std::getenv("HEARTH_TEST_MACHINE");
  const std::string meminfo = std::string(machine ? machine : "") + "/proc/meminfo";
  if (host.config().memory.watchdog) {
    std::error_code failure;
    const fs::path program = fs::read_symlink("/proc/self/exe", failure).parent_path() / "hearth-watchdog";
    const Result<int> started = governor::start_watchdog(program.string(), host.governor().floors(), meminfo);
    if (!started) log::warn("no watchdog: {}; a server that hangs is not ended", started.error().message());
  }
  governor::offer_self_to_oom_killer();
}

// Plans of this server: clients name what is installed, never a path, and hear what would be granted now.
planner::Desk server_desk(const Host& host, MachineHere& here, const std::vector<ModelSpec>& models, Engine& engine,
                          MemoryKeeper& keeper) {
  planner::Desk desk = plan_desk(host.config(), here, /*opens_paths=*/false, models);
  desk.room = [&keeper](bool for_pictures) { return std::optional(keeper.room(for_pictures)); };
  desk.is_loaded = [&](const std::string& name) {
    const std::vector<governor::Resident> there = engine.residents();
    return std::any_of(models.begin(), models.end(), [&](const ModelSpec& spec) {
      auto is_it = [&](const governor::Resident& resident) { return resident.name == spec.load.name; };
      return spec.answers_to(name) && std::any_of(there.begin(), there.end(), is_it);
    });
  };
  return desk;
}

// A courtesy: what goes wrong with it ends no server.
void suggest_larger(const Host& host, MachineHere& here, const std::vector<ModelSpec>& models,
                    MemoryKeeper& keeper) try {
  const std::string best = suggested_model(host.config(), here, models, keeper.room(false).bytes());
  if (!best.empty()) log::info("a larger model for this machine: {}", best);
} catch (const std::exception& e) {
  log::debug("no larger model is named: {}", e.what());
}

int serve(const Common& common, const ServeOptions& options) {
  if (options.is_quiet && common.log_level == "info") log::set_level("warn");
  StopSignals signals;
  Host host(read_config(common.config_file, flags_of(options)), options.device);
  log::info("device: {}", host.choice().reason);
  const governor::Floors& floors = host.governor().floors();
  log::info("memory: budget {} in pool '{}'; floors {}, {} and {}", format_bytes(host.memory().budget().limit_bytes()),
            host.memory().budget().pool(), format_bytes(floors.soft_bytes), format_bytes(floors.hard_bytes),
            format_bytes(floors.panic_bytes));
  protect_host(host);

  std::vector<ModelSpec> models = known_models(host.config());
  for (const std::string& model : options.models) add_model(models, model_for(host.config(), model));
  check_names_are_distinct(models).value();
  if (models.empty()) log::warn("no models installed; get one with `hearth pull` and restart");
  for (const ModelSpec& spec : models) log::info("model {}: {}", spec.load.name, spec.load.path);

  warn_of_missing_default(host.config().llm.default_model, models);

  MachineHere here(host.config(), host.choice(), host.threads(), &host.host_memory());
  here.look();  // its rates, before this process works
  Engine engine(host.engine_options(models), host.memory());
  const config::Server& asked = host.config().server;
  const PictureSide pictures = make_pictures(host, engine);
  MemoryKeeper keeper(host, engine, pictures.host.get());
  if (pictures.backend) pictures.backend->set_room([&keeper] { return keeper.room(/*for_pictures=*/true).bytes(); });
  const auto made = make_server(host, engine, server_options(asked, most_generations(asked, models)), pictures, keeper,
                                server_desk(host, here, models, engine, keeper));
  server::Server& server = *made;
  const std::stop_callback give_up_loading(signals.token(), [&] { engine.cancel_loads(); });
  server.start().value();
  if (load_first(engine, options.preload, models, signals)) {
    const std::string& shown = asked.host;
    log::info("ready on http://{}:{}", shown.find(':') == shown.npos ? shown : "[" + shown + "]", server.port());
    if (!options.is_quiet) suggest_larger(host, here, models, keeper);
  }
  log::info("{}: stopping", signals.wait());
  server.stop(kDrainSeconds);
  engine.shutdown(0);
  return 0;
}

}  // namespace

Action add_serve(CLI::App& app, Common& common) {
  auto options = std::make_shared<ServeOptions>();
  app.add_option("--host", options->host, "Address to listen on (default: server.host, 127.0.0.1)");
  app.add_option("--port", options->port, "Port to listen on (default: server.port, 8188)");
  app.add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--threads", options->threads, "CPU threads (default: one per core)");
  app.add_option("-m,--model", options->models, "Also offer this model: a file or folder; may be repeated");
  app.add_option("--frontend", options->frontend, "Serve this built ComfyUI frontend at / instead of the own page");
  app.add_option("--preview-method", options->preview, "Previews: auto, latent2rgb, taesd or none (pictures.preview)");
  app.add_option("--preload", options->preload, "Load this model at start instead of at its first request");
  app.add_flag("-q,--quiet", options->is_quiet, "Say nothing but warnings");
  return [options, &common] { return serve(common, *options); };
}

}  // namespace hearth::app
