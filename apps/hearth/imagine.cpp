// hearth imagine: a picture, or a batch of them, from words. Composes the prompt graph that a client would queue and
// runs it in this process, so that the picture is the one the server would make, with its workflow inside.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "commands.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/nearest.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "imagine_batch.h"
#include "machine/memory.h"
#include "picture_host.h"
#include "picture_progress.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/sampling/schedule.h"
#include "server/picture_batch.h"

namespace hearth::app {
namespace {

struct ImagineOptions {
  std::string prompt, output, model, negative, size, sampler, scheduler, preset, init, mask, from, seeds, folder;
  std::string precision, attention, vae_slicing, vae_tiling;
  std::vector<std::string> loras, grid;
  std::optional<int64_t> steps, vae_tile;
  std::string batch;  // "4", "auto", "auto:16"
  std::optional<double> cfg, denoise, rescale_cfg;
  std::optional<uint64_t> seed;
  std::optional<int> threads;
  std::string preview;
  bool is_quiet = false, shows_no_preview = false;
};

bool is_batch(const ImagineOptions& o) {
  return !o.from.empty() || !o.seeds.empty() || !o.grid.empty() || !o.folder.empty();
}

// What would otherwise be told only after a model was read.
void check_flags(const ImagineOptions& o) {
  auto refuse = [](std::string what) { throw Error(Code::kInvalidArgument, std::move(what)); };
  if (o.prompt.empty() && o.from.empty()) refuse("what to draw? Give a prompt or --from FILE");
  if (!o.mask.empty() && o.init.empty()) {
    refuse("--mask says where to paint a picture over: name the picture with --init");
  }
  if (!is_batch(o)) return;
  if (o.folder.empty()) refuse("a batch needs a folder: add --out DIR");
  if (!o.output.empty()) refuse("-o names one picture, a batch writes many: leave it out, --out DIR takes them all");
  if (o.seed && !o.seeds.empty()) refuse("--seed names one seed, --seeds name many: leave one of them out");
  if (!o.batch.empty() && config::parse_batch(o.batch).value().most > 1) {
    refuse("with --out every picture has a seed of its own: name them with --seeds, such as 1..8");
  }
}

std::atomic<bool> stop_asked{false};  // set by the signal handler: the one thing a handler may touch

void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// A name of the list, or a path whose folder then joins it. Returns the name.
std::string name_of_file(workflow::Places& places, const char* kind, const std::string& asked, const char* flag) {
  const std::vector<std::string> known = places.models.list(kind);
  if (std::find(known.begin(), known.end(), asked) != known.end()) return asked;
  for (const std::string& name : known) {
    if (fs::path(name).stem() == asked || fs::path(name).filename() == asked) return name;
  }
  if (fs::exists(asked)) {
    const fs::path whole = fs::canonical(asked);
    places.models.add_folder(kind, whole.parent_path().string(), true);
    return whole.filename().string();
  }
  const std::string nearest = nearest_name(asked, known);
  throw Error(Code::kNotFound,
              fmt::format("{} {}: neither a file nor one of the {} known{}", flag, asked, kind,
                          !nearest.empty() ? ", did you mean '" + nearest + "'?"
                          : known.empty()
                              ? "; there are none in " + fmt::format("{}", fmt::join(places.models.folders(kind), ", "))
                              : "; there are " + fmt::format("{}", fmt::join(known, ", "))));
}

std::string choose_checkpoint(workflow::Places& places, const std::string& asked, const config::Config& config) {
  const std::string& wanted = asked.empty() ? config.pictures.default_model : asked;
  if (!wanted.empty()) {
    return name_of_file(places, "checkpoints", wanted, asked.empty() ? "pictures.default_model" : "--model");
  }
  return places.default_checkpoint().value();
}

// A picture of the user's as a name that nodes read: a copy in the temp folder.
std::string stage_picture(const workflow::Places& places, const std::string& file, const char* flag) {
  if (!fs::is_regular_file(file)) throw Error(Code::kNotFound, fmt::format("{} {}: there is no such file", flag, file));
  const fs::path copy = fs::path(places.temp) / (std::string(flag + 2) + fs::path(file).extension().string());
  fs::copy_file(file, copy, fs::copy_options::overwrite_existing);
  return copy.filename().string() + " [temp]";
}

void apply_preset(workflow::PictureOptions& o, const config::Preset& preset, const config::Pictures& defaults) {
  if (preset.steps) o.steps = *preset.steps;
  if (preset.cfg) o.cfg = *preset.cfg;
  if (preset.sampler) o.sampler = *preset.sampler;
  if (preset.scheduler) o.scheduler = *preset.scheduler;
  if (preset.batch) o.batch = preset.batch->most;
  if (preset.negative) o.negative = *preset.negative;
  if (preset.width) o.width = *preset.width;
  if (preset.height) o.height = *preset.height;
  if (preset.precision) o.precision = *preset.precision;
  if (preset.attention) o.attention = *preset.attention;
  if (preset.vae_tiling) o.vae_tiling = *preset.vae_tiling;
  // The engine starts from the defaults: what agrees with them needs no node of its own in the picture's workflow.
  if (preset.vae_slicing && *preset.vae_slicing != defaults.vae_slicing) {
    o.vae_slicing = *preset.vae_slicing ? "on" : "off";
  }
  o.vae_tile = preset.vae_tile.value_or(defaults.vae_tile);
}

void apply_flags(workflow::PictureOptions& o, const ImagineOptions& options) {
  o.prompt = options.prompt;
  if (!options.negative.empty()) o.negative = options.negative;
  if (options.steps) o.steps = *options.steps;
  if (options.cfg) o.cfg = *options.cfg;
  if (!options.sampler.empty()) o.sampler = options.sampler;
  if (!options.scheduler.empty()) o.scheduler = options.scheduler;
  if (!options.batch.empty()) o.batch = config::parse_batch(options.batch).value().most;
  if (options.denoise) o.denoise = *options.denoise;
  if (!options.precision.empty()) set_option(o, "precision", options.precision);
  if (!options.attention.empty()) set_option(o, "attention", options.attention);
  if (!options.vae_slicing.empty()) set_option(o, "vae_slicing", options.vae_slicing);
  if (!options.vae_tiling.empty()) set_option(o, "vae_tiling", options.vae_tiling);
  if (options.vae_tile) set_option(o, "vae_tile", std::to_string(*options.vae_tile));
  if (options.rescale_cfg) o.rescale_cfg = *options.rescale_cfg;
  if (!options.size.empty()) set_option(o, "size", options.size);
  // A batch that is started again must find what it has drawn: its seeds are never random.
  o.seed = options.seed ? *options.seed : is_batch(options) ? 0 : std::random_device()();
}

// NAME or NAME:STRENGTH.
workflow::PictureOptions::Lora parse_lora(workflow::Places& places, const std::string& text) {
  workflow::PictureOptions::Lora lora;
  std::string file = text;
  const size_t colon = text.rfind(':');
  if (colon != text.npos && colon + 1 < text.size()) {
    char* end = nullptr;
    lora.strength = std::strtod(text.c_str() + colon + 1, &end);
    if (*end == '\0') file = text.substr(0, colon);
    else lora.strength = 1;
  }
  lora.name = name_of_file(places, "loras", file, "--lora");
  return lora;
}

// A folder of this run for what nodes write; gone with it.
class Staging {
 public:
  explicit Staging(const fs::path& beside) : folder_(beside / fmt::format(".hearth-{}", ::getpid())) {
    make_folders(folder_).value();
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

struct Run {
  std::vector<std::string> files;  // what was saved, in the staging folder
  double seconds = 0;
};

class Imaginer {
 public:
  Imaginer(const Common& common, const ImagineOptions& options)
      : options_(options), host_(config_of(common, options), "cpu"),
        staging_(options.folder.empty() ? parent_of(options.output) : make_folder(options.folder)),
        places_(picture_places(host_.config().pictures, staging_.folder().string())) {}

  int run() {
    workflow::PictureOptions base = base_options();
    pictures_ = std::make_unique<PictureHost>(host_, std::move(places_), nullptr);
    use_native_size(base);
    if (is_batch_auto() && !is_batch(options_)) base.batch = pictures_that_fit(base);
    return is_batch(options_) ? run_batch(base) : run_one(base);
  }

 private:
  static config::Config config_of(const Common& common, const ImagineOptions& options) {
    Flags flags;
    if (!options.preview.empty()) flags.emplace_back("pictures.preview", options.preview);
    if (options.threads) flags.emplace_back("llm.threads", std::to_string(*options.threads));
    return read_config(common.config_file, flags);
  }
  static fs::path parent_of(const std::string& output) {
    const fs::path parent = fs::path(output).parent_path();
    return parent.empty() ? fs::path(".") : parent;
  }
  static fs::path make_folder(const std::string& folder) {
    make_folders(folder).value();
    return folder;
  }

  workflow::PictureOptions base_options() {
    workflow::PictureOptions base;
    base.width = base.height = 0;
    apply_preset(base, preset_named(host_.config(), options_.preset), host_.config().pictures);
    apply_flags(base, options_);
    base.checkpoint = choose_checkpoint(places_, options_.model, host_.config());
    for (const std::string& lora : options_.loras) base.loras.push_back(parse_lora(places_, lora));
    if (!options_.init.empty()) base.init = stage_picture(places_, options_.init, "--init");
    if (!options_.mask.empty()) base.mask = stage_picture(places_, options_.mask, "--mask");
    if (!base.init.empty() && !options_.denoise) base.denoise = base.mask.empty() ? 0.6 : 1.0;
    return base;
  }

  // Width and height nobody chose: those of the picture to start from, or what the model was made for.
  void use_native_size(workflow::PictureOptions& base) {
    if (base.width > 0 && base.height > 0) return;
    if (!options_.init.empty()) {
      const image::Picture picture = image::decode(read_text(options_.init, int64_t{256} << 20).value()).picture;
      base.width = picture.width / 8 * 8;
      base.height = picture.height / 8 * 8;
      return;
    }
    const workflow::Places& places = pictures_->studio().places();
    const std::string path = places.models.resolve("checkpoints", base.checkpoint).value();
    const diffuse::CheckpointParts parts = pictures_->engine().load_checkpoint(path, {});
    if (!parts.model) throw Error(Code::kUnsupported, fmt::format("{} holds no picture model", path));
    const diffuse::PictureSize native = pictures_->engine().native_size(*parts.model);
    if (base.width <= 0) base.width = native.width;
    if (base.height <= 0) base.height = native.height;
  }

  // Asked for by the flag, else by the preset.
  bool is_batch_auto() const {
    if (!options_.batch.empty()) return config::parse_batch(options_.batch).value().is_auto;
    const config::Preset& preset = preset_named(host_.config(), options_.preset);
    return preset.batch && preset.batch->is_auto;
  }

  int64_t pictures_that_fit(const workflow::PictureOptions& base) {
    const governor::Governor& watch = host_.governor();
    int64_t room = pictures_->memory().budget().free_bytes();
    if (const governor::Reading reading = watch.reading(); reading.is_known) {
      room = std::clamp<int64_t>(reading.room_bytes - watch.floors().soft_bytes, 0, room);
    }
    const std::string path = pictures_->studio().places().models.resolve("checkpoints", base.checkpoint).value();
    const int64_t count = server::pictures_at_once(base, path, host_.config().pictures, room, base.batch);
    if (!options_.is_quiet) {
      std::cerr << fmt::format("{} of at most {} pictures at once: memory holds that many\n", count, base.batch);
    }
    return count;
  }

  static void check_name(const char* what, const std::string& name, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    const std::string nearest = nearest_name(name, known);
    throw Error(Code::kInvalidArgument,
                fmt::format("no {} '{}'{}", what, name,
                            nearest.empty() ? fmt::format("; there are {}", fmt::join(known, ", "))
                                            : ", did you mean '" + nearest + "'?"));
  }

  workflow::Verdict checked(const workflow::PictureOptions& options, Value& prompt) {
    check_name("sampler", options.sampler, diffuse::sampler_names());
    check_name("scheduler", options.scheduler, diffuse::scheduler_names());
    workflow::Verdict verdict = pictures_->studio().check(prompt);
    if (!verdict.is_valid) throw Error(Code::kInvalidArgument, problem_of(verdict));
    return verdict;
  }

  Run draw(const workflow::PictureOptions& options) {
    Value prompt = workflow::compose_picture(options);
    const workflow::Verdict verdict = checked(options, prompt);
    PictureProgress progress(options_.shows_no_preview ? TerminalPictures::kNone : terminal_pictures(),
                             options_.is_quiet);
    const auto start = std::chrono::steady_clock::now();
    workflow::JobResult done = pictures_->studio().run("imagine", prompt, verdict.outputs, Value::object(), progress,
                                                       stop_asked);
    if (done.end == workflow::JobResult::End::kInterrupted) {
      throw Error(Code::kCancelled, "stopped; nothing was written");
    }
    if (done.end == workflow::JobResult::End::kError) throw Error(Code::kInternal, progress.error());
    Run run{.files = {}, .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
    for (const auto& [id, ui] : done.outputs.as_object()) {
      const Value* images = ui.find("images");
      for (size_t i = 0; images && i < images->as_list().size(); ++i) {
        run.files.push_back((staging_.folder() / images->as_list()[i].at("filename").as_string()).string());
      }
    }
    if (!run.files.empty() && !is_batch(options_)) {
      progress.show(image::decode(read_text(run.files.front(), int64_t{1} << 30).value()).picture);
    }
    return run;
  }

  static std::string problem_of(const workflow::Verdict& verdict) {
    for (const auto& [id, node] : verdict.node_errors.as_object()) {
      for (const Value& error : node.at("errors").as_list()) {
        return error.at("message").as_string() + ": " + error.at("details").as_string();
      }
    }
    return verdict.error.at("message").as_string();
  }

  // The staged PNG under the name that was asked for, in the format its ending says.
  void deliver(const std::string& staged, const fs::path& to) const {
    const std::string ending = to.extension().string();
    if (ending == ".jpg" || ending == ".jpeg" || ending == ".webp") {
      const image::Picture picture = image::decode(read_text(staged, int64_t{1} << 30).value()).picture;
      write_text(to, ending == ".webp" ? image::encode_webp(picture, {.is_lossless = true})
                                       : image::encode_jpeg(picture, 95)).value();
    } else {
      rename_durably(staged, to).value();
    }
  }

  int run_one(const workflow::PictureOptions& options) {
    const Run run = draw(options);
    const fs::path output = options_.output.empty() ? "picture.png" : options_.output;
    for (size_t i = 0; i < run.files.size(); ++i) {
      fs::path to = output;
      if (run.files.size() > 1) {
        to.replace_filename(fmt::format("{}-{}{}", output.stem().string(), i + 1, output.extension().string()));
      }
      deliver(run.files[i], to);
      std::cout << to.string() << '\n';
    }
    if (!options_.is_quiet) {
      std::cerr << fmt::format("seed {}, {}x{}, {} steps, {}, peak memory {}\n", options.seed, options.width,
                               options.height, options.steps, format_duration(run.seconds),
                               format_bytes(machine::read_process_memory().peak_bytes));
    }
    return 0;
  }

  int run_batch(const workflow::PictureOptions& base) {
    std::vector<GridAxis> grid;
    std::vector<uint64_t> seeds;
    TakenSettings taken;
    if (!options_.seeds.empty()) {
      seeds = parse_seeds(options_.seeds);
      taken["seed"] = "--seeds";
    }
    for (const std::string& axis : options_.grid) {
      grid.push_back(parse_axis(axis));
      const auto [flag, is_new] = taken.emplace(grid.back().name, "--grid " + grid.back().name);
      if (!is_new) {
        throw Error(Code::kInvalidArgument, fmt::format("--grid {}: {} sets that already; leave one of them out", axis,
                                                        flag->second));
      }
    }
    std::vector<workflow::PictureOptions> prompts{base};
    if (!options_.from.empty()) prompts = read_prompts(options_.from, base, taken);
    const std::vector<BatchItem> items = expand(prompts, grid, seeds);
    const std::vector<bool> finished = finished_items(options_.folder, items);
    for (const BatchItem& item : items) check_item(item);

    const auto left = std::count(finished.begin(), finished.end(), false);
    const auto start = std::chrono::steady_clock::now();
    int64_t drawn = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      if (finished[i]) continue;
      const Run run = draw_of_batch(items[i], i, items.size());
      deliver(run.files.at(0), fs::path(options_.folder) / items[i].file);
      append_manifest(manifest_entry(items[i], run.seconds));
      ++drawn;
      const double each =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(drawn);
      if (!options_.is_quiet) {
        const std::string rest =
            drawn < left ? fmt::format(", {} left", format_duration(each * static_cast<double>(left - drawn))) : "";
        std::cerr << fmt::format("{}/{}  {}  {:.2f} s each{}\n", i + 1, items.size(), items[i].file, each, rest);
      }
    }
    write_contact_sheet(options_.folder, items, 8, 256);
    std::cout << fmt::format("{} pictures in {}, {} of them new\n", items.size(), options_.folder, drawn);
    return 0;
  }

  // Before the first picture is drawn: a wrong line of a list should not be found after hours.
  void check_item(const BatchItem& item) {
    if (item.options.prompt.empty()) {
      throw Error(Code::kInvalidArgument, fmt::format("{}: there is no prompt for it", item.file));
    }
    Value prompt = workflow::compose_picture(item.options);
    checked(item.options, prompt);
  }

  Run draw_of_batch(const BatchItem& item, size_t index, size_t count) {
    try {
      return draw(item.options);
    } catch (const Error& e) {
      const std::string goes_on = "the same command goes on from there";
      if (e.code() != Code::kCancelled) {
        throw Error(e.code(), fmt::format("{}: {}; {}", item.file, e.message(), goes_on));
      }
      throw Error(Code::kCancelled, fmt::format("stopped at picture {} of {}; {}", index + 1, count, goes_on));
    }
  }

  void append_manifest(const Value& entry) const {
    Result<OutFile> file = OutFile::open(fs::path(options_.folder) / "manifest.jsonl", OutFile::Start::kAtEnd);
    if (!file) throw file.error();
    const std::string line = json::write(entry) + "\n";
    file->write(line.data(), line.size()).value();
    file->finish().value();
  }

  const ImagineOptions& options_;
  Host host_;
  Staging staging_;
  workflow::Places places_;
  std::unique_ptr<PictureHost> pictures_;
};

}  // namespace

Action add_imagine(CLI::App& app, Common& common) {
  auto o = std::make_shared<ImagineOptions>();
  app.add_option("prompt", o->prompt,
                 "What to draw; (word:1.3) weighs a word, embedding:NAME uses a textual inversion");
  app.add_option("-o,--output", o->output, "File to write, .png, .jpg or .webp (default: picture.png)");
  app.add_option("-m,--model", o->model,
                 "Checkpoint: a name of the checkpoints folder or a file (default: the only one there, else the model "
                 "that comes along)");
  app.add_option("-n,--negative", o->negative, "What not to draw");
  app.add_option("-p,--preset", o->preset, "Settings to start from: balanced, batch, quality or one of [presets]");
  app.add_option("--size", o->size, "WIDTHxHEIGHT in pixels (default: the preset's, else the model's)");
  app.add_option("--steps", o->steps, "Denoising steps")->check(CLI::Range(1, 10000));
  app.add_option("--cfg", o->cfg, "Guidance scale")->check(CLI::Range(0.0, 100.0));
  app.add_option("--rescale-cfg", o->rescale_cfg, "Tames high guidance scales, 0 to 1")->check(CLI::Range(0.0, 1.0));
  app.add_option("--sampler", o->sampler, "Sampler, such as euler or dpmpp_2m");
  app.add_option("--scheduler", o->scheduler, "Schedule of noise levels, such as karras or normal");
  app.add_option("--seed", o->seed, "Same seed, same picture (default: a random one, which is printed; in a batch 0)");
  app.add_option("--batch", o->batch,
                 "Pictures to draw together: a number, auto (as many as memory holds, at most 8) or auto:N")
      ->check([](const std::string& text) {
        const Result<config::Batch> batch = config::parse_batch(text);
        return batch ? std::string() : batch.error().message();
      });
  app.add_option("--lora", o->loras, "LoRA to apply, NAME or NAME:STRENGTH; may be repeated");
  app.add_option("--init", o->init, "Picture to start from");
  app.add_option("--mask", o->mask, "Where to paint the --init picture over: white is new");
  app.add_option("--denoise", o->denoise, "How much of --init is drawn anew, 0 to 1 (default: 0.6, with --mask 1)")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--precision", o->precision, "How weights lie in memory: auto (as in the file), fp32, fp16 or bf16");
  app.add_option("--attention", o->attention, "How attention is computed: auto, tiled or, many times slower, exact");
  app.add_option("--vae-slicing", o->vae_slicing, "on: decode one picture of a batch at a time; off: all together");
  app.add_option("--vae-tiling", o->vae_tiling, "Decode a picture in pieces: on, off or auto (where memory is short)");
  app.add_option("--vae-tile", o->vae_tile, "Pixels a side of those pieces (default: 512); turns tiling on");
  app.add_option("--from", o->from, "Prompts from a .txt, .csv or .jsonl file, for a batch into --out");
  app.add_option("--grid", o->grid, "One axis of a batch, such as steps=20,30; may be repeated");
  app.add_option("--seeds", o->seeds, "Seeds of a batch, such as 1..8 or 3,5,9");
  app.add_option("--out", o->folder, "Folder of a batch; one that was stopped goes on where it was");
  app.add_option("--threads", o->threads, "CPU threads (default: one per core)");
  app.add_flag("-q,--quiet", o->is_quiet, "Print file names only");
  app.add_option("--preview-method", o->preview, "Previews: auto, latent2rgb, taesd or none (pictures.preview)");
  app.add_flag("--no-preview", o->shows_no_preview, "Do not show the picture in the terminal while it is drawn");
  return [o, &common] {
    check_flags(*o);
    log::set_level(common.log_level == "info" ? "warn" : common.log_level);
    catch_interrupt();
    return Imaginer(common, *o).run();
  };
}

}  // namespace hearth::app
