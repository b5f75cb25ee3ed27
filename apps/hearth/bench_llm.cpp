// hearth bench llm: speed (prefill, decode, parallel streams), memory and quality of one model, as a table or JSON.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "bench_disk.h"
#include "bench_numbers.h"
#include "bench_picture.h"
#include "commands.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "host.h"
#include "machine/memory.h"
#include "runtime/generate/evaluate.h"

namespace hearth::app {
namespace {

struct BenchOptions {
  std::string model, device = "auto", text;
  int64_t prompt = 512, generate = 128, parallel = 1, repeat = 3, chunk = 512;
  int64_t kl_tokens = 2048;
  std::optional<int> threads;
  bool quality = false, load_only = false, json = false;
};

Flags thread_flags(const BenchOptions& options) {
  if (!options.threads) return {};
  return {{"llm.threads", std::to_string(*options.threads)}};
}

// Four digits, and never an exponent for the figures people compare.
std::string spell(double value) {
  return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

void print(const Value& result, bool as_json) {
  if (as_json) {
    std::cout << json::write(result, {.indent = 2}) << '\n';
    return;
  }
  for (const auto& [name, value] : result.as_object()) {
    if (value.is_list()) continue;
    std::string text = value.is_string() ? value.as_string()
                       : value.kind() == Value::Kind::kDouble ? spell(value.as_double())
                                                              : json::write(value);
    if (name.ends_with("_bytes")) text = format_bytes(value.as_int());
    std::cout << fmt::format("{:<24} {}\n", name, text);
  }
}

int bench_speed(Host& host, const BenchOptions& options) {
  ModelSpec spec = model_for(host.config(), options.model);
  spec.load.parallel = options.parallel;
  spec.load.context = options.prompt + options.generate + 1;
  spec.load.state_tokens = round_up(spec.load.context, spec.load.page_tokens) * options.parallel;
  spec.load.max_rows = std::max<int64_t>(spec.load.max_rows, std::min<int64_t>(options.prompt, 512));
  EngineOptions engine = host.engine_options({});
  Executor executor(engine.device, engine.caps, engine.threads, engine.maps_files);
  const double start = steady_s();
  std::unique_ptr<LoadedModel> model = LoadedModel::load(spec.load, executor, host.memory());
  const double load_s = steady_s() - start;
  measure_speed(*model, 1, 1, 1);
  const double first_token_s = steady_s() - start;

  std::vector<double> prefill, decode;
  measure_speed(*model, std::min<int64_t>(options.prompt, 64), 4, options.parallel);  // warm up
  for (int64_t i = 0; i < options.repeat; ++i) {
    // As llama-bench: prefill alone, then decode from an almost empty context; parallel streams decode behind their
    // prompts, as llama-batched-bench.
    prefill.push_back(measure_speed(*model, options.prompt, 0, options.parallel).prefill_rate());
    const int64_t before = options.parallel > 1 ? options.prompt : 1;
    decode.push_back(measure_speed(*model, before, options.generate, options.parallel).decode_rate());
  }
  const machine::ProcessMemory memory = machine::read_process_memory();
  Value result = Value::object();
  result.set("model", spec.load.name);
  result.set("device", host.choice().reason);
  result.set("threads", host.threads());
  result.set("prompt_tokens", options.prompt);
  result.set("generated_tokens", options.generate);
  result.set("parallel", options.parallel);
  result.set("prefill_tps", median(prefill));
  result.set("decode_tps", median(decode));
  result.set("aggregate_tps", median(decode));
  result.set("prefill_runs", list_of(prefill));
  result.set("decode_runs", list_of(decode));
  result.set("load_s", load_s);
  result.set("first_token_s", first_token_s);
  result.set("weights_bytes", model->sizes().weights_bytes);
  result.set("state_bytes", model->sizes().state_bytes);
  result.set("arena_bytes", model->sizes().arena_bytes);
  result.set("peak_rss_bytes", memory.peak_bytes);
  print(result, options.json);
  return 0;
}

int bench_load(Host& host, const BenchOptions& options) {
  ModelSpec spec = model_for(host.config(), options.model);
  EngineOptions engine = host.engine_options({});
  Executor executor(engine.device, engine.caps, engine.threads, engine.maps_files);
  LoadProgress read;
  const double start = steady_s();
  const std::unique_ptr<LoadedModel> model =
      LoadedModel::load(spec.load, executor, host.memory(), {}, [&](const LoadProgress& p) { read = p; });
  const double load_s = steady_s() - start;
  Value result = Value::object();
  result.set("model", spec.load.name);
  result.set("device", host.choice().reason);
  result.set("threads", host.threads());
  result.set("load_s", load_s);
  result.set("read_s", read.seconds);
  result.set("read_bytes", read.total_bytes);
  result.set("weights_bytes", model->sizes().weights_bytes);
  result.set("state_bytes", model->sizes().state_bytes);
  result.set("arena_bytes", model->sizes().arena_bytes);
  result.set("peak_rss_bytes", machine::read_process_memory().peak_bytes);
  print(result, options.json);
  return 0;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(Code::kNotFound, fmt::format("--text: cannot read {}", path));
  return {std::istreambuf_iterator<char>(file), {}};
}

// Only whole chunks are scored, for both figures.
void check_text_is_enough(const BenchOptions& options, int64_t tokens, int64_t context) {
  if (options.chunk > context) {
    throw Error(Code::kInvalidArgument, fmt::format("--chunk {} is beyond the model's context of {}", options.chunk,
                                                    context));
  }
  if (tokens < options.chunk) {
    throw Error(Code::kInvalidArgument, fmt::format("--text {} has {} tokens, less than one chunk of {}; give a longer "
                                                    "text or a smaller --chunk",
                                                    options.text, tokens, options.chunk));
  }
  if (options.kl_tokens < options.chunk) {
    throw Error(Code::kInvalidArgument, fmt::format("--kl-tokens {} is less than one chunk of {}; raise it or take a "
                                                    "smaller --chunk",
                                                    options.kl_tokens, options.chunk));
  }
}

int bench_quality(Host& host, const BenchOptions& options) {
  if (options.text.empty()) throw Error(Code::kInvalidArgument, "--quality needs --text FILE to score");
  ModelSpec spec = model_for(host.config(), options.model);
  spec.load.parallel = 64;  // logits rows per step
  spec.load.context = options.chunk;
  spec.load.state_tokens = options.chunk;
  EngineOptions engine = host.engine_options({});
  Executor executor(engine.device, engine.caps, engine.threads, engine.maps_files);
  std::unique_ptr<LoadedModel> model = LoadedModel::load(spec.load, executor, host.memory());
  std::vector<int32_t> tokens = model->tokenizer().encode(read_text(options.text));
  check_text_is_enough(options, std::ssize(tokens), model->context());
  const double start = steady_s();
  Perplexity score = perplexity(*model, tokens, options.chunk, [&](int64_t done, int64_t total) {
    const double left = (steady_s() - start) / static_cast<double>(done) * static_cast<double>(total - done);
    log::info("perplexity: chunk {} of {}, {} left", done, total, format_duration(left));
  });
  spec.load.decodes_weights = true;
  spec.load.state_dtype = DType::kF32;
  std::unique_ptr<LoadedModel> exact = LoadedModel::load(spec.load, executor, host.memory());
  tokens.resize(std::min<size_t>(tokens.size(), static_cast<size_t>(options.kl_tokens)));
  Divergence kl = divergence(*exact, *model, tokens, options.chunk, [&](int64_t done, int64_t total) {
    log::info("divergence from float32: chunk {} of {}", done, total);
  });

  Value result = Value::object();
  result.set("model", spec.load.name);
  result.set("perplexity", score.value);
  result.set("scored_tokens", score.scored_tokens);
  result.set("chunks", score.chunks);
  result.set("mean_kl_nats", kl.mean_kl);
  result.set("max_kl_nats", kl.max_kl);
  result.set("same_top", kl.same_top);
  result.set("kl_positions", kl.positions);
  print(result, options.json);
  return 0;
}

}  // namespace

Action add_bench(CLI::App& app, Common& common) {
  auto options = std::make_shared<BenchOptions>();
  app.require_subcommand(1);
  CLI::App* llm = app.add_subcommand("llm", "Speed, memory and quality of a language model");
  llm->add_option("-m,--model", options->model, "Model name, or a path to a .gguf file or Hugging Face folder")
      ->required();
  llm->add_option("--prompt", options->prompt, "Prompt tokens")->capture_default_str()->check(CLI::Range(1, 1 << 20));
  llm->add_option("--generate", options->generate, "Tokens to decode")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20));
  llm->add_option("--parallel", options->parallel, "Streams at once")->capture_default_str()->check(CLI::Range(1, 256));
  llm->add_option("--repeat", options->repeat, "Runs; medians are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  llm->add_option("--threads", options->threads, "CPU threads (default: one per core)")->check(CLI::Range(1, 1024));
  llm->add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  llm->add_flag("--load-only", options->load_only, "Seconds and memory of loading, and nothing else");
  llm->add_flag("--quality", options->quality, "Perplexity on --text, and mean KL to float32 logits");
  llm->add_option("--text", options->text, "Text file for --quality");
  llm->add_option("--chunk", options->chunk, "Tokens per perplexity chunk, of which the second half is scored")
      ->capture_default_str()->check(CLI::Range(int64_t{3}, int64_t{1} << 20));
  llm->add_option("--kl-tokens", options->kl_tokens, "Tokens for the KL figure, at least one chunk")
      ->capture_default_str()->check(CLI::Range(int64_t{3}, int64_t{1} << 30));
  llm->add_flag("--json", options->json, "Print JSON");
  CLI::App* picture = app.add_subcommand("picture", "Speed and memory of a picture model");
  Action draw = add_bench_picture(*picture, common);
  CLI::App* disk = app.add_subcommand("disk", "Speed of the disk that a file lies on");
  Action read = add_bench_disk(*disk);
  return [options, picture, draw, disk, read, &common] {
    if (picture->parsed()) return draw();
    if (disk->parsed()) return read();
    Host host(read_config(common.config_file, thread_flags(*options)), options->device);
    if (options->load_only) return bench_load(host, *options);
    return options->quality ? bench_quality(host, *options) : bench_speed(host, *options);
  };
}

}  // namespace hearth::app
