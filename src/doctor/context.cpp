#include "doctor/context.h"

#include <algorithm>
#include <charconv>
#include <cctype>
#include <sstream>
#include <utility>

#include "formats/json/json.h"

namespace hearth::doctor {
namespace {

using machine::lines_of;
using machine::ToolOutput;

const Command kKernelLog = {"journalctl", "-k", "-b", "--no-pager", "-o", "short-iso", "-n", "3000"};
const Command kServiceLog = {"journalctl", "-b", "--no-pager", "-o", "short-iso", "-n", "2000", "-u", "hearth*",
                             "-u", "vllm*", "-u", "llama*", "-u", "comfyui*"};
constexpr std::string_view kEngines[] = {"hearth", "vllm", "llama", "comfy", "triton", "nvidia-smi", "sglang",
                                         "ollama", "torch"};

std::vector<Variable> own_variables(const machine::Root& root) {
  std::vector<Variable> variables;
  const std::string text = root.text("/proc/self/environ").value_or("");
  const char separator = contains(text, std::string_view("\0", 1)) ? '\0' : '\n';  // recordings have lines
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    const std::string line = text.substr(at, end - at);
    const size_t equals = line.find('=');
    if (equals != line.npos) variables.push_back({line.substr(0, equals), line.substr(equals + 1), "environment"});
    at = end + 1;
  }
  return variables;
}

// Environment="A=1" "B=2" of a unit file.
void add_unit_variables(const Unit& unit, std::vector<Variable>& variables) {
  for (const std::string& line : lines_of(unit.text)) {
    constexpr std::string_view kKey = "Environment=";
    const std::string text = trimmed(line);
    if (!text.starts_with(kKey)) continue;
    for (std::string word : words_of(text.substr(kKey.size()))) {
      std::erase(word, '"');
      const size_t equals = word.find('=');
      if (equals == word.npos) continue;
      variables.push_back({word.substr(0, equals), word.substr(equals + 1), "/etc/systemd/system/" + unit.name});
    }
  }
}

// journalctl says in a sentence that it may not show anything.
bool is_refused(const ToolOutput& output) {
  return output.exit_status != 0 || contains(output.text, "No journal files") ||
         contains(output.text, "insufficient permissions");
}

Interface interface_of(const Value& link, const machine::Root& root) {
  Interface found;
  auto text = [](const Value& object, const char* key) {
    const Value* value = object.find(key);
    return value && value->is_string() ? value->as_string() : std::string();
  };
  found.name = text(link, "ifname");
  found.state = text(link, "operstate");
  if (const Value* mtu = link.find("mtu"); mtu && mtu->is_integer()) found.mtu = mtu->as_int();
  found.is_physical = root.has("/sys/class/net/" + found.name + "/device");
  if (const Value* list = link.find("addr_info"); list && list->is_list()) {
    for (const char* family : {"inet", "inet6"}) {
      for (const Value& address : list->as_list()) {
        if (text(address, "family") != family || text(address, "scope") == "link") continue;
        found.addresses.push_back(text(address, "local"));
      }
    }
  }
  return found;
}

}  // namespace

const std::optional<ToolOutput>& Context::run(const Command& command, std::chrono::milliseconds limit) const {
  const auto known = outputs_.find(command);
  if (known != outputs_.end()) return known->second;
  return outputs_.emplace(command, root_.run(command, limit)).first->second;
}

std::optional<std::string> Context::said(const Command& command) const {
  const std::optional<ToolOutput>& output = run(command);
  return output && output->exit_status == 0 ? std::optional(output->text) : std::nullopt;
}

std::string Context::architecture() const { return trimmed(said({"uname", "-m"}).value_or("")); }

const std::vector<machine::Gpu>& Context::gpus() const {
  if (!gpus_) gpus_ = machine::read_gpus(root_);
  return *gpus_;
}

const machine::NvidiaDriver& Context::driver() const {
  if (!driver_) driver_ = machine::read_nvidia_driver(root_);
  return *driver_;
}

const machine::HostMemory& Context::memory() const {
  if (!memory_) memory_ = machine::read_host_memory(root_);
  return *memory_;
}

std::optional<int64_t> Context::page_bytes() const {
  const std::string text = trimmed(said({"getconf", "PAGESIZE"}).value_or(""));
  int64_t bytes = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return failure == std::errc() && bytes > 0 ? std::optional(bytes) : std::nullopt;
}

std::optional<bool> Context::has_nvidia() const {
  if (!gpus().empty() || driver().kernel_version) return true;
  if (!root_.has("/sys/bus/pci/devices")) return std::nullopt;
  return !machine::nvidia_pci_devices(root_).empty();
}

bool Context::is_gb10() const {
  return std::ranges::any_of(gpus(), [](const machine::Gpu& gpu) { return gpu.compute_capability == 121; });
}

bool Context::is_unified() const {
  return std::ranges::any_of(gpus(), [](const machine::Gpu& gpu) {
    return gpu.is_integrated.value_or(gpu.compute_capability == 121 && !gpu.memory_bytes);
  });
}

const std::vector<Variable>& Context::variables() const {
  if (variables_) return *variables_;
  variables_ = own_variables(root_);
  for (const Unit& unit : units()) add_unit_variables(unit, *variables_);
  return *variables_;
}

std::optional<std::string> Context::variable(std::string_view name) const {
  for (const Variable& variable : variables()) {
    if (variable.name == name && variable.where == "environment") return variable.value;
  }
  return std::nullopt;
}

std::string Context::models_dir() const {
  if (!options_.models_dir.empty()) return options_.models_dir;
  if (const std::optional<std::string> data = variable("XDG_DATA_HOME")) return *data + "/hearth/models";
  return home() + "/.local/share/hearth/models";
}

const std::vector<Unit>& Context::units() const {
  if (units_) return *units_;
  units_.emplace();
  for (const std::string& name : root_.names("/etc/systemd/system")) {
    if (!name.ends_with(".service")) continue;
    const std::string path = "/etc/systemd/system/" + name;
    // Only units that an engine's name stands in are opened: the others are nobody's business here.
    const bool has_name = std::ranges::any_of(kEngines, [&](std::string_view word) { return contains(name, word); });
    if (!has_name && !contains(name, "gpu") && !contains(name, "clock")) continue;
    if (std::optional<std::string> text = root_.text(path)) units_->push_back({name, std::move(*text)});
  }
  return *units_;
}

const std::vector<Package>& Context::packages() const {
  if (!packages_) packages_ = find_packages(*this);
  return *packages_;
}

std::vector<Package> Context::packages_named(std::string_view name) const {
  std::vector<Package> found;
  std::ranges::copy_if(packages(), std::back_inserter(found), [&](const Package& p) { return p.name == name; });
  return found;
}

const std::vector<Interface>& Context::interfaces() const {
  if (interfaces_) return *interfaces_;
  interfaces_.emplace();
  const Result<Value> links = json::parse(said({"ip", "-j", "addr"}).value_or("[]"));
  if (!links || !links->is_list()) return *interfaces_;
  for (const Value& link : links->as_list()) interfaces_->push_back(interface_of(link, root_));
  return *interfaces_;
}

// The mount point that covers most of the path.
std::optional<Mount> Context::mount_of(const std::string& path) const {
  const std::optional<std::string> text = root_.text("/proc/self/mounts");
  if (!text) return std::nullopt;
  std::optional<Mount> best;
  for (const std::string& line : lines_of(*text)) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() < 4) continue;
    const std::string& point = words[1];
    const bool covers = point == "/" || path == point || path.starts_with(point + "/");
    if (covers && (!best || point.size() >= best->point.size())) best = Mount{words[0], point, words[2], words[3]};
  }
  return best;
}

const std::optional<std::string>& Context::kernel_log() const {
  if (kernel_log_) return *kernel_log_;
  kernel_log_.emplace();
  const std::optional<ToolOutput>& journal = run(kKernelLog);
  if (journal && !is_refused(*journal)) {
    *kernel_log_ = journal->text;
  } else if (std::optional<std::string> ring = said({"dmesg"}); ring && !ring->empty()) {
    *kernel_log_ = std::move(ring);
  }
  return *kernel_log_;
}

const std::optional<std::string>& Context::program_log() const {
  if (program_log_) return *program_log_;
  program_log_.emplace();
  const std::optional<ToolOutput>& journal = run(kServiceLog);
  const bool has_journal = journal && !is_refused(*journal);
  if (!has_journal && options_.log.empty()) return *program_log_;
  *program_log_ = options_.log + (has_journal ? "\n" + journal->text : std::string());
  return *program_log_;
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

std::vector<std::string> words_of(std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace hearth::doctor
