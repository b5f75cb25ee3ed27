// hearth bench picture: seconds of each phase of a picture (words, denoising, decoding) with one checkpoint in memory,
// as a table or JSON. The picture's values can be written, so that another engine's can be held against them.
#include "bench_picture.h"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "bench_numbers.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "machine/memory.h"
#include "picture_host.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/picture_engine.h"
#include "runtime/diffuse/sampling/schedule.h"
#include "text/clip/prompt.h"

namespace hearth::app {
namespace {

struct PictureBench {
  std::string model, prompt = "a red apple", size = "512x512", scheduler = "normal", sampler = "euler", output;
  int64_t steps = 20, batch = 1, repeat = 3;
  uint64_t seed = 1;
  double cfg = 7;
  std::optional<int> threads;
  bool json = false;
};

struct Seconds {
  double text = 0, denoise = 0, decode = 0;
  double total() const { return text + denoise + decode; }
};

// The token ids of the first chunk, as one encoder reads them.
Value ids_of(const std::string& prompt, int32_t pad) {
  const text::PromptTokens tokens = text::tokenize_prompt(prompt, {.pad = pad});
  Value list = Value::list();
  for (const text::PromptToken& token : tokens.chunks.front()) list.push(int64_t{token.id});
  return list;
}

// NumPy's file format, version 1: a header of text, then the values.
void write_npy(const std::string& path, const Tensor& values) {
  std::string shape;
  for (int i = 0; i < values.rank(); ++i) shape += fmt::format("{}, ", values.dim(i));
  std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", shape);
  header.append(63 - (header.size() + 10) % 64, ' ').push_back('\n');
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data<float>()), static_cast<size_t>(values.bytes()));
  write_text(path, bytes).value();
}

class PictureBencher {
 public:
  PictureBencher(diffuse::PictureEngine& engine, const PictureBench& options) : engine_(engine), options_(options) {
    parts_ = engine.load_checkpoint(options.model, {});
    if (!parts_.model || !parts_.clip || !parts_.vae) {
      throw Error(Code::kUnsupported, fmt::format("{}: a picture takes a denoiser, text encoders and a VAE; this file "
                                                  "does not hold all three",
                                                  options.model));
    }
    const size_t cross = options.size.find('x');
    if (cross != std::string::npos) {
      width_ = std::atoll(options.size.c_str()), height_ = std::atoll(options.size.c_str() + cross + 1);
    }
    if (width_ < 16 || height_ < 16 || width_ % 8 != 0 || height_ % 8 != 0) {
      throw Error(Code::kInvalidArgument, fmt::format("--size {}: wanted WIDTHxHEIGHT in whole eights, at least 16x16",
                                                      options.size));
    }
    sigmas_ = diffuse::ksampler_sigmas(options.sampler, options.scheduler, engine.sampling_of(*parts_.model),
                                       {.steps = options.steps}).value();
  }

  Seconds draw() {
    Seconds spent;
    const double start = steady_s();
    diffuse::SampleRequest request{.guider = {.model = *parts_.model, .cfg = options_.cfg},
                                   .sampler = {.name = options_.sampler},
                                   .sigmas = sigmas_,
                                   .noise = {.seed = options_.seed}};
    request.guider.positive = {engine_.encode_text(*parts_.clip, {options_.prompt, options_.prompt}, {})};
    request.guider.negative = {engine_.encode_text(*parts_.clip, {}, {})};
    spent.text = steady_s() - start;
    const int64_t channels = engine_.latent_channels(*parts_.model);
    request.latent.samples = zeros({options_.batch, channels, height_ / 8, width_ / 8});
    const diffuse::Sampled sampled = engine_.sample(request, {});
    spent.denoise = steady_s() - start - spent.text;
    picture_ = engine_.decode(*parts_.vae, sampled.output.samples, {}, {});
    spent.decode = steady_s() - start - spent.text - spent.denoise;
    return spent;
  }

  const Tensor& picture() const { return picture_; }
  float latent_scale() const { return parts_.model->base->file().latent_scale; }
  const diffuse::Sigmas& sigmas() const { return sigmas_; }

 private:
  Tensor zeros(Shape shape) {
    const int64_t bytes = row_bytes(DType::kF32, shape.numel());
    Tensor made(*engine_.memory().allocate(bytes, "latents"), DType::kF32, shape);
    std::fill_n(made.data<float>(), shape.numel(), 0.0f);
    return made;
  }

  diffuse::PictureEngine& engine_;
  const PictureBench& options_;
  diffuse::CheckpointParts parts_;
  diffuse::Sigmas sigmas_;
  Tensor picture_;
  int64_t width_ = 0, height_ = 0;
};

void print(const Value& result, bool as_json) {
  if (as_json) {
    std::cout << json::write(result, {.indent = 2}) << '\n';
    return;
  }
  for (const auto& [name, value] : result.as_object()) {
    if (value.is_list()) continue;
    std::string text = value.is_string() ? value.as_string() : json::write(value);
    if (value.kind() == Value::Kind::kDouble) text = fmt::format("{:.4g}", value.as_double());
    if (name.ends_with("_bytes")) text = format_bytes(value.as_int());
    std::cout << fmt::format("{:<24} {}\n", name, text);
  }
}

int bench_picture(const Common& common, const PictureBench& options) {
  Flags flags;
  if (options.threads) flags.emplace_back("llm.threads", std::to_string(*options.threads));
  Host host(read_config(common.config_file, flags), "cpu");
  PictureHost pictures(host, picture_places(host.config().pictures), nullptr);
  const double start = steady_s();
  PictureBencher bench(pictures.engine(), options);
  bench.draw();  // loads the weights and sizes the arena
  const double first_s = steady_s() - start;
  std::vector<double> text, denoise, decode, total;
  for (int64_t i = 0; i < options.repeat; ++i) {
    const Seconds spent = bench.draw();
    text.push_back(spent.text), denoise.push_back(spent.denoise), decode.push_back(spent.decode);
    total.push_back(spent.total());
  }
  if (!options.output.empty()) write_npy(options.output, bench.picture());
  Value sigmas = Value::list();
  for (float sigma : bench.sigmas()) sigmas.push(static_cast<double>(sigma));
  Value result = Value::object();
  result.set("model", options.model);
  result.set("threads", host.threads());
  result.set("size", options.size);
  result.set("batch", options.batch);
  result.set("steps", options.steps);
  result.set("first_s", first_s);
  result.set("text_s", median(text));
  result.set("denoise_s", median(denoise));
  result.set("decode_s", median(decode));
  result.set("total_s", median(total));
  result.set("total_runs", list_of(total));
  result.set("peak_rss_bytes", machine::read_process_memory().peak_bytes);
  result.set("latent_scale", static_cast<double>(bench.latent_scale()));
  result.set("sigmas", sigmas);
  result.set("tokens_l", ids_of(options.prompt, 49407));
  result.set("tokens_g", ids_of(options.prompt, 0));
  result.set("tokens_empty_l", ids_of("", 49407));
  result.set("tokens_empty_g", ids_of("", 0));
  print(result, options.json);
  return 0;
}

}  // namespace

Action add_bench_picture(CLI::App& app, Common& common) {
  auto options = std::make_shared<PictureBench>();
  app.add_option("-m,--model", options->model, "Checkpoint: a file, or a folder in diffusers layout")->required();
  app.add_option("--prompt", options->prompt, "What to draw")->capture_default_str();
  app.add_option("--size", options->size, "WIDTHxHEIGHT in pixels")->capture_default_str();
  app.add_option("--steps", options->steps, "Denoising steps")->capture_default_str()->check(CLI::Range(1, 10000));
  app.add_option("--batch", options->batch, "Pictures at once")->capture_default_str()->check(CLI::Range(1, 256));
  app.add_option("--cfg", options->cfg, "Guidance scale")->capture_default_str();
  app.add_option("--sampler", options->sampler, "Sampler")->capture_default_str();
  app.add_option("--scheduler", options->scheduler, "Schedule of noise levels")->capture_default_str();
  app.add_option("--seed", options->seed, "Seed of the noise")->capture_default_str();
  app.add_option("--repeat", options->repeat, "Runs after one to warm up; medians are shown")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  app.add_option("--threads", options->threads, "CPU threads (default: one per core)")->check(CLI::Range(1, 1024));
  app.add_option("-o,--output", options->output, "Write the last picture's values as a .npy file [batch, h, w, 3]");
  app.add_flag("--json", options->json, "Print JSON");
  return [options, &common] { return bench_picture(common, *options); };
}

}  // namespace hearth::app
