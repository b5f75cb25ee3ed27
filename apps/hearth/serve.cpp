// hearth serve: the HTTP server over the engine, until SIGINT or SIGTERM.
#include <csignal>
#include <iostream>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "host.h"
#include "server/server.h"

namespace hearth::app {
namespace {

constexpr double kDrainSeconds = 2.5;  // what remains of a 5 s stop goes to freeing memory

struct ServeOptions {
  std::string host, device = "auto", preload;
  std::optional<int> port, threads;
  std::vector<std::string> models;
};

Flags flags_of(const ServeOptions& options) {
  Flags flags;
  if (!options.host.empty()) flags.emplace_back("server.host", options.host);
  if (options.port) flags.emplace_back("server.port", std::to_string(*options.port));
  if (options.threads) flags.emplace_back("llm.threads", std::to_string(*options.threads));
  return flags;
}

server::ServerOptions server_options(const config::Server& c) {
  server::ServerOptions options;
  options.host = c.host;
  options.port = c.port;
  options.api_key = c.api_key;
  options.max_body_bytes = c.max_body_bytes;
  options.header_timeout_s = std::chrono::duration<double>(c.header_timeout).count();
  options.request_timeout_s = std::chrono::duration<double>(c.request_timeout).count();
  options.max_connections = c.max_connections;
  options.allowed_origins = c.allowed_origins;
  options.allowed_hosts = c.allowed_hosts;
  return options;
}

// Signals are taken by sigwait on the main thread; every other thread inherits the block.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

int serve(const Common& common, const ServeOptions& options) {
  const sigset_t signals = block_stop_signals();
  Host host(read_config(common.config_file, flags_of(options)), options.device);
  log::info("device: {}", host.choice().reason);
  log::info("memory: budget {} in pool '{}'", format_bytes(host.memory().budget().limit_bytes()),
            host.memory().budget().pool());

  std::vector<ModelSpec> models = known_models(host.config());
  for (const std::string& model : options.models) models.push_back(model_for(host.config(), model));
  if (models.empty()) log::warn("no models installed; get one with `hearth pull` and restart");
  for (const ModelSpec& spec : models) log::info("model {}: {}", spec.load.name, spec.load.path);

  Engine engine(host.engine_options(std::move(models)), host.memory());
  server::Server server(engine, server_options(host.config().server));
  server.start().value();
  if (!options.preload.empty()) engine.preload(options.preload).value();
  const std::string& shown = host.config().server.host;
  log::info("ready on http://{}:{}", shown.find(':') == shown.npos ? shown : "[" + shown + "]", server.port());

  int signal = 0;
  sigwait(&signals, &signal);
  log::info("{}: stopping", signal == SIGINT ? "SIGINT" : "SIGTERM");
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
  app.add_option("--preload", options->preload, "Load this model at start instead of at its first request");
  return [options, &common] { return serve(common, *options); };
}

}  // namespace hearth::app
