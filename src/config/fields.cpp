#include "config/fields.h"

#include <array>
#include <cctype>

namespace hearth::config {
namespace {

using std::chrono::milliseconds;

constexpr double kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB, kTiB = 1024 * kGiB;
constexpr double kSecond = 1000, kHour = 3600 * kSecond, kDay = 24 * kHour;
constexpr double kMillion = 1'000'000;
constexpr double kLargestExact = 9'007'199'254'740'991;  // 2^53 - 1: limits are doubles
constexpr std::string_view kStateDtypes = "f16 bf16 f32", kPrecisions = "auto fp32 fp16 bf16";

// How a setting gets into a field of a struct, by the field's type.
void assign(std::string& to, const Setting& from) { to = std::get<std::string>(from); }
void assign(fs::path& to, const Setting& from) { to = std::get<std::string>(from); }
void assign(int& to, const Setting& from) { to = static_cast<int>(std::get<int64_t>(from)); }
void assign(int64_t& to, const Setting& from) { to = std::get<int64_t>(from); }
void assign(double& to, const Setting& from) { to = std::get<double>(from); }
void assign(bool& to, const Setting& from) { to = std::get<bool>(from); }
void assign(milliseconds& to, const Setting& from) { to = milliseconds(std::get<int64_t>(from)); }
void assign(std::vector<std::string>& to, const Setting& from) { to = std::get<std::vector<std::string>>(from); }
void assign(Batch& to, const Setting& from) { to = parse_batch(std::get<std::string>(from)).value(); }
template <class T>
void assign(std::optional<T>& to, const Setting& from) {
  if (std::holds_alternative<std::monostate>(from)) return to.reset();
  assign(to.emplace(), from);
}

template <auto Section, auto Member>
void put(const Target& target, const Setting& setting) {
  assign(target.config.*Section.*Member, setting);
}
template <auto Member>
void put_profile(const Target& target, const Setting& setting) {
  assign(target.model->*Member, setting);
}
template <auto Member>
void put_preset(const Target& target, const Setting& setting) {
  assign(target.preset->*Member, setting);
}

template <auto Member>
constexpr auto server = &put<&Config::server, Member>;
template <auto Member>
constexpr auto memory = &put<&Config::memory, Member>;
template <auto Member>
constexpr auto llm = &put<&Config::llm, Member>;
template <auto Member>
constexpr auto pictures = &put<&Config::pictures, Member>;
template <auto Member>
constexpr auto planner = &put<&Config::planner, Member>;
template <auto Member>
constexpr auto model = &put_profile<Member>;
template <auto Member>
constexpr auto preset = &put_preset<Member>;

const std::array kFields = {
    Field{"server", "host", Kind::kText, "127.0.0.1", 0, 0, "",
          "Address to listen on; 0.0.0.0 or :: for every network of the machine (set an api_key then).",
          server<&Server::host>},
    Field{"server", "port", Kind::kInteger, "8188", 1, 65535, "", "Port to listen on.", server<&Server::port>},
    Field{"server", "api_key", Kind::kText, "", 0, 0, "",
          "Key that clients must send as a bearer token; empty asks for none.", server<&Server::api_key>, true},
    Field{"server", "max_body", Kind::kBytes, "16MiB", kKiB, kGiB, "", "Largest request body.",
          server<&Server::max_body_bytes>},
    Field{"server", "header_timeout", Kind::kDuration, "10s", 100, kHour, "",
          "How long a client may take to send its request.", server<&Server::header_timeout>},
    Field{"server", "request_timeout", Kind::kDuration, "600s", kSecond, kDay, "",
          "How long one request may run before it is cancelled.", server<&Server::request_timeout>},
    Field{"server", "max_connections", Kind::kInteger, "512", 1, 65536, "",
          "Open connections; further ones are refused.", server<&Server::max_connections>},
    Field{"server", "max_queue", Kind::kInteger, "64", 0, 65536, "",
          "Requests that may wait for their turn; further ones get HTTP 429.", server<&Server::max_queue>},
    Field{"server", "allowed_origins", Kind::kTextList, "", 0, 0, "",
          "Web pages, such as https://chat.example.org, whose scripts may call the server; * for all.",
          server<&Server::allowed_origins>},
    Field{"server", "allowed_hosts", Kind::kTextList, "", 0, 0, "",
          "Host names besides localhost and the own address under which the server may be called.",
          server<&Server::allowed_hosts>},

    Field{"memory", "budget", Kind::kBytes, "", 64 * kMiB, 64 * kTiB, "",
          "Memory that models, their state and caches may use together; empty: what the machine has, less the reserve.",
          memory<&Memory::budget_bytes>},
    Field{"memory", "reserve", Kind::kBytes, "", 0, 64 * kTiB, "",
          "Memory left to everything else on the machine; empty: chosen by the machine's size.",
          memory<&Memory::reserve_bytes>},
    Field{"memory", "soft_floor", Kind::kBytes, "", 0, 64 * kTiB, "",
          "With less available on the machine nothing new begins and idle models leave; empty: an eighth of it.",
          memory<&Memory::soft_floor_bytes>},
    Field{"memory", "hard_floor", Kind::kBytes, "", 0, 64 * kTiB, "",
          "With less available the largest running request is ended; empty: a sixteenth of the machine's memory.",
          memory<&Memory::hard_floor_bytes>},
    Field{"memory", "panic_floor", Kind::kBytes, "", 0, 64 * kTiB, "",
          "With less available the server ends itself, so that the machine lives on; empty: one part in 32.",
          memory<&Memory::panic_floor_bytes>},
    Field{"memory", "watchdog", Kind::kFlag, "true", 0, 0, "",
          "A small process beside the server ends it when memory runs out and the server does not react.",
          memory<&Memory::watchdog>},
    Field{"memory", "loading", Kind::kText, "direct", 0, 0, "direct mmap",
          "How model files are read: direct, past the page cache, or mmap, through it: it keeps them, so that loading "
          "again is faster and other programs share what was read.",
          memory<&Memory::loading>},
    Field{"memory", "models_dir", Kind::kPath, "", 0, 0, "",
          "Folder of the model store; empty: $XDG_DATA_HOME/hearth/models, or ~/.local/share/hearth/models.",
          memory<&Memory::models_dir>},

    Field{"llm", "default_model", Kind::kText, "", 0, 0, "",
          "Model for requests that name none; empty: the only one there is.", llm<&Llm::default_model>},
    Field{"llm", "context", Kind::kInteger, "0", 0, 16 * kMillion, "",
          "Tokens of prompt and answer together; 0: the model's own, at most 8192.", llm<&Llm::context>},
    Field{"llm", "parallel", Kind::kInteger, "8", 1, 1024, "", "Requests that are answered at the same time.",
          llm<&Llm::parallel>},
    Field{"llm", "threads", Kind::kInteger, "0", 0, 1024, "", "CPU threads for models; 0: one a core.",
          llm<&Llm::threads>},
    Field{"llm", "state_dtype", Kind::kText, "f16", 0, 0, kStateDtypes, "Number type of the attention state.",
          llm<&Llm::state_dtype>},
    Field{"llm", "keep_alive", Kind::kDuration, "30m", 0, 3650 * kDay, "",
          "How long an idle model stays loaded; 0 unloads it after each request.", llm<&Llm::keep_alive>},
    Field{"llm", "prefill_chunk", Kind::kInteger, "256", 1, 65536, "",
          "Prompt tokens read in one step, between which others get their turn.", llm<&Llm::prefill_chunk>},
    Field{"llm", "page_tokens", Kind::kInteger, "32", 1, 4096, "", "Tokens in one page of the attention state.",
          llm<&Llm::page_tokens>},

    Field{"pictures", "default_model", Kind::kText, "", 0, 0, "",
          "Checkpoint for requests that name none; empty: the only one there is.", pictures<&Pictures::default_model>},
    Field{"pictures", "default_preset", Kind::kText, "balanced", 0, 0, "",
          "Preset of `hearth imagine` and the page when none is named.", pictures<&Pictures::default_preset>},
    Field{"pictures", "comfyui_dir", Kind::kPath, "", 0, 0, "",
          "An existing ComfyUI folder; the models in it are used in place and never changed.",
          pictures<&Pictures::comfyui_dir>},
    Field{"pictures", "models_dir", Kind::kPath, "", 0, 0, "",
          "Folder with checkpoints/, loras/, vae/ and so on; empty: $XDG_DATA_HOME/hearth/pictures/models.",
          pictures<&Pictures::models_dir>},
    Field{"pictures", "input_dir", Kind::kPath, "", 0, 0, "",
          "Uploaded pictures; empty: $XDG_DATA_HOME/hearth/pictures/input.", pictures<&Pictures::input_dir>},
    Field{"pictures", "output_dir", Kind::kPath, "", 0, 0, "",
          "Finished pictures; empty: $XDG_DATA_HOME/hearth/pictures/output.", pictures<&Pictures::output_dir>},
    Field{"pictures", "temp_dir", Kind::kPath, "", 0, 0, "",
          "Previews, emptied at every start; empty: $XDG_DATA_HOME/hearth/pictures/temp.",
          pictures<&Pictures::temp_dir>},
    Field{"pictures", "user_dir", Kind::kPath, "", 0, 0, "",
          "Queue, history, settings and saved workflows; empty: $XDG_DATA_HOME/hearth/pictures/user.",
          pictures<&Pictures::user_dir>},
    Field{"pictures", "extra_model_paths", Kind::kPath, "", 0, 0, "",
          "ComfyUI's extra_model_paths.yaml: further folders with models.", pictures<&Pictures::extra_model_paths>},
    Field{"pictures", "frontend", Kind::kPath, "", 0, 0, "",
          "Folder of a built ComfyUI frontend, served at / instead of the own page.", pictures<&Pictures::frontend>},
    Field{
        "pictures", "preview", Kind::kText, "auto", 0, 0, "auto none latent2rgb taesd",
        "How pictures are shown while they are made; taesd wants its decoder in models/vae_approx, auto is latent2rgb.",
        pictures<&Pictures::preview>},
    Field{
        "pictures", "precision", Kind::kText, "auto", 0, 0, kPrecisions,
        "How weights lie in memory; auto: as in the file. 16 bits take half of fp32's room; the CPU computes in fp32.",
        pictures<&Pictures::precision>},
    Field{"pictures", "attention", Kind::kText, "auto", 0, 0, "",
          "How attention is computed: auto, tiled or, many times slower, exact.", pictures<&Pictures::attention>},
    Field{"pictures", "vae_slicing", Kind::kFlag, "true", 0, 0, "",
          "Decodes one picture of a batch at a time; false: all together, in that much more memory.",
          pictures<&Pictures::vae_slicing>},
    Field{"pictures", "vae_tiling", Kind::kText, "auto", 0, 0, "auto on off",
          "Decodes pieces of a picture and blends their seams; auto: where a whole one does not fit the budget.",
          pictures<&Pictures::vae_tiling>},
    Field{"pictures", "vae_tile", Kind::kInteger, "512", 64, 4096, "",
          "Pixels a side of those pieces, a multiple of 32.", pictures<&Pictures::vae_tile>},
    Field{"pictures", "cache", Kind::kBytes, "512MiB", 0, kTiB, "",
          "Memory for results of nodes that the next job may use again.", pictures<&Pictures::cache_bytes>},
    Field{"pictures", "max_upload", Kind::kBytes, "100MiB", kKiB, 64 * kGiB, "", "Largest uploaded file.",
          pictures<&Pictures::max_upload_bytes>},

    Field{"planner", "price_per_kwh", Kind::kNumber, "0.3", 0, kMillion, "", "Price of a kilowatt-hour, for plans.",
          planner<&Planner::price_per_kwh>},
    Field{"planner", "currency", Kind::kText, "$", 0, 0, "", "Of that price.", planner<&Planner::currency>},
    Field{"planner", "power", Kind::kNumber, "0", 0, kMillion, "",
          "Watts this machine draws while it works; 0: what is known of its kind, else no energy is told.",
          planner<&Planner::power_w>},

    Field{"models", "path", Kind::kPath, "", 0, 0, "", "A .gguf file or a folder; unset: NAME in the model store.",
          model<&ModelProfile::path>},
    Field{"models", "alias", Kind::kTextList, "", 0, 0, "", "Further names under which clients may ask for it.",
          model<&ModelProfile::alias>},
    Field{"models", "context", Kind::kInteger, "llm.context", 0, 16 * kMillion, "", "As llm.context, for this model.",
          model<&ModelProfile::context>},
    Field{"models", "state_dtype", Kind::kText, "llm.state_dtype", 0, 0, kStateDtypes, "As llm.state_dtype.",
          model<&ModelProfile::state_dtype>},
    Field{"models", "keep_alive", Kind::kDuration, "llm.keep_alive", 0, 3650 * kDay, "", "As llm.keep_alive.",
          model<&ModelProfile::keep_alive>},
    Field{"models", "pin", Kind::kFlag, "false", 0, 0, "", "Loaded at the start and never unloaded.",
          model<&ModelProfile::pin>},
    Field{"models", "temperature", Kind::kNumber, "the model's", 0, 100, "",
          "Sampling temperature when a request gives none.", model<&ModelProfile::temperature>},
    Field{"models", "top_k", Kind::kInteger, "the model's", 0, kMillion, "", "Likeliest tokens to choose from; 0: all.",
          model<&ModelProfile::top_k>},
    Field{"models", "top_p", Kind::kNumber, "the model's", 0, 1, "", "Share of probability to choose from.",
          model<&ModelProfile::top_p>},
    Field{"models", "min_p", Kind::kNumber, "the model's", 0, 1, "", "Least probability beside the likeliest token's.",
          model<&ModelProfile::min_p>},
    Field{"models", "typical_p", Kind::kNumber, "1", 0, 1, "", "Share of probability of typical tokens; 1: off.",
          model<&ModelProfile::typical_p>},
    Field{"models", "repetition_penalty", Kind::kNumber, "the model's", 0.01, 10, "",
          "Divides the odds of tokens seen before; 1: off.", model<&ModelProfile::repetition_penalty>},
    Field{"models", "presence_penalty", Kind::kNumber, "0", -2, 2, "",
          "Subtracted once from tokens already written; 0: off.", model<&ModelProfile::presence_penalty>},
    Field{"models", "frequency_penalty", Kind::kNumber, "0", -2, 2, "",
          "Subtracted for each time a token was written; 0: off.", model<&ModelProfile::frequency_penalty>},
    Field{"models", "seed", Kind::kInteger, "random", 0, kLargestExact, "",
          "Requests that give no seed all take this one, and repeat their answers.", model<&ModelProfile::seed>},
    Field{"models", "chat_template", Kind::kPath, "the model's", 0, 0, "",
          "Jinja file used instead of the model's own template.", model<&ModelProfile::chat_template>},

    Field{"presets", "steps", Kind::kInteger, "20", 1, 10000, "", "Denoising steps.", preset<&Preset::steps>},
    Field{"presets", "cfg", Kind::kNumber, "7", 0, 100, "", "Guidance scale.", preset<&Preset::cfg>},
    Field{"presets", "sampler", Kind::kText, "euler_ancestral", 0, 0, "", "Sampler, as ComfyUI names it.",
          preset<&Preset::sampler>},
    Field{"presets", "scheduler", Kind::kText, "karras", 0, 0, "", "Schedule of the noise levels, as ComfyUI names it.",
          preset<&Preset::scheduler>},
    Field{"presets", "batch", Kind::kBatch, "1", 1, 4096, "",
          "Pictures made together by `hearth imagine` and, up to 64, the page; auto: as many as memory holds, at most "
          "8 or the number behind it, and on the page one.",
          preset<&Preset::batch>},
    Field{"presets", "width", Kind::kInteger, "the model's", 16, 16384, "", "Pixels.", preset<&Preset::width>},
    Field{"presets", "height", Kind::kInteger, "the model's", 16, 16384, "", "Pixels.", preset<&Preset::height>},
    Field{"presets", "negative", Kind::kText, "", 0, 0, "", "Negative prompt.", preset<&Preset::negative>},
    Field{"presets", "precision", Kind::kText, "pictures.precision", 0, 0, kPrecisions, "As pictures.precision.",
          preset<&Preset::precision>},
    Field{"presets", "attention", Kind::kText, "pictures.attention", 0, 0, "", "As pictures.attention.",
          preset<&Preset::attention>},
    Field{"presets", "vae_slicing", Kind::kFlag, "pictures.vae_slicing", 0, 0, "", "As pictures.vae_slicing.",
          preset<&Preset::vae_slicing>},
    Field{"presets", "vae_tiling", Kind::kText, "pictures.vae_tiling", 0, 0, "auto on off", "As pictures.vae_tiling.",
          preset<&Preset::vae_tiling>},
    Field{"presets", "vae_tile", Kind::kInteger, "pictures.vae_tile", 64, 4096, "", "As pictures.vae_tile.",
          preset<&Preset::vae_tile>},
    Field{"presets", "note", Kind::kText, "", 0, 0, "", "What it is for, shown in lists.", preset<&Preset::note>},
};

// The program itself reads the first two; the rest is of the scripts and tests, which run it with them set.
constexpr Variable kOtherVariables[] = {
    {"HEARTH_CONFIG", "The configuration file; `--config` wins."},
    {"HEARTH_CPU_ISA", "Lowers the instruction set: plain, avx2, avx512, neon, dotprod or i8mm. For measuring."},
    {"HEARTH_CACHE", "Where `./run`, `./test` and benchmarks keep downloads."},
    {"HEARTH_CHROOTS", "Where `tools/chroot.sh` and `tools/arm64.sh` keep their systems."},
    {"HEARTH_MIRROR", "The Debian mirror of those systems."},
    {"HEARTH_ROOT_*", "Handed on into those systems."},
    {"HEARTH_BIN", "Folder of the programs under test."},
    {"HEARTH_SOURCE_DIR", "Root of the source tree, for tests."},
    {"HEARTH_GGUF", "GGUF files that tests read, separated by colons."},
    {"HEARTH_TEST_*", "Further inputs and outputs of tests."},
    {"HEARTH_FUZZ_*", "Settings of the fuzz runs, such as HEARTH_FUZZ_SECONDS."},
    {"HEARTH_BIND", "The address that deploy/compose.yaml publishes the server on."},
    {"HEARTH_UPDATE_DOCS", "Set: tests write the generated tables of docs/ anew."},
};

}  // namespace

bool Variable::covers(std::string_view other) const {
  return name.ends_with('*') ? other.starts_with(name.substr(0, name.size() - 1)) : other == name;
}

std::span<const Variable> other_variables() { return kOtherVariables; }

std::string Field::env() const {
  if (is_of_named()) return "";
  std::string name = "HEARTH_" + std::string(section) + "_" + std::string(key);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::span<const Field> fields() { return kFields; }

const Field* find_field(std::string_view section, std::string_view key) {
  for (const Field& field : kFields) {
    if (field.section == section && field.key == key) return &field;
  }
  return nullptr;
}

}  // namespace hearth::config
