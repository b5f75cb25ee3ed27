// Row 1: wheels, programs and images of another processor.
#include <algorithm>

#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

// Docker names architectures in Go's words.
std::string docker_word(const std::string& architecture) {
  if (architecture == "aarch64") return "arm64";
  return architecture == "x86_64" ? "amd64" : architecture;
}

void add_wheels(const Context& context, const std::string& machine, Outcome& wrong) {
  for (const Package& package : context.packages()) {
    const bool is_foreign = (contains(package.tag, "x86_64") && machine == "aarch64") ||
                            (contains(package.tag, "aarch64") && machine == "x86_64");
    if (!is_foreign) continue;
    wrong.saw(package.folder, package.name + " " + package.version + " is for " + package.tag);
    wrong.by_hand("pip install --force-reinstall " + package.name, "run it in that environment, on this machine");
  }
}

// Programs that services start: "ExecStart=-/usr/bin/env ..." -> "/usr/bin/env".
std::vector<std::string> programs_of_units(const Context& context) {
  constexpr std::string_view kKey = "ExecStart=", kPrefixes = "-@:+!";
  std::vector<std::string> paths;
  for (const Unit& unit : context.units()) {
    for (const std::string& line : machine::lines_of(unit.text)) {
      if (!line.starts_with(kKey)) continue;
      const std::vector<std::string> words = words_of(line.substr(kKey.size()));
      const size_t start = words.empty() ? std::string::npos : words[0].find_first_not_of(kPrefixes);
      if (start != std::string::npos && words[0][start] == '/') paths.push_back(words[0].substr(start));
    }
  }
  return paths;
}

std::vector<std::string> engine_binaries(const Context& context) {
  constexpr const char* kServer = "build/bin/llama-server";
  std::vector<std::string> paths = programs_of_units(context);
  for (const std::string& folder : folders_with(context, kServer, {"llama.cpp"})) {
    paths.push_back(folder + "/" + kServer);
  }
  for (const char* path : {"/usr/local/bin/llama-server", "/usr/local/bin/ollama", "/usr/bin/ollama"}) {
    paths.push_back(path);
  }
  std::ranges::sort(paths);
  paths.erase(std::ranges::unique(paths).begin(), paths.end());
  return paths;
}

// The processor an ELF file is for, in uname's words; "" when it is no ELF file or one of another kind.
std::string machine_of_elf(const std::string& head) {
  constexpr size_t kMachine = 18;  // e_machine, two bytes
  if (head.size() < kMachine + 2 || !head.starts_with("\x7f" "ELF")) return "";
  const int machine = static_cast<unsigned char>(head[kMachine]) | static_cast<unsigned char>(head[kMachine + 1]) << 8;
  return machine == 62 ? "x86_64" : machine == 183 ? "aarch64" : "";
}

void add_binaries(const Context& context, const std::string& machine, Outcome& wrong) {
  for (const std::string& path : engine_binaries(context)) {
    const std::string own = machine_of_elf(context.root().head(path, 20).value_or(""));
    if (own.empty() || own == machine) continue;
    wrong.saw(path, "an ELF file for " + own);
    wrong.by_hand("file " + path, "shows it; take a build for " + machine + ", or build it on this machine");
  }
}

// Of the first few images, to stay quick on machines with hundreds.
void add_images(const Context& context, const std::string& machine, Outcome& wrong) {
  constexpr size_t kMostImages = 16;
  const std::string own = docker_word(machine);
  size_t seen = 0;
  for (const std::string& id : machine::lines_of(context.said({"docker", "image", "ls", "-q"}).value_or(""))) {
    if (id.empty() || ++seen > kMostImages) continue;
    const Command inspect = {"docker", "image", "inspect", "--format", "{{.Architecture}} {{.RepoTags}}", id};
    const std::string said = trimmed(context.said(inspect).value_or(""));
    if (said.empty() || said.starts_with(own)) continue;
    wrong.saw("docker image inspect", said);
    wrong.by_hand("docker pull --platform linux/" + own + " IMAGE",
                  "where the image has a build for this machine; else take another image or build it here");
  }
}

Outcome architecture(const Context& context) {
  const std::string machine = context.architecture();
  if (machine.empty()) return unknown("`uname -m` did not answer");
  Outcome wrong = failure("programs of another architecture are installed: they end with \"exec format error\", or run "
                          "emulated and without the GPU");
  add_wheels(context, machine, wrong);
  add_binaries(context, machine, wrong);
  add_images(context, machine, wrong);
  if (!wrong.evidence.empty()) return wrong.saw("uname -m", machine);
  return ok().saw("uname -m", machine);
}

constexpr Check kChecks[] = {{1, "architecture", Topic::kDriver,
                              "Programs and images are of this machine's architecture",
                              "exec format error; no matching manifest for linux/arm64", architecture}};

}  // namespace

std::span<const Check> architecture_checks() { return kChecks; }

}  // namespace hearth::doctor
