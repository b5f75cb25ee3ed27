// Host: what a subcommand that runs models needs: the configuration, the device and why it was chosen, the budget, who
// watches over the machine's memory, and the models it knows, gathered once.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "governor/budget/budget.h"
#include "governor/budget/device_account.h"
#include "governor/governor.h"
#include "governor/residency/evictor.h"
#include "machine/root.h"
#include "runtime/engine.h"

namespace hearth::app {

using Flags = std::vector<std::pair<std::string, std::string>>;

/// Reads the configuration with flags over it; throws Error.
config::Config read_config(const std::string& file, const Flags& flags);

/// CPU threads for models: as configured, else one per core this process may use.
int thread_count(const config::Config& config);

struct DeviceChoice {
  Device device;
  Caps caps;
  std::string reason;  // one sentence for people
};
/// `asked` is auto, cpu, cuda or cuda:N. Throws kUnsupported or kDevice when it cannot be had.
DeviceChoice choose_device(const std::string& asked, int threads);

/// The models to offer: profiles of the configuration, then the store's. A path that is no profile becomes a model of
/// its own (chat, bench).
std::vector<ModelSpec> known_models(const config::Config& config);
ModelSpec model_for(const config::Config& config, const std::string& name_or_path);
/// Adds `model`, unless it is there already: the same file under the same name.
void add_model(std::vector<ModelSpec>& models, ModelSpec model);

/// This machine, or the folder that stands for its /proc and /sys in tests: $HEARTH_TEST_MACHINE.
machine::Root machine_root();

class Host {
 public:
  Host(config::Config config, const std::string& device);

  const config::Config& config() const { return config_; }
  bool maps_files() const { return config_.memory.loading == "mmap"; }
  const DeviceChoice& choice() const { return choice_; }
  /// Where models of words run; on a discrete GPU its own pool, else the machine's.
  governor::LeasedAllocator& memory() { return *memory_; }
  /// In the machine's own memory, whatever runs models: the same on a CPU, the same pool on an integrated GPU.
  governor::LeasedAllocator& host_memory() { return own_host_memory_ ? *own_host_memory_ : *memory_; }
  /// Of the pool of memory().
  governor::Evictor& evictor() { return *evictor_; }
  governor::Governor& governor() { return *governor_; }
  /// That pool is the machine's memory.
  bool is_host_pool() const { return is_host_pool_; }
  /// Of a GPU with memory of its own, that memory() then lies in; else null.
  governor::DeviceAccount* device_account() { return device_account_ ? &*device_account_ : nullptr; }
  /// PCI address of the GPU that models run on; "" without one.
  const std::string& gpu() const { return gpu_; }
  int threads() const { return threads_; }
  EngineOptions engine_options(std::vector<ModelSpec> models);

 private:
  governor::LeasedAllocator::Look look() const;

  config::Config config_;
  int threads_;
  DeviceChoice choice_;
  bool is_host_pool_ = true;
  std::string gpu_;
  std::unique_ptr<governor::Governor> governor_;
  std::optional<governor::Budget> host_budget_;
  std::optional<governor::DeviceAccount> device_account_;
  std::unique_ptr<governor::Evictor> evictor_;
  std::unique_ptr<governor::LeasedAllocator> memory_;
  std::unique_ptr<governor::LeasedAllocator> own_host_memory_;   // beside any GPU
  governor::Lease driver_lease_;  // what the CUDA context and modules took unasked
};

}  // namespace hearth::app
