#include "workflow/execute/run_job.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "workflow/execute/job_log.h"
#include "workflow/execute/plan.h"
#include "workflow/execute/run_node.h"
#include "workflow/execute/signature.h"

namespace hearth::workflow {
namespace {

constexpr int64_t kEntryBytes = 256;  // about what an entry, a handle or a literal takes by itself

using Entry = std::shared_ptr<const CacheEntry>;

class NodeWatch final : public CallWatch {
 public:
  NodeWatch(JobLog& log, const std::string& id, const std::atomic<bool>& stop) : log_(log), id_(id), stop_(stop) {}
  bool is_cancelled() const override { return stop_.load(std::memory_order_relaxed); }
  void progress(int64_t done, int64_t total, const EncodedPreview* preview) override {
    log_.node_step(id_, done, total, preview);
  }
  void text(std::string_view text) override { log_.node_text(id_, text); }

 private:
  JobLog& log_;
  const std::string& id_;
  const std::atomic<bool>& stop_;
};

class Runner {
 public:
  Runner(const Job& job, const Registry& registry, Cache& cache, NodeServices& services, JobEvents& events,
         const std::atomic<bool>& stop)
      : job_(job), registry_(registry), cache_(cache), services_(services), stop_(stop), log_(job, events),
        signatures_(signatures(job.graph, registry, services.places)),
        plan_(job.graph, registry, [this](const std::string& id) { return entries_.contains(id); }) {}

  JobResult run();

 private:
  bool run_next();
  enum class Step { kDone, kLater };
  Step run_one(const std::string& id);
  ArrivedInputs arrived_inputs(const std::string& id, const NodeType& type) const;
  NodeResult run_with_room(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                           NodeWatch& watch);
  void keep(const std::string& id, NodeResult result);
  void release_sources(const std::string& id);
  void fail(const std::string& id, const Error& error);
  Entry cached(const std::string& id) const;

  const Job& job_;
  const Registry& registry_;
  Cache& cache_;
  NodeServices& services_;
  const std::atomic<bool>& stop_;
  JobLog log_;
  std::unordered_map<std::string, std::string> signatures_;
  std::unordered_map<std::string, Entry>
      entries_;  // what waiting nodes read: held here, so eviction takes nothing away
  std::unordered_map<std::string, size_t> reads_done_;
  Plan plan_;
};

Entry Runner::cached(const std::string& id) const {
  auto signature = signatures_.find(id);
  return signature == signatures_.end() || signature->second.empty() ? nullptr : cache_.find(signature->second);
}

JobResult Runner::run() {
  log_.started();
  std::vector<std::string> reused;
  for (const std::string& id : job_.graph.ids()) {
    Entry entry = cached(id);
    if (!entry) continue;
    reused.push_back(id);
    entries_[id] = std::move(entry);
  }
  log_.cached(reused);
  for (const std::string& id : job_.outputs) plan_.add(id);
  while (!plan_.is_empty()) {
    if (!run_next()) return log_.take_result();
  }
  log_.succeeded();
  return log_.take_result();
}

// False when the job ended here.
bool Runner::run_next() {
  std::optional<std::string> id = plan_.next();
  if (!id) {
    std::vector<std::string> waiting = plan_.waiting();
    log_.failed(waiting[0], Error(Code::kInvalidArgument, "Dependency cycle detected"), Value::object(), {});
    return false;
  }
  try {
    if (run_one(*id) == Step::kLater) return true;
  } catch (const Error& error) {
    return fail(*id, error), false;
  } catch (const std::bad_alloc&) {
    return fail(*id, Error(Code::kNoMemory, "the process is out of memory")), false;
  } catch (const std::exception& error) {
    return fail(*id, Error(Code::kInternal, error.what())), false;
  }
  plan_.done(*id);
  release_sources(*id);
  return true;
}

Runner::Step Runner::run_one(const std::string& id) {
  const NodeType& type = *registry_.find(job_.graph.class_of(id));
  Entry found = entries_.contains(id) ? entries_[id] : cached(id);  // another node may just have made the same
  if (found) {
    entries_[id] = found;
    log_.node_shown_again(id, found->ui);
    log_.node_finished(id, false);
    return Step::kDone;
  }
  log_.node_started(id);
  ArrivedInputs inputs = arrived_inputs(id, type);
  const Value* extra_pnginfo = job_.extra_data.find("extra_pnginfo");
  const Value* preview_method = job_.extra_data.find("preview_method");
  NodeCall::About about{
      .node_id = id,
      .prompt = &job_.graph.prompt(),
      .extra_pnginfo = extra_pnginfo,
      .preview_method = preview_method && preview_method->is_string() ? preview_method->as_string() : ""};
  NodeWatch watch(log_, id, stop_);
  std::vector<std::string> missing = needed_inputs(type, inputs, about, services_, watch);
  if (!missing.empty()) {
    size_t before = plan_.waiting().size();
    for (const std::string& name : missing) plan_.require(id, name);
    check(plan_.next() != id || plan_.waiting().size() > before, "a lazy input that was asked for gets computed");
    return Step::kLater;
  }
  NodeResult result = run_with_room(type, inputs, about, watch);
  if (!result.ui.is_null()) log_.node_showed(id, result.ui);
  keep(id, std::move(result));
  log_.node_finished(id, true);
  return Step::kDone;
}

ArrivedInputs Runner::arrived_inputs(const std::string& id, const NodeType& type) const {
  ArrivedInputs arrived;
  const Value* inputs = job_.graph.inputs(id);
  for (const InputSpec& input : type.inputs) {
    const Value* value = inputs && input.kind != InputSpec::Kind::kHidden ? inputs->find(input.name) : nullptr;
    if (!value) continue;
    std::optional<Link> link = as_link(*value);
    if (!link) {
      arrived.emplace_back(input.name, NodeValues{NodeValue(*value)});
      continue;
    }
    auto source = entries_.find(link->node);
    if (source == entries_.end()) continue;  // lazy and not asked for
    const std::vector<NodeValues>& outputs = source->second->outputs;
    check(link->output >= 0 && link->output < static_cast<int64_t>(outputs.size()), "a link names an output");
    arrived.emplace_back(input.name, outputs[static_cast<size_t>(link->output)]);
  }
  return arrived;
}

// When memory is short, what was kept from earlier prompts goes and the node is tried once more.
NodeResult Runner::run_with_room(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                                 NodeWatch& watch) {
  try {
    return run_node(type, inputs, about, services_, watch);
  } catch (const Error& error) {
    if (error.code() != Code::kNoMemory) throw;
  }
  cache_.clear();
  if (services_.free_unused) services_.free_unused();
  return run_node(type, inputs, about, services_, watch);
}

void Runner::keep(const std::string& id, NodeResult result) {
  auto entry = std::make_shared<CacheEntry>();
  entry->outputs = std::move(result.outputs);
  entry->ui = std::move(result.ui);
  entry->bytes = kEntryBytes;
  for (const NodeValues& values : entry->outputs) {
    for (const NodeValue& value : values) {
      entry->bytes += value.bytes() + kEntryBytes;
      entry->keeps_model = entry->keeps_model || value.keeps_model();
    }
  }
  if (plan_.readers(id) > 0) entries_[id] = entry;
  const std::string& signature = signatures_[id];
  if (!signature.empty()) cache_.put(signature, entry);
}

// A value nobody waits for any more is held by the cache alone.
void Runner::release_sources(const std::string& id) {
  for (const Link& source : plan_.links_of(id)) {
    if (++reads_done_[source.node] >= plan_.readers(source.node)) entries_.erase(source.node);
  }
}

void Runner::fail(const std::string& id, const Error& error) {
  if (error.code() == Code::kCancelled) return log_.interrupted(id);
  Value shown = Value::object();
  const NodeType* type = registry_.find(job_.graph.class_of(id));
  for (const auto& [name, values] : arrived_inputs(id, *type)) {
    Value items = Value::list();
    for (const NodeValue& value : values) {
      const Value* literal = value.literal();
      items.push(literal ? *literal : Value(type->input(name)->type));
    }
    shown.set(name, std::move(items));
  }
  std::vector<std::string> outputs;
  for (const auto& [node, entry] : entries_) outputs.push_back(node);
  std::sort(outputs.begin(), outputs.end());
  log_.failed(id, error, std::move(shown), outputs);
}

}  // namespace

JobResult run_job(const Job& job, const Registry& registry, Cache& cache, NodeServices& services, JobEvents& events,
                  const std::atomic<bool>& stop) {
  return Runner(job, registry, cache, services, events, stop).run();
}

std::vector<std::string> cached_nodes(const Graph& graph, const Registry& registry, Cache& cache,
                                      const Places& places) {
  std::unordered_map<std::string, std::string> marks = signatures(graph, registry, places);
  std::vector<std::string> nodes;
  for (const std::string& id : graph.ids()) {
    auto mark = marks.find(id);
    if (mark != marks.end() && !mark->second.empty() && cache.find(mark->second)) nodes.push_back(id);
  }
  return nodes;
}

}  // namespace hearth::workflow
