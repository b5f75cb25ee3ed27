// ComfyUI's API over the scripted backend, for clients under tests/server. Prints "port N" and serves until its
// standard input ends.
// Usage: fake_comfy --root FOLDER [--port N] [--frontend FOLDER] [--max-upload BYTES] [--max-unsent BYTES]
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "server/server.h"
#include "server/testing/scripted_comfy.h"
#include "server/testing/scripted_service.h"

int main(int argc, char** argv) {
  using namespace hearth;
  server::ServerOptions options;
  server::ComfyOptions comfy;
  options.port = 0;
  std::string root;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--root") root = argv[i + 1];
    if (flag == "--port") options.port = std::atoi(argv[i + 1]);
    if (flag == "--frontend") comfy.frontend = argv[i + 1];
    if (flag == "--max-upload") comfy.max_upload_bytes = std::atoll(argv[i + 1]);
    if (flag == "--max-unsent") options.max_socket_unsent_bytes = std::atoll(argv[i + 1]);
  }
  if (root.empty()) {
    std::fprintf(stderr, "--root names the folder of models/, input/, output/ and temp/\n");
    return 2;
  }
  log::set_level(log::Level::kOff);
  try {
    server::ScriptedService service;
    server::ScriptedComfy backend(root);
    comfy.backend = &backend;
    comfy.user_folder = std::filesystem::path(root) / "user";
    comfy.database = comfy.user_folder / "queue.sqlite";
    server::Server server(service, options, comfy);
    server.start().value();
    std::printf("port %d\n", server.port());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
    }
    server.stop(0.5);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
