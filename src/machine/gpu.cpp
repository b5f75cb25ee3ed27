#include "machine/gpu.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <sstream>

#include "machine/cuda_driver.h"

namespace hearth::machine {
namespace {

const Command kQuery = {"nvidia-smi",
                        "--query-gpu=index,name,compute_cap,memory.total,clocks.sm,clocks.max.sm,power.draw,"
                        "temperature.gpu,utilization.gpu,persistence_mode",
                        "--format=csv,noheader,nounits"};

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (;;) {
    const size_t comma = std::min(line.find(','), line.size());
    cells.push_back(trimmed(line.substr(0, comma)));
    if (comma == line.size()) return cells;
    line.remove_prefix(comma + 1);
  }
}

// "[N/A]", "Not Supported" and the like are unknown.
std::optional<double> number_of(const std::string& cell) {
  char* end = nullptr;
  const double value = std::strtod(cell.c_str(), &end);
  if (end == cell.c_str() || *end != '\0') return std::nullopt;
  return value;
}

std::optional<int> whole_of(const std::string& cell) {
  const std::optional<double> value = number_of(cell);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<int64_t> attribute(const std::string& text, std::string_view key) {
  const std::optional<std::string> field = field_of(text, key);
  int64_t value = 0;
  if (!field) return std::nullopt;
  const auto [rest, failure] = std::from_chars(field->data(), field->data() + field->size(), value);
  return failure == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<int> small_attribute(const std::string& text, std::string_view key) {
  const std::optional<int64_t> value = attribute(text, key);
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

std::optional<bool> flag_attribute(const std::string& text, std::string_view key) {
  const std::optional<int64_t> value = attribute(text, key);
  return value ? std::optional(*value != 0) : std::nullopt;
}

Gpu gpu_of_attributes(int index, const std::string& text) {
  Gpu gpu;
  gpu.index = index;
  gpu.name = field_of(text, "Name").value_or("");
  const std::optional<int> major = small_attribute(text, "ComputeCapabilityMajor");
  if (major) gpu.compute_capability = *major * 10 + small_attribute(text, "ComputeCapabilityMinor").value_or(0);
  gpu.multiprocessors = small_attribute(text, "MultiProcessorCount");
  gpu.is_integrated = flag_attribute(text, "Integrated");
  gpu.uses_host_page_tables = flag_attribute(text, "PageableMemoryAccessUsesHostPageTables");
  gpu.l2_bytes = attribute(text, "L2CacheSize");
  gpu.shared_bytes_per_block = attribute(text, "MaxSharedMemoryPerBlockOptin");
  if (!gpu.is_integrated.value_or(false)) gpu.memory_bytes = attribute(text, "TotalMemory");
  return gpu;
}

std::vector<std::string> attribute_texts(const Root& root) {
  if (!root.is_recorded()) return cuda_attribute_texts();
  std::vector<std::string> texts;
  for (const std::string& index : root.names("/gpu")) {
    texts.push_back(root.text("/gpu/" + index + "/attributes").value_or(""));
  }
  return texts;
}

// What nvidia-smi adds to, or knows instead of, the attributes.
void add_gauges(const std::vector<std::string>& cells, std::vector<Gpu>& gpus) {
  if (cells.size() < 10) return;
  const std::optional<int> index = whole_of(cells[0]);
  if (!index) return;
  auto gpu = std::find_if(gpus.begin(), gpus.end(), [&](const Gpu& known) { return known.index == *index; });
  if (gpu == gpus.end()) {
    gpu = gpus.insert(gpus.end(), Gpu());
    gpu->index = *index;
    gpu->name = cells[1];
    if (const std::optional<double> capability = number_of(cells[2])) {
      gpu->compute_capability = static_cast<int>(*capability * 10 + 0.5);
    }
    if (const std::optional<double> mib = number_of(cells[3])) gpu->memory_bytes = static_cast<int64_t>(*mib) << 20;
  }
  gpu->clock_mhz = whole_of(cells[4]);
  gpu->max_clock_mhz = whole_of(cells[5]);
  gpu->power_w = number_of(cells[6]);
  gpu->temperature_c = number_of(cells[7]);
  gpu->utilisation_percent = number_of(cells[8]);
  if (cells[9] == "Enabled" || cells[9] == "Disabled") gpu->is_persistent = cells[9] == "Enabled";
}

// The first word after `marker` that looks like "580.95.05"; "aarch64" does not.
std::optional<std::string> version_after(const std::string& text, std::string_view marker) {
  const size_t at = text.find(marker);
  if (at == text.npos) return std::nullopt;
  std::istringstream words(text.substr(at + marker.size()));
  for (std::string word; words >> word;) {
    const bool has_digits_only = word.find_first_not_of("0123456789.") == word.npos;
    if (has_digits_only && word.find('.') != word.npos) return word;
  }
  return std::nullopt;
}

// "libcuda.so.580.95.05" in a folder of libraries -> "580.95.05".
std::optional<std::string> library_version(const Root& root) {
  constexpr std::string_view kName = "libcuda.so.";
  for (const char* folder :
       {"/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/wsl/lib"}) {
    for (const std::string& name : root.names(folder)) {
      if (name.starts_with(kName) && name.size() > kName.size() + 3) return name.substr(kName.size());
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<Gpu> read_gpus(const Root& root) {
  std::vector<Gpu> gpus;
  const std::vector<std::string> texts = attribute_texts(root);
  for (size_t i = 0; i < texts.size(); ++i) gpus.push_back(gpu_of_attributes(static_cast<int>(i), texts[i]));
  if (const std::optional<ToolOutput> said = root.run(kQuery); said && said->exit_status == 0) {
    for (const std::string& line : lines_of(said->text)) add_gauges(cells_of(line), gpus);
  }
  return gpus;
}

NvidiaDriver read_nvidia_driver(const Root& root) {
  NvidiaDriver driver;
  if (const std::optional<std::string> text = root.text("/proc/driver/nvidia/version")) {
    driver.kernel_version = version_after(*text, "Kernel Module");
  }
  driver.library_version = library_version(root);
  if (!root.is_recorded()) {
    driver.cuda_version = cuda_driver_version();
  } else if (const std::optional<std::string> text = root.text("/gpu/0/attributes")) {
    driver.cuda_version = small_attribute(*text, "DriverVersion");
  }
  return driver;
}

std::vector<std::string> nvidia_pci_devices(const Root& root) {
  std::vector<std::string> devices;
  const std::string base = "/sys/bus/pci/devices/";
  for (const std::string& slot : root.names("/sys/bus/pci/devices")) {
    auto id = [&](const char* file) { return trimmed(root.text(base + slot + file).value_or("")); };
    const std::string vendor = id("/vendor");
    if (vendor != "0x10de" || !id("/class").starts_with("0x03")) continue;
    const std::string device = id("/device");
    devices.push_back(slot + " 10de:" + (device.size() > 2 ? device.substr(2) : "?"));
  }
  return devices;
}

}  // namespace hearth::machine
