#include "workflow/testing/fixture.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::workflow::testing {

namespace fs = std::filesystem;

Folders::Folders() {
  for (const char* name : {"models/checkpoints", "models/loras", "input", "output", "temp"}) {
    fs::create_directories(root_ + "/" + name);
  }
}

Places Folders::places() const {
  return {ModelFolders(root_ + "/models", root_ + "/output"), root_ + "/input", root_ + "/output", root_ + "/temp"};
}

void Folders::write(const std::string& name, const std::string& text) const {
  fs::create_directories(fs::path(root_ + "/" + name).parent_path());
  std::ofstream(root_ + "/" + name, std::ios::binary) << text;
}

void Recorder::send(std::string_view type, const Value& data) {
  if (type != "progress_state") frames.emplace_back(type, data);
  std::string line(type);
  if (const Value* node = data.find("node"); node && node->is_string()) line += " " + node->as_string();
  if (const Value* node = data.find("node_id"); node && node->is_string()) line += " " + node->as_string();
  if (const Value* cached = type == "execution_cached" ? data.find("nodes") : nullptr)
    line += " " + json::write(*cached);
  if (const Value* output = data.find("output")) line += " " + json::write(*output);
  if (const Value* nodes = type == "progress_state" ? data.find("nodes") : nullptr) {
    const auto& [id, node] = nodes->as_object()[nodes->size() - 1];
    line += " " + id + " " + node.at("state").as_string();
  }
  lines.push_back(line);
  if (on_line) on_line(line);
}

void Recorder::send_step(const Step& step) {
  lines.push_back(fmt::format("step {} {}/{}{}", step.progress.at("node").as_string(),
                              step.progress.at("value").as_int(), step.progress.at("max").as_int(),
                              step.preview ? " " + step.preview->mime : ""));
  if (on_line) on_line(lines.back());
}

void Recorder::send_text(std::string_view node_id, std::string_view text) {
  lines.push_back(fmt::format("text {} {}", node_id, text));
}

Value parse(std::string_view json) { return json::parse(json).value(); }

Bench::Bench(Registry nodes, int64_t cache_bytes)
    : places(folders.places()), registry(std::move(nodes)), cache(cache_bytes),
      store(places), services{.places = places, .store = store, .memory = memory} {}

Verdict Bench::check(std::string_view prompt, const std::optional<std::vector<std::string>>& targets) {
  graph = Graph::parse(parse(prompt)).value();
  return verdict = validate(graph, registry, places, targets);
}

JobResult Bench::run(std::string_view prompt, const Value& extra_data) { return run_value(parse(prompt), extra_data); }

JobResult Bench::run_value(Value prompt, const Value& extra_data) {
  events.lines.clear();
  events.frames.clear();
  graph = Graph::parse(std::move(prompt)).value();
  verdict = validate(graph, registry, places);
  if (!verdict.is_valid) return {};
  Job job{.prompt_id = "p", .graph = graph, .outputs = verdict.outputs, .extra_data = extra_data};
  return run_job(job, registry, cache, services, events, stop);
}

Registry fake_registry(std::map<std::string, int>& calls) {
  Registry registry;
  registry.add({.class_name = "Number",
                .inputs = {integer("value", {.value = 1, .min = 0, .max = 100})},
                .outputs = {{"INT"}},
                .run = [&calls](NodeCall& call) {
                  ++calls["Number"];
                  return give(call.value("value"));
                }});
  registry.add({.class_name = "Add",
                .inputs = {integer("a", {.value = 0, .min = -1000000, .max = 1000000}),
                           integer("b", {.value = 0, .min = -1000000, .max = 1000000}).optional()},
                .outputs = {{"INT"}},
                .run = [&calls](NodeCall& call) {
                  ++calls["Add"];
                  return give(NodeValue(Value(call.integer("a") + call.integer("b"))));
                }});
  registry.add({.class_name = "Show",
                .inputs = {socket("value", "*")},
                .outputs = {},
                .is_output = true,
                .run = [&calls](NodeCall& call) {
                  ++calls["Show"];
                  Value shown = Value(Value::List{*call.value("value").literal()});
                  return NodeResult{.outputs = {}, .ui = Value::object({{"text", std::move(shown)}})};
                }});
  registry.add({.class_name = "List",
                .inputs = {integer("count", {.value = 3, .min = 0, .max = 10})},
                .outputs = {{"INT", "items", true}},
                .run = [](NodeCall& call) {
                  NodeResult result;
                  result.outputs.emplace_back();
                  for (int64_t i = 0; i < call.integer("count"); ++i) result.outputs[0].emplace_back(Value(i));
                  return result;
                }});
  registry.add({.class_name = "Sum",
                .inputs = {socket("items", "INT"), integer("plus", {.value = 0, .min = 0, .max = 9})},
                .outputs = {{"INT"}},
                .takes_lists = true,
                .run = [](NodeCall& call) {
                  int64_t sum = call.integer("plus");
                  for (const NodeValue& item : call.values("items")) sum += item.literal()->as_int();
                  return give(NodeValue(Value(sum)));
                }});
  registry.add({.class_name = "Fail",
                .inputs = {socket("value", "INT")},
                .outputs = {{"INT"}},
                .run = [](NodeCall&) -> NodeResult { throw Error(Code::kInvalidArgument, "no such thing"); }});
  registry.add({.class_name = "Slow",
                .inputs = {integer("steps", {.value = 4, .min = 1, .max = 100})},
                .outputs = {{"INT"}},
                .run = [](NodeCall& call) {
                  int64_t steps = call.integer("steps");
                  for (int64_t i = 1; i <= steps; ++i) {
                    call.check_cancelled();
                    call.watch().progress(i, steps, nullptr);
                  }
                  return give(NodeValue(Value(steps)));
                }});
  registry.add({.class_name = "Changing",
                .outputs = {{"INT"}},
                .run = [&calls](NodeCall&) { return give(NodeValue(Value(++calls["Changing"]))); },
                .fingerprint = [](const Places&, const Value&) { return std::optional<Value>(); }});
  registry.add({.class_name = "Loud", .outputs = {{"INT"}}, .is_not_idempotent = true, .run = [&calls](NodeCall&) {
                  return give(NodeValue(Value(++calls["Loud"])));
                }});
  registry.add({.class_name = "Choose",
                .inputs = {boolean("first", true), socket("a", "INT").lazy(), socket("b", "INT").lazy()},
                .outputs = {{"INT"}},
                .run = [](NodeCall& call) { return give(call.value(call.flag("first") ? "a" : "b")); },
                .needs = [](NodeCall& call) -> std::vector<std::string> { return {call.flag("first") ? "a" : "b"}; }});
  registry.add({.class_name = "Pick",
                .inputs = {choice("color", {"red", "green"}), choice("many", {}), text("name"), boolean("on", false),
                           number("weight", {.value = 0.5, .min = 0.25, .max = 1.5}), socket("image", "IMAGE,MASK")},
                .outputs = {{"STRING"}},
                .is_output = true,
                .run = [](NodeCall&) { return NodeResult{}; }});
  return registry;
}

}  // namespace hearth::workflow::testing
