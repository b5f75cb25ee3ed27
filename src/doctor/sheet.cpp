#include "doctor/sheet.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/units.h"
#include "doctor/programs.h"

namespace hearth::doctor {
namespace {

std::string describe(const machine::Gpu& gpu) {
  std::string text = gpu.name;
  if (gpu.compute_capability) {
    text += fmt::format(", compute capability {}.{}", *gpu.compute_capability / 10, *gpu.compute_capability % 10);
  }
  if (gpu.multiprocessors) text += fmt::format(", {} multiprocessors", *gpu.multiprocessors);
  if (gpu.memory_bytes) text += ", " + format_bytes(*gpu.memory_bytes) + " of its own";
  if (gpu.is_integrated.value_or(false)) text += ", shares the host's memory";
  return text;
}

// Models of /proc/cpuinfo: x86 names them; on ARM lscpu knows the parts.
std::string cpu_name(const Context& context, int& cores) {
  const std::string text = context.root().text("/proc/cpuinfo").value_or("");
  for (const std::string& line : machine::lines_of(text)) cores += line.starts_with("processor");
  if (const std::optional<std::string> name = machine::field_of(text, "model name")) return *name;
  std::vector<std::string> names;
  for (const std::string& line : machine::lines_of(context.said({"lscpu"}).value_or(""))) {
    const std::optional<std::string> name = machine::field_of(line, "Model name");
    if (name && !std::ranges::count(names, *name)) names.push_back(*name);
  }
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : " + ") + name;
  return all;
}

void read_network(const Context& context, Sheet& sheet) {
  for (const Interface& network : context.interfaces()) {
    if (network.name == "lo" || network.state == "DOWN") continue;
    for (const std::string& address : network.addresses) sheet.addresses.emplace_back(network.name, address);
  }
  sheet.urls.push_back(fmt::format("http://localhost:{}", sheet.port));
  for (const Interface& network : context.interfaces()) {
    if (!network.is_physical || network.state == "DOWN" || network.addresses.empty()) continue;
    const std::string& address = network.addresses[0];
    const bool is_v6 = contains(address, ":");
    sheet.urls.push_back(fmt::format("http://{}{}{}:{}", is_v6 ? "[" : "", address, is_v6 ? "]" : "", sheet.port));
  }
}

// Labels and values of both text forms.
std::vector<std::pair<std::string, std::string>> lines_of_sheet(const Sheet& sheet) {
  std::vector<std::pair<std::string, std::string>> lines;
  auto add = [&](const char* label, const std::string& value) {
    lines.emplace_back(label, value.empty() ? "unknown" : value);
  };
  if (!sheet.hearth_version.empty()) add("hearth", sheet.hearth_version);
  add("host", sheet.host);
  if (!sheet.product.empty()) add("product", sheet.product);
  add("system", sheet.system);
  add("kernel", sheet.kernel + (sheet.architecture.empty() ? "" : " " + sheet.architecture));
  add("cpu", sheet.cores > 0 ? fmt::format("{} cores, {}", sheet.cores,
      sheet.cpu.empty() ? "?" : sheet.cpu) : sheet.cpu);
  add("memory", sheet.memory_bytes == 0
                    ? ""
                    : fmt::format("{}{}, {} available, swap {}", format_bytes(sheet.memory_bytes),
                                  sheet.is_unified ? " shared by CPU and GPU" : "", format_bytes(sheet.available_bytes),
                                  format_bytes(sheet.swap_bytes)));
  if (sheet.gpus.empty()) lines.emplace_back("gpu", "none that a driver states");
  for (const std::string& gpu : sheet.gpus) add("gpu", gpu);
  if (!sheet.gpus.empty()) add("driver", sheet.driver + (sheet.cuda.empty() ? "" : ", CUDA up to " + sheet.cuda));
  for (const auto& [network, address] : sheet.addresses) add("address", address + " (" + network + ")");
  for (const std::string& url : sheet.urls) {
    add("url", url + "  page and ComfyUI API; " + url + "/v1  OpenAI API");
  }
  add("models in", sheet.models_dir);
  for (const SheetModel& model : sheet.models) add("model", model.name + ", " + format_bytes(model.bytes));
  for (const auto& [name, version] : sheet.versions) add("version", name + " " + version);
  return lines;
}

}  // namespace

void read_sheet(const Context& context, Sheet& sheet) {
  const machine::Root& root = context.root();
  sheet.host = trimmed(root.text("/proc/sys/kernel/hostname").value_or(""));
  sheet.system = machine::field_of(root.text("/etc/os-release").value_or(""), "PRETTY_NAME").value_or("");
  sheet.kernel = trimmed(root.text("/proc/sys/kernel/osrelease").value_or(""));
  sheet.architecture = context.architecture();
  sheet.product = trimmed(root.text("/sys/class/dmi/id/product_name").value_or(""));
  sheet.cores = 0;
  sheet.cpu = cpu_name(context, sheet.cores);
  for (const machine::Gpu& gpu : context.gpus()) sheet.gpus.push_back(describe(gpu));
  sheet.driver = context.driver().kernel_version.value_or("");
  if (const std::optional<int> cuda = context.driver().cuda_version) {
    sheet.cuda = fmt::format("{}.{}", *cuda / 1000, *cuda % 1000 / 10);
  }
  const machine::HostMemory& memory = context.memory();
  sheet.memory_bytes = memory.total_bytes.value_or(0);
  sheet.available_bytes = memory.available_bytes.value_or(0);
  sheet.swap_bytes = memory.swap_total_bytes.value_or(0);
  sheet.is_unified = context.is_unified();
  sheet.port = context.options().port;
  read_network(context, sheet);
  sheet.models_dir = context.models_dir();
  for (const Program& program : find_programs(context)) {
    if (!program.version.empty()) sheet.versions.emplace_back(program.name, program.version + " in " + program.place);
  }
}

std::string headline(const Sheet& sheet) {
  std::string text = sheet.host.empty() ? "this machine" : sheet.host;
  text += ": " + (sheet.gpus.empty() ? std::string("no GPU") : sheet.gpus[0].substr(0, sheet.gpus[0].find(',')));
  if (sheet.memory_bytes > 0) {
    text += ", " + format_bytes(sheet.memory_bytes) + (sheet.is_unified ? " shared by CPU and GPU" : " of host memory");
  }
  if (!sheet.driver.empty()) text += ", driver " + sheet.driver;
  return text + (sheet.architecture.empty() ? "" : ", " + sheet.architecture);
}

std::string sheet_as_text(const Sheet& sheet) {
  std::string text;
  for (const auto& [label, value] : lines_of_sheet(sheet)) text += fmt::format("{:<10} {}\n", label, value);
  return text;
}

std::string sheet_as_markdown(const Sheet& sheet) {
  std::string text = "| | |\n|---|---|\n";
  for (const auto& [label, value] : lines_of_sheet(sheet)) text += fmt::format("| {} | {} |\n", label, value);
  return text;
}

Value as_value(const Sheet& sheet) {
  Value gpus = Value::list(), addresses = Value::list(), urls = Value::list(), models = Value::list();
  Value versions = Value::list();
  for (const std::string& gpu : sheet.gpus) gpus.push(gpu);
  for (const auto& [network, address] : sheet.addresses) {
    addresses.push(Value::object({{"interface", network}, {"address", address}}));
  }
  for (const std::string& url : sheet.urls) urls.push(url);
  for (const SheetModel& model : sheet.models) {
    models.push(Value::object({{"name", model.name}, {"bytes", model.bytes}}));
  }
  for (const auto& [name, version] : sheet.versions) {
    versions.push(Value::object({{"name", name}, {"version", version}}));
  }
  return Value::object({{"hearth", sheet.hearth_version}, {"host", sheet.host}, {"product", sheet.product},
                        {"system", sheet.system}, {"kernel", sheet.kernel}, {"architecture", sheet.architecture},
                        {"cpu", sheet.cpu}, {"cores", sheet.cores}, {"gpus", std::move(gpus)},
                        {"driver", sheet.driver}, {"cuda", sheet.cuda}, {"memory_bytes", sheet.memory_bytes},
                        {"available_bytes", sheet.available_bytes}, {"swap_bytes", sheet.swap_bytes},
                        {"is_unified", sheet.is_unified}, {"addresses", std::move(addresses)}, {"port", sheet.port},
                        {"urls", std::move(urls)}, {"models_dir", sheet.models_dir}, {"models", std::move(models)},
                        {"versions", std::move(versions)}});
}

}  // namespace hearth::doctor
