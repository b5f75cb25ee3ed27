#include "models/lm/config.h"

#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>

namespace hearth {
namespace {

constexpr int64_t kMostLayers = 1000;

// Typed reads of one object, with the file's name in every complaint.
class Reader {
 public:
  Reader(const Value& object, std::string prefix, const std::string& file)
      : object_(object), prefix_(std::move(prefix)), file_(file) {}

  const Value* find(std::string_view key) const {
    const Value* value = object_.find(prefix_ + std::string(key));
    return value && !value->is_null() ? value : nullptr;
  }
  int64_t integer(std::string_view key, std::optional<int64_t> fallback, int64_t low, int64_t high) const {
    const Value* value = find(key);
    if (value && value->is_list() && value->size() > 0) value = uniform(key, *value);
    if (value && !value->is_integer()) refuse(key, fmt::format("expected an integer, got {}", value->kind_name()));
    int64_t number = !value ? or_fallback(key, fallback)
                     : value->kind() == Value::Kind::kUint ? INT64_MAX
                                                           : value->as_int();
    if (number < low || number > high) refuse(key, fmt::format("expected {}..{}, got {}", low, high, number));
    return number;
  }
  int count(std::string_view key, std::optional<int64_t> fallback = {}, int64_t high = 1 << 24) const {
    return static_cast<int>(integer(key, fallback, 1, high));
  }
  float number(std::string_view key, std::optional<double> fallback) const {
    const Value* value = find(key);
    if (!value) return static_cast<float>(or_fallback(key, fallback));
    if (!value->is_number()) refuse(key, fmt::format("expected a number, got {}", value->kind_name()));
    // Written so that NaN fails too.
    bool fits = std::abs(value->as_double()) <= static_cast<double>(std::numeric_limits<float>::max());
    if (!fits) refuse(key, "expected a finite number");
    return static_cast<float>(value->as_double());
  }
  float positive(std::string_view key, std::optional<double> fallback) const {
    float value = number(key, fallback);
    if (value <= 0) refuse(key, fmt::format("expected a number above zero, got {}", value));
    return value;
  }
  float cap(std::string_view key) const {
    float value = number(key, 0.0);
    if (value < 0) refuse(key, fmt::format("expected a number of at least zero, got {}", value));
    return value;
  }
  bool flag(std::string_view key, bool fallback) const {
    const Value* value = find(key);
    if (value && !value->is_bool()) refuse(key, fmt::format("expected true or false, got {}", value->kind_name()));
    return value ? value->as_bool() : fallback;
  }
  std::string text(std::string_view key, std::string_view fallback) const {
    const Value* value = find(key);
    if (value && !value->is_string()) refuse(key, fmt::format("expected a string, got {}", value->kind_name()));
    return value ? value->as_string() : std::string(fallback);
  }
  [[noreturn]] void refuse(std::string_view key, std::string_view problem, Code code = Code::kCorruptFile) const {
    throw Error(code, fmt::format("{}: {}{}: {}", file_, prefix_, key, problem));
  }
  const std::string& file() const { return file_; }

 private:
  template <class T>
  T or_fallback(std::string_view key, std::optional<T> fallback) const {
    if (!fallback) refuse(key, "is missing");
    return *fallback;
  }
  // GGUF may give one number per layer; models that really vary are not among the supported ones.
  const Value* uniform(std::string_view key, const Value& list) const {
    if (list.size() > kMostLayers) refuse(key, fmt::format("{} entries, expected one for each layer", list.size()));
    for (const Value& item : list.as_list()) {
      if (item == list.as_list()[0]) continue;
      refuse(key, "differs between layers, which is not supported", Code::kUnsupported);
    }
    return &list.as_list()[0];
  }

  const Value& object_;
  std::string prefix_;
  const std::string& file_;
};

bool is_gemma3(const LmConfig& f) { return f.architecture == "gemma3" || f.architecture == "gemma3_text"; }

// The last of every `pattern` layers is global; 0: none is.
std::vector<bool> window_layers(int layers, int pattern) {
  std::vector<bool> is_window(layers, true);
  for (int i = 0; pattern > 0 && i < layers; ++i) is_window[i] = (i + 1) % pattern != 0;
  return is_window;
}

void check_consistent(const LmConfig& f, const Reader& r) {
  if (f.heads % f.kv_heads != 0) {
    r.refuse("heads", fmt::format("{} attention heads are no multiple of {} KV heads", f.heads, f.kv_heads));
  }
  if (f.head_dim % 8 != 0 || f.head_dim > 1024) {
    r.refuse("head_dim", fmt::format("{} is no multiple of 8 up to 1024", f.head_dim), Code::kUnsupported);
  }
}

void read_gguf_rope(LmConfig& f, const Reader& r) {
  f.rope_base = r.positive("rope.freq_base", 10000.0);
  if (is_gemma3(f)) f.rope_base_local = r.positive("rope.freq_base_swa", 10000.0);
  // llama.cpp's conversion reorders q and k of these so that pairs are neighbours.
  f.rope_interleaved = f.architecture == "llama";
  if (int64_t turned = r.integer("rope.dimension_count", f.head_dim, 1, 4096); turned != f.head_dim) {
    r.refuse("rope.dimension_count", fmt::format("{} of {} dimensions of a head turn, only all are supported", turned,
                                                 f.head_dim), Code::kUnsupported);
  }
  std::string scaling = r.text("rope.scaling.type", "linear");
  if (scaling != "linear" && scaling != "none") {
    r.refuse("rope.scaling.type",
             fmt::format("'{}' is not supported (none and linear are; Llama 3's frequency factors belong in the tensor "
                         "rope_freqs.weight, with the type none)", scaling), Code::kUnsupported);
  }
  // A factor without a type is linear and zero means one, as llama.cpp reads them; scale_linear is the older name.
  float factor = r.cap(r.find("rope.scaling.factor") ? "rope.scaling.factor" : "rope.scale_linear");
  f.rope_linear_factor = scaling == "linear" && factor > 0 ? factor : 1;
}

void read_gguf_windows(LmConfig& f, const Reader& r) {
  f.window = static_cast<int>(r.integer("attention.sliding_window", 0, 0, int64_t{1} << 30));
  f.is_window_layer.assign(f.layers, f.window > 0);
  if (!is_gemma3(f) || f.window == 0) return;
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  const Value* pattern = r.find(kPattern);
  if (!pattern || !pattern->is_list()) {
    f.is_window_layer = window_layers(f.layers, static_cast<int>(r.integer(kPattern, 6, 0, 1000)));
    return;
  }
  if (pattern->size() != static_cast<size_t>(f.layers)) r.refuse(kPattern, "expected one entry per layer");
  for (int i = 0; i < f.layers; ++i) {
    if (!pattern->as_list()[i].is_bool()) r.refuse(kPattern, "expected true or false for each layer");
    f.is_window_layer[i] = pattern->as_list()[i].as_bool();
  }
}

LmConfig from_gguf(const Checkpoint& ckpt) {
  LmConfig f;
  f.architecture = ckpt.architecture();
  Reader r(ckpt.config, f.architecture + ".", ckpt.path);
  f.dim = r.count("embedding_length");
  f.layers = r.count("block_count", {}, kMostLayers);
  f.heads = r.count("attention.head_count", {}, 4096);
  f.kv_heads = r.count("attention.head_count_kv", f.heads, 4096);
  f.head_dim = r.count("attention.key_length", f.dim / f.heads, 4096);
  f.ffn = r.count("feed_forward_length");
  f.context = r.integer("context_length", 2048, 1, int64_t{1} << 32);
  f.eps = r.positive("attention.layer_norm_rms_epsilon", 1e-5);
  read_gguf_rope(f, r);
  read_gguf_windows(f, r);
  const Value* tokens = ckpt.config.find("tokenizer.ggml.tokens");
  f.vocab = r.count("vocab_size", tokens ? std::optional(static_cast<int64_t>(tokens->size())) : std::nullopt);
  f.final_softcap = r.cap("final_logit_softcapping");
  f.attention_softcap = r.cap("attn_logit_softcapping");
  f.has_tied_head = ckpt.file.find("output.weight") == nullptr;
  f.attention_scale = 1 / std::sqrt(static_cast<float>(f.head_dim));
  // Gemma 3's 27B alone scales by dim / heads instead of the head's width.
  if (is_gemma3(f) && f.layers == 62) {
    f.attention_scale = 1 / std::sqrt(static_cast<float>(f.dim) / static_cast<float>(f.heads));
  }
  check_consistent(f, r);
  return f;
}

// One object with a rope_type: the rope_scaling of transformers 4, the rope_parameters of 5.
void read_rope_scaling(LmConfig& f, const Reader& config, const Value& scaling) {
  Reader r(scaling, "", config.file());
  std::string type = r.text("rope_type", r.text("type", "default"));
  if (type == "linear") {
    f.rope_linear_factor = r.positive("factor", {});
  } else if (type == "llama3") {
    f.rope_llama3 = {.factor = r.positive("factor", {}),
                     .low_freq_factor = r.positive("low_freq_factor", 1.0),
                     .high_freq_factor = r.positive("high_freq_factor", 4.0),
                     .original_context = r.positive("original_max_position_embeddings", 8192.0)};
    if (f.rope_llama3.high_freq_factor <= f.rope_llama3.low_freq_factor) {
      r.refuse("high_freq_factor", "expected more than low_freq_factor");
    }
  } else if (type != "default") {
    config.refuse("rope_scaling", fmt::format("type '{}' is not supported (default, linear and llama3 are)", type),
                  Code::kUnsupported);
  }
}

void check_whole_heads_turn(const Reader& r) {
  if (float part = r.number("partial_rotary_factor", 1.0); part != 1) {
    r.refuse("partial_rotary_factor", fmt::format("{} is not supported, only 1 is", part), Code::kUnsupported);
  }
}

const Value* object_or_null(const Reader& r, std::string_view key) {
  const Value* value = r.find(key);
  if (value && !value->is_object()) r.refuse(key, fmt::format("expected an object, got {}", value->kind_name()));
  return value;
}

// transformers 4 writes rope_theta and rope_scaling, transformers 5 one rope_parameters object (per layer type where
// layers differ).
void read_rope(LmConfig& f, const Reader& r) {
  f.rope_base = r.positive("rope_theta", is_gemma3(f) ? 1e6 : 1e4);
  if (is_gemma3(f)) f.rope_base_local = r.positive("rope_local_base_freq", 1e4);
  check_whole_heads_turn(r);
  if (const Value* scaling = object_or_null(r, "rope_scaling")) read_rope_scaling(f, r, *scaling);
  const Value* parameters = object_or_null(r, "rope_parameters");
  if (!parameters) return;
  const Reader by_type(*parameters, "", r.file());
  const Value* full = object_or_null(by_type, "full_attention");
  const Value& global = full ? *full : *parameters;
  const Reader global_reader(global, "", r.file());
  f.rope_base = global_reader.positive("rope_theta", f.rope_base);
  check_whole_heads_turn(global_reader);
  read_rope_scaling(f, r, global);
  const Value* local = object_or_null(by_type, "sliding_attention");
  if (!local) return;
  const Reader local_reader(*local, "", r.file());
  f.rope_base_local = local_reader.positive("rope_theta", 1e4);
  if (std::string type = local_reader.text("rope_type", "default"); type != "default") {
    r.refuse("rope_parameters", fmt::format("type '{}' of sliding_attention is not supported", type),
             Code::kUnsupported);
  }
}

void read_windows(LmConfig& f, const Reader& r) {
  bool has_windows = r.flag("use_sliding_window", f.architecture == "mistral" || is_gemma3(f));
  f.window = has_windows ? static_cast<int>(r.integer("sliding_window", 0, 0, int64_t{1} << 30)) : 0;
  f.is_window_layer.assign(f.layers, f.window > 0);
  if (const Value* types = r.find("layer_types"); types && types->is_list()) {
    if (types->size() != static_cast<size_t>(f.layers)) r.refuse("layer_types", "expected one entry per layer");
    for (int i = 0; i < f.layers; ++i) {
      const Value& type = types->as_list()[i];
      f.is_window_layer[i] = f.window > 0 && type.is_string() && type.as_string() == "sliding_attention";
    }
  } else if (is_gemma3(f)) {
    f.is_window_layer = window_layers(f.layers, static_cast<int>(r.integer("sliding_window_pattern", 6, 1, 1000)));
  } else if (const int64_t full = r.integer("max_window_layers", 0, 0, 1 << 20); f.window > 0 && full > 0) {
    for (int i = 0; i < f.layers; ++i) f.is_window_layer[i] = i >= full;
  }
}

// What would silently compute something else.
void refuse_variants(const LmConfig& f, const Reader& r) {
  if (r.find("quantization_config")) {
    r.refuse("quantization_config", "quantised Hugging Face checkpoints are not supported; use a GGUF of the model",
             Code::kUnsupported);
  }
  const char* key = is_gemma3(f) ? "hidden_activation" : "hidden_act";
  const char* wanted = is_gemma3(f) ? "gelu_pytorch_tanh" : "silu";
  if (std::string got = r.text(key, wanted); got != wanted) {
    r.refuse(key, fmt::format("'{}' is not supported, '{}' is", got, wanted), Code::kUnsupported);
  }
  if (r.flag("use_bidirectional_attention", false)) {
    r.refuse("use_bidirectional_attention", "only causal attention is supported", Code::kUnsupported);
  }
}

LmConfig from_hugging_face(const Checkpoint& ckpt) {
  LmConfig f;
  f.architecture = ckpt.architecture();
  const Value* text_config = ckpt.config.find("text_config");
  const Value& config = text_config && text_config->is_object() ? *text_config : ckpt.config;
  Reader r(config, "", ckpt.path);
  f.dim = r.count("hidden_size");
  f.layers = r.count("num_hidden_layers", {}, kMostLayers);
  f.heads = r.count("num_attention_heads", {}, 4096);
  f.kv_heads = r.count("num_key_value_heads", f.heads, 4096);
  f.head_dim = r.count("head_dim", is_gemma3(f) ? 256 : f.dim / f.heads, 4096);
  f.ffn = r.count("intermediate_size");
  f.vocab = r.count("vocab_size");
  f.context = r.integer("max_position_embeddings", 2048, 1, int64_t{1} << 32);
  f.eps = r.positive("rms_norm_eps", 1e-6);
  read_rope(f, r);
  read_windows(f, r);
  f.final_softcap = r.cap("final_logit_softcapping");
  f.attention_softcap = r.cap("attn_logit_softcapping");
  f.has_tied_head = r.flag("tie_word_embeddings", is_gemma3(f));
  float scalar = is_gemma3(f) ? r.positive("query_pre_attn_scalar", 256.0) : static_cast<float>(f.head_dim);
  f.attention_scale = 1 / std::sqrt(scalar);
  refuse_variants(f, r);
  check_consistent(f, r);
  return f;
}

}  // namespace

LmConfig LmConfig::from(const Checkpoint& checkpoint) {
  return checkpoint.format == Checkpoint::Format::kGguf ? from_gguf(checkpoint) : from_hugging_face(checkpoint);
}

}  // namespace hearth
