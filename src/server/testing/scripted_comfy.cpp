#include "server/testing/scripted_comfy.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "core/base/files.h"
#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "server/clock.h"

namespace hearth::server {
namespace {

struct ClassFacts {
  bool is_output;
  const char* outputs;  // JSON
  const char* required;  // JSON: name -> spec
};

const std::map<std::string, ClassFacts, std::less<>>& classes() {
  static const std::map<std::string, ClassFacts, std::less<>> known = {
      {"CheckpointLoaderSimple", {false, R"(["MODEL","CLIP","VAE"])", R"({"ckpt_name":[["tiny.safetensors"],{}]})"}},
      {"CLIPTextEncode", {false, R"(["CONDITIONING"])",
                          R"({"text":["STRING",{"multiline":true,"dynamicPrompts":true}],"clip":["CLIP"]})"}},
      {"EmptyLatentImage", {false, R"(["LATENT"])",
                            R"({"width":["INT",{"default":512,"min":16,"max":16384,"step":8}],)"
                            R"("height":["INT",{"default":512,"min":16,"max":16384,"step":8}],)"
                            R"("batch_size":["INT",{"default":1,"min":1,"max":4096}]})"}},
      {"KSampler", {false, R"(["LATENT"])",
                    R"({"model":["MODEL"],"seed":["INT",{"default":0,"min":0,"max":18446744073709551615}],)"
                    R"("steps":["INT",{"default":20,"min":1,"max":10000}],"cfg":["FLOAT",{"default":8.0}],)"
                    R"("sampler_name":[["euler"],{}],"scheduler":[["normal"],{}],"positive":["CONDITIONING"],)"
                    R"("negative":["CONDITIONING"],"latent_image":["LATENT"],"denoise":["FLOAT",{"default":1.0}]})"}},
      {"VAEDecode", {false, R"(["IMAGE"])", R"({"samples":["LATENT"],"vae":["VAE"]})"}},
      {"SaveImage", {true, "[]", R"({"images":["IMAGE"],"filename_prefix":["STRING",{"default":"ComfyUI"}]})"}},
      {"Wait", {true, "[]", "{}"}},
      {"Fail", {true, "[]", "{}"}},
      {"Throw", {true, "[]", "{}"}},
      {"Crash", {true, "[]", "{}"}},
  };
  return known;
}

Value info_of(const std::string& name, const ClassFacts& facts) {
  const Value required = json::parse(facts.required).value(), outputs = json::parse(facts.outputs).value();
  Value order = Value::list(), is_list = Value::list();
  for (const auto& [input, spec] : required.as_object()) order.push(input);
  for (size_t i = 0; i < outputs.size(); ++i) is_list.push(false);
  return Value::object({{"input", Value::object({{"required", required}})},
                        {"input_order", Value::object({{"required", order}})},
                        {"is_input_list", false}, {"output", outputs}, {"output_is_list", is_list},
                        {"output_name", outputs}, {"name", name}, {"display_name", name}, {"description", ""},
                        {"python_module", "nodes"}, {"category", "test"}, {"output_node", facts.is_output},
                        {"search_aliases", Value::list()}});
}

Value error_of(const char* type, std::string message, std::string details, Value extra = Value::object()) {
  return Value::object({{"type", type}, {"message", message}, {"details", details}, {"extra_info", std::move(extra)}});
}

std::string class_of(const Value& node) {
  const Value* name = node.find("class_type");
  return name && name->is_string() ? name->as_string() : "";
}

const Value* input_of(const Value& node, std::string_view name) {
  const Value* inputs = node.find("inputs");
  return inputs ? inputs->find(name) : nullptr;
}

std::optional<Value> range_error(const Value& node) {
  const Value* seed = input_of(node, "seed");
  const Value* steps = input_of(node, "steps");
  const auto info = [](const char* name) { return Value::object({{"input_name", name}}); };
  if (seed && !seed->is_integer()) {
    return error_of("invalid_input_type", "Failed to convert an input value to a INT value", "seed", info("seed"));
  }
  if (steps && steps->is_integer() && steps->as_int() < 1) {
    return error_of("value_smaller_than_min", fmt::format("Value {} smaller than min of 1", steps->as_int()), "steps",
                    info("steps"));
  }
  return std::nullopt;
}

// One run of a prompt: what has been said and made so far.
class Course {
 public:
  Course(const RunningJob& job, workflow::JobEvents& events, const std::atomic<bool>& stop, std::string output)
      : job_(job), events_(events), stop_(stop), output_(std::move(output)) {}

  comfy::JobResults run() {
    note("execution_start", Value::object());
    note("execution_cached", Value::object({{"nodes", Value::list()}}));
    for (const auto& [id, node] : job_.prompt.as_object()) {
      if (stop_) return interrupted(id, class_of(node));
      if (auto ended = run_node(id, node)) return std::move(*ended);
      executed_.push(id);
    }
    note("execution_success", Value::object());
    results_.end = comfy::JobEnd::kCompleted;
    return std::move(results_);
  }

 private:
  void note(const char* event, Value data) {
    data.set("prompt_id", job_.id);
    data.set("timestamp", unix_ms());
    events_.send(event, data);
    results_.messages.push(Value(Value::List{event, std::move(data)}));
  }

  Value progress_state(const std::string& id, int64_t value, int64_t max, const char* state) {
    states_.set(id, Value::object({{"value", value}, {"max", max}, {"state", state}, {"node_id", id},
                                   {"prompt_id", job_.id}, {"display_node_id", id}, {"parent_node_id", Value()},
                                   {"real_node_id", id}}));
    return Value::object({{"prompt_id", job_.id}, {"nodes", states_}});
  }

  std::optional<comfy::JobResults> run_node(const std::string& id, const Value& node) {
    const std::string name = class_of(node);
    events_.send("progress_state", progress_state(id, 0, 1, "running"));
    events_.send("executing", Value::object({{"node", id}, {"display_node", id}, {"prompt_id", job_.id}}));
    if (name == "Crash") std::abort();
    if (name == "Throw") throw Error(Code::kDevice, "the device is gone");
    if (name == "Fail") return failed(id, name);
    if (name == "KSampler" && !sample(id, node)) return interrupted(id, name);
    if (name == "Wait") {
      while (!stop_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return interrupted(id, name);
    }
    if (name == "SaveImage") save(id, node);
    events_.send("progress_state", progress_state(id, 1, 1, "finished"));
    return std::nullopt;
  }

  bool sample(const std::string& id, const Value& node) {
    const Value* steps = input_of(node, "steps");
    const int64_t count = steps ? steps->as_int() : 1;
    image::Picture picture{16, 16, 3, std::vector<uint8_t>(16 * 16 * 3, 128)};
    const workflow::PreviewImage preview{
        "image/jpeg", image::encode_jpeg(picture, 95),
        Value::object({{"node_id", id}, {"prompt_id", job_.id}, {"display_node_id", id}, {"parent_node_id", Value()},
                       {"real_node_id", id}, {"image_type", "image/jpeg"}})};
    for (int64_t step = 1; step <= count; ++step) {
      if (stop_) return false;
      workflow::Step told{progress_state(id, step, count, "running"),
                          Value::object({{"value", step}, {"max", count}, {"prompt_id", job_.id}, {"node", id}}),
                          &preview};
      events_.send_step(told);
    }
    return true;
  }

  void save(const std::string& id, const Value& node) {
    const Value* prefix = input_of(node, "filename_prefix");
    const std::string stem = prefix && prefix->is_string() ? prefix->as_string() : "ComfyUI";
    std::string name;
    for (int i = 1; name.empty() || std::filesystem::exists(output_ + "/" + name); ++i) {
      name = fmt::format("{}_{:05}_.png", stem, i);
    }
    image::Picture picture{8, 8, 4, std::vector<uint8_t>(8 * 8 * 4, 200)};
    for (size_t i = 3; i < picture.samples.size(); i += 8) picture.samples[i] = 64;
    image::PngOptions options;
    options.texts.push_back({"prompt", json::write(job_.prompt, {.ascii_only = true})});
    const Value* info = job_.extra_data.find("extra_pnginfo");
    const Value* workflow = info ? info->find("workflow") : nullptr;
    if (workflow) options.texts.push_back({"workflow", json::write(*workflow, {.ascii_only = true})});
    write_text(output_ + "/" + name, image::encode_png(picture, options)).value();
    Value images = Value::list();
    images.push(Value::object({{"filename", name}, {"subfolder", ""}, {"type", "output"}}));
    const Value shown = Value::object({{"images", images}});
    results_.outputs.set(id, shown);
    results_.meta.set(id, Value::object({{"node_id", id}, {"display_node", id}, {"parent_node", Value()},
                                         {"real_node_id", id}}));
    events_.send("executed", Value::object({{"node", id}, {"display_node", id}, {"output", shown},
                                            {"prompt_id", job_.id}}));
  }

  comfy::JobResults failed(const std::string& id, const std::string& name) {
    Value traceback = Value::list();
    traceback.push("scripted\n");
    note("execution_error", Value::object({{"node_id", id}, {"node_type", name}, {"executed", executed_},
                                           {"exception_message", "scripted failure\n"},
                                           {"exception_type", "ValueError"}, {"traceback", traceback},
                                           {"current_inputs", Value::object()}, {"current_outputs", Value::list()}}));
    results_.end = comfy::JobEnd::kFailed;
    return std::move(results_);
  }

  comfy::JobResults interrupted(const std::string& id, const std::string& name) {
    note("execution_interrupted", Value::object({{"node_id", id}, {"node_type", name}, {"executed", executed_}}));
    results_.end = comfy::JobEnd::kCancelled;
    return std::move(results_);
  }

  const RunningJob& job_;
  workflow::JobEvents& events_;
  const std::atomic<bool>& stop_;
  const std::string output_;
  comfy::JobResults results_;
  Value states_ = Value::object(), executed_ = Value::list();
};

std::string folder(const std::filesystem::path& root, const char* name) {
  std::filesystem::create_directories(root / name);
  return (root / name).string();
}

}  // namespace

ScriptedComfy::ScriptedComfy(const std::filesystem::path& root)
    : places_{workflow::ModelFolders(folder(root, "models")), folder(root, "input"), folder(root, "output"),
              folder(root, "temp")} {}

comfy::JobResults ScriptedComfy::run(const RunningJob& job, workflow::JobEvents& events,
                                     const std::atomic<bool>& stop) {
  return Course(job, events, stop, places_.output).run();
}

void ScriptedComfy::release(bool models, bool cache) {
  std::lock_guard lock(mutex_);
  released_.push_back(std::string(models ? "models" : "") + (cache ? "+cache" : ""));
}

std::vector<std::string> ScriptedComfy::released() const {
  std::lock_guard lock(mutex_);
  return released_;
}

workflow::Verdict ScriptedComfy::check(Value& prompt, const std::optional<std::vector<std::string>>& targets) {
  workflow::Verdict verdict;
  for (const auto& [id, node] : prompt.as_object()) {
    const std::string name = class_of(node);
    auto known = classes().find(name);
    if (known == classes().end()) {
      verdict.error = error_of(
          "missing_node_type", "Node '" + name + "' not found. The custom node may not be installed.",
          "Node ID '#" + id + "'", Value::object({{"node_id", id}, {"class_type", name}, {"node_title", Value()}}));
      return verdict;
    }
    const bool is_target = !targets || std::find(targets->begin(), targets->end(), id) != targets->end();
    if (known->second.is_output && is_target) verdict.outputs.push_back(id);
    if (auto wrong = range_error(node)) {
      Value errors = Value::list();
      errors.push(std::move(*wrong));
      verdict.node_errors.set(id, Value::object({{"errors", errors}, {"dependent_outputs", Value::list()},
                                                 {"class_type", name}}));
    }
  }
  if (verdict.outputs.empty()) {
    verdict.error = error_of("prompt_no_outputs", "Prompt has no outputs", "");
  } else if (verdict.node_errors.size() > 0) {
    verdict.error = error_of("prompt_outputs_failed_validation", "Prompt outputs failed validation", "");
  } else {
    verdict.is_valid = true;
  }
  return verdict;
}

Value ScriptedComfy::object_info() {
  Value out = Value::object();
  for (const auto& [name, facts] : classes()) out.set(name, info_of(name, facts));
  return out;
}

Value ScriptedComfy::object_info(std::string_view class_name) {
  Value out = Value::object();
  auto known = classes().find(class_name);
  if (known != classes().end()) out.set(class_name, info_of(known->first, known->second));
  return out;
}

comfy::SystemFacts ScriptedComfy::system() {
  comfy::SystemFacts facts;
  facts.ram_total = int64_t{16} << 30;
  facts.ram_free = int64_t{8} << 30;
  facts.devices.push_back({.name = "cpu", .type = "cpu", .memory_kind = "host", .pool_bytes = int64_t{16} << 30,
                           .grantable_bytes = int64_t{10} << 30, .budget_bytes = int64_t{12} << 30,
                           .leased_bytes = int64_t{2} << 30});
  facts.argv = {"hearth", "serve"};
  facts.version = "test";
  return facts;
}

}  // namespace hearth::server
