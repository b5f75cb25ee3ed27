// The HTTP server over the scripted service, for clients under tests/server. Prints "port N" and serves until its
// standard input ends. Usage: fake_server [--api-key KEY] [--port N]
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "server/server.h"
#include "server/testing/scripted_service.h"

int main(int argc, char** argv) {
  using namespace hearth;
  server::ServerOptions options;
  options.port = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view flag = argv[i];
    if (flag == "--api-key") options.api_key = argv[i + 1];
    if (flag == "--port") options.port = std::atoi(argv[i + 1]);
  }
  log::set_level(log::Level::kError);
  server::ScriptedService service;
  server::Server server(service, options);
  if (auto started = server.start(); !started) {
    std::fprintf(stderr, "%s\n", started.error().message().c_str());
    return 1;
  }
  std::printf("port %d\n", server.port());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
  }
  server.stop(0.5);
  return 0;
}
