#include "workflow/studio.h"

namespace hearth::workflow {

Studio::Studio(diffuse::PictureEngine& engine, StudioOptions options)
    : engine_(engine), options_(std::move(options)), registry_(native_registry()), store_(options_.places),
      cache_(options_.cache_bytes), work_(picture_work(engine)),
      services_{.pictures = work_.get(), .free_unused = [this] { release(/*models=*/true, /*cache=*/false); },
                .places = options_.places, .store = store_, .memory = engine.memory(),
                .preview_method = options_.preview_method, .writes_metadata = options_.writes_metadata} {}

Verdict Studio::check(Value& prompt, const std::optional<std::vector<std::string>>& targets) const {
  Result<Graph> graph = Graph::parse(prompt);
  if (!graph) throw graph.error();
  Verdict verdict = validate(*graph, registry_, options_.places, targets);
  prompt = graph->prompt();
  return verdict;
}

JobResult Studio::run(const std::string& prompt_id, const Value& prompt, const std::vector<std::string>& outputs,
                      const Value& extra_data, JobEvents& events, const std::atomic<bool>& stop) {
  Result<Graph> graph = Graph::parse(prompt);
  if (!graph) throw graph.error();
  const Job job{.prompt_id = prompt_id, .graph = *std::move(graph), .outputs = outputs, .extra_data = extra_data};
  struct Watched {
    PictureStore& store;
    ~Watched() { store.set_write_watch({}); }
  };
  store_.set_write_watch([&](const std::string& path) { events.will_write(path); });
  const Watched watched{store_};
  return run_job(job, registry_, cache_, services_, events, stop);
}

void Studio::release(bool models, bool cache) {
  if (cache) cache_.clear();
  if (models) {
    cache_.drop_models();
    engine_.free_unused();
  }
}

}  // namespace hearth::workflow
