// What a user may configure, typed, and where each value came from. Layers, later over earlier: built-in defaults,
// hearth.toml, .env, HEARTH_* environment, command-line flags. Every field is declared once, in fields.cpp; parsing,
// errors, the example, `show` and docs/configuration.md follow from it.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace hearth::config {

namespace fs = std::filesystem;

struct Server {
  std::string host;
  int port = 0;
  std::string api_key;  // "": none is asked for
  int64_t max_body_bytes = 0;
  std::chrono::milliseconds header_timeout{}, request_timeout{};
  int max_connections = 0, max_queue = 0;
  std::vector<std::string> allowed_origins, allowed_hosts;
};

struct Memory {
  std::optional<int64_t> budget_bytes, reserve_bytes;  // empty: found from the machine
  std::optional<int64_t> soft_floor_bytes, hard_floor_bytes, panic_floor_bytes;  // likewise
  bool watchdog = true;
  std::string loading;                                 // "direct" past the page cache, or "mmap" through it
  fs::path models_dir;                                 // "": the store's default
};

struct Llm {
  std::string default_model;      // "": the only one there is
  int context = 0;                // 0: the model's own, at most 8192
  int parallel = 0, threads = 0;  // threads 0: one a core
  std::string state_dtype;
  std::chrono::milliseconds keep_alive{};
  int prefill_chunk = 0, page_tokens = 0;
};

/// [models."NAME"]: what is not set comes from [llm] and from the model itself.
struct ModelProfile {
  std::string name;
  fs::path path;  // "": NAME in the model store
  std::vector<std::string> alias;
  std::optional<int> context;
  std::optional<std::string> state_dtype;
  std::optional<std::chrono::milliseconds> keep_alive;
  bool pin = false;
  std::optional<double> temperature, top_p, min_p, typical_p;
  std::optional<double> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int> top_k;
  std::optional<int64_t> seed;
  fs::path chat_template;
};

/// Where pictures, and the files they are made from, lie. Empty folders: below $XDG_DATA_HOME/hearth (~/.local/share).
struct Pictures {
  std::string default_model;          // "": the only one there is
  std::string default_preset;
  fs::path comfyui_dir;               // an existing ComfyUI tree, used in place
  fs::path models_dir, input_dir, output_dir, temp_dir, user_dir;
  fs::path extra_model_paths;         // ComfyUI's YAML file
  fs::path frontend;                  // a built ComfyUI frontend, served at /
  std::string preview;                // none, latent2rgb, taesd, auto
  std::string precision, attention;   // how models are kept and computed where nothing else is said
  bool vae_slicing = true;            // one picture of a batch at a time
  std::string vae_tiling;             // auto, on, off: pieces of one picture
  int vae_tile = 0;                   // pixels a side of a piece
  int64_t cache_bytes = 0;            // outputs of nodes kept for the next job
  int64_t max_upload_bytes = 0;
};

/// What plans count energy and money with.
struct Planner {
  double price_per_kwh = 0;
  std::string currency;
  double power_w = 0;  // of this machine while it works; 0: not known
};

/// How many pictures are made together: a number, or as many as memory holds, at most that.
struct Batch {
  int64_t most = 1;
  bool is_auto = false;
};
/// "4", "auto" (at most 8) or "auto:32". kInvalidArgument saying what was wanted.
Result<Batch> parse_batch(std::string_view text);

/// [presets.NAME]: what `hearth imagine --preset NAME` and the page start from. Unset: the program's own default.
struct Preset {
  std::string name;
  std::optional<int> steps, width, height;
  std::optional<Batch> batch;
  std::optional<double> cfg;
  std::optional<std::string> sampler, scheduler, negative;
  std::optional<std::string> precision, attention, vae_tiling;  // as in [pictures]
  std::optional<bool> vae_slicing;
  std::optional<int> vae_tile;
  std::string note;
};

/// One value as `hearth config show` prints it.
struct Effective {
  std::string path;    // "server.port", "models.\"qwen\".pin"
  std::string text;    // secrets unmasked: print through render.h only
  std::string origin;  // "default", "hearth.toml:4", ".env:2", "HEARTH_SERVER_PORT", "flag"
  bool is_secret = false;
};

struct Config {
  Server server;
  Memory memory;
  Llm llm;
  Pictures pictures;
  Planner planner;
  std::vector<ModelProfile> models;
  std::vector<Preset> presets;  // the shipped ones first; a file's table changes or adds one
  fs::path file;  // "": none was found
  std::vector<Effective> effective;
};

struct LoadOptions {
  fs::path file;                                           // --config; must exist when given
  std::vector<std::pair<std::string, std::string>> flags;  // "server.port" -> "9000"
  fs::path folder = ".";                                   // holds hearth.toml and .env
  std::optional<std::vector<std::string>> environment;     // "NAME=value"; the process's own when empty
};

/// The file is the first of: options.file, $HEARTH_CONFIG, hearth.toml in the folder,
/// $XDG_CONFIG_HOME/hearth/hearth.toml (~/.config when unset). A HEARTH_* variable that is neither a field nor one of
/// other_variables() in fields.h is a problem like an unknown key. kInvalidArgument with one line a problem: place,
/// what was got, what was wanted; kNotFound when a file that was named does not exist.
Result<Config> load(const LoadOptions& options);

}  // namespace hearth::config
