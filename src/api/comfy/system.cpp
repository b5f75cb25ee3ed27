#include "api/comfy/system.h"

namespace hearth::comfy {
namespace {

// Clients compare this with the nodes and routes they know; it is the release whose protocol is spoken here.
constexpr const char* kProtocolVersion = "0.3.75";

Value device_value(const DeviceFacts& device) {
  return Value::object({{"name", device.name},
                        {"type", device.type},
                        {"index", device.index ? Value(*device.index) : Value()},
                        {"vram_total", device.pool_bytes},
                        {"vram_free", device.grantable_bytes},
                        {"torch_vram_total", device.budget_bytes},
                        {"torch_vram_free", device.grantable_bytes},
                        {"device_type", device.type},
                        {"memory_kind", device.memory_kind},
                        {"budget", Value::object({{"limit", device.budget_bytes}, {"leased", device.leased_bytes}})}});
}

}  // namespace

Value system_stats(const SystemFacts& facts) {
  Value argv = Value::list(), devices = Value::list();
  for (const std::string& word : facts.argv) argv.push(word);
  for (const DeviceFacts& device : facts.devices) devices.push(device_value(device));
  return Value::object({{"system", Value::object({{"os", "linux"},
                                                  {"ram_total", facts.ram_total},
                                                  {"ram_free", facts.ram_free},
                                                  {"comfyui_version", kProtocolVersion},
                                                  {"hearth_version", facts.version},
                                                  {"python_version", "none"},
                                                  {"pytorch_version", "none"},
                                                  {"embedded_python", false},
                                                  {"deploy_environment", "hearth"},
                                                  {"comfy_package_versions", Value::list()},
                                                  {"argv", std::move(argv)}})},
                        {"devices", std::move(devices)}});
}

Value server_features(int64_t max_upload_bytes) {
  return Value::object({{"supports_preview_metadata", true},
                        {"max_upload_size", max_upload_bytes},
                        {"node_replacements", false},
                        {"assets", false}});
}

}  // namespace hearth::comfy
