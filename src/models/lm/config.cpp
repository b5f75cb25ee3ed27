#include "models/lm/config.h"

#include <cmath>
#include <optional>

#include <fmt/format.h>

namespace hearth {
namespace {

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
    if (!value) return or_fallback(key, fallback);
    if (value->is_list() && value->size() > 0) value = uniform(key, *value);
    if (!value->is_integer()) refuse(key, fmt::format("expected an integer, got {}", value->kind_name()));
    int64_t number = value->kind() == Value::Kind::kUint ? INT64_MAX : value->as_int();
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
    if (!std::isfinite(value->as_double())) refuse(key, "expected a finite number");
    return static_cast<float>(value->as_double());
  }
  bool flag(std::string_view key, bool fallback) const {
    const Value* value = find(key);
    return value && value->is_bool() ? value->as_bool() : fallback;
  }
  std::string text(std::string_view key, std::string_view fallback) const {
    const Value* value = find(key);
    return value && value->is_string() ? value->as_string() : std::string(fallback);
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
    for (const Value& item : list.as_list()) {
      if (!(item == list.as_list()[0])) refuse(key, "differs between layers, which is not supported", Code::kUnsupported);
    }
    return &list.as_list()[0];
  }

  const Value& object_;
  std::string prefix_;
  const std::string& file_;
};

// Every sixth layer is global in Gemma 3, every other in Gemma 2; Mistral has windows everywhere.
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

LmConfig from_gguf(const Checkpoint& ckpt) {
  LmConfig f;
  f.architecture = ckpt.architecture();
  Reader r(ckpt.config, f.architecture + ".", ckpt.path);
  f.dim = r.count("embedding_length");
  f.layers = r.count("block_count", {}, 1000);
  f.heads = r.count("attention.head_count", {}, 4096);
  f.kv_heads = r.count("attention.head_count_kv", f.heads, 4096);
  f.head_dim = r.count("attention.key_length", f.dim / f.heads, 4096);
  f.ffn = r.count("feed_forward_length");
  f.context = r.integer("context_length", 2048, 1, int64_t{1} << 32);
  f.eps = r.number("attention.layer_norm_rms_epsilon", 1e-5);
  f.rope_base = r.number("rope.freq_base", 10000.0);
  // llama.cpp's conversion reorders q and k of these so that pairs are neighbours.
  f.rope_interleaved = f.architecture == "llama";
  std::string scaling = r.text("rope.scaling.type", "none");
  if (scaling == "linear") f.rope_linear_factor = r.number("rope.scaling.factor", 1.0);
  if (scaling != "linear" && scaling != "none") {
    r.refuse("rope.scaling.type", fmt::format("'{}' is not supported (none, linear and llama3 are)", scaling),
             Code::kUnsupported);
  }
  f.window = static_cast<int>(r.integer("attention.sliding_window", 0, 0, int64_t{1} << 30));
  const Value* tokens = ckpt.config.find("tokenizer.ggml.tokens");
  f.vocab = static_cast<int>(r.integer("vocab_size", tokens ? static_cast<int64_t>(tokens->size()) : 0, 1, 1 << 24));
  f.final_softcap = r.number("final_logit_softcapping", 0.0);
  f.attention_softcap = r.number("attn_logit_softcapping", 0.0);
  f.has_tied_head = ckpt.file.find("output.weight") == nullptr;
  f.attention_scale = 1 / std::sqrt(static_cast<float>(f.head_dim));
  if (f.architecture == "gemma3") {
    f.rope_base_local = 10000;
    f.is_window_layer = window_layers(f.layers, 6);
    // 27B alone scales by dim / heads instead of the head's width.
    if (f.layers == 62) f.attention_scale = 1 / std::sqrt(static_cast<float>(f.dim) / static_cast<float>(f.heads));
  } else {
    f.is_window_layer.assign(f.layers, f.window > 0);
  }
  check_consistent(f, r);
  return f;
}

void read_rope_scaling(LmConfig& f, const Reader& config, const Value& scaling) {
  Reader r(scaling, "", config.file());
  std::string type = r.text("rope_type", r.text("type", "default"));
  if (type == "linear") {
    f.rope_linear_factor = r.number("factor", 1.0);
  } else if (type == "llama3") {
    f.rope_llama3 = {.factor = r.number("factor", {}),
                     .low_freq_factor = r.number("low_freq_factor", 1.0),
                     .high_freq_factor = r.number("high_freq_factor", 4.0),
                     .original_context = r.number("original_max_position_embeddings", 8192.0)};
  } else if (type != "default") {
    config.refuse("rope_scaling", fmt::format("type '{}' is not supported (default, linear and llama3 are)", type),
                  Code::kUnsupported);
  }
}

// transformers 4 writes rope_theta and rope_scaling, transformers 5 one rope_parameters object (per layer type where
// layers differ).
void read_rope(LmConfig& f, const Reader& r, const Value& config) {
  f.rope_base = r.number("rope_theta", f.architecture.rfind("gemma3", 0) == 0 ? 1e6 : 1e4);
  f.rope_base_local = r.number("rope_local_base_freq", 0.0);
  if (const Value* scaling = r.find("rope_scaling"); scaling && scaling->is_object()) read_rope_scaling(f, r, *scaling);
  const Value* parameters = r.find("rope_parameters");
  if (!parameters || !parameters->is_object()) return;
  const Value* full = parameters->find("full_attention");
  const Value& global = full && full->is_object() ? *full : *parameters;
  f.rope_base = Reader(global, "", r.file()).number("rope_theta", f.rope_base);
  read_rope_scaling(f, r, global);
  if (const Value* local = parameters->find("sliding_attention"); local && local->is_object()) {
    f.rope_base_local = Reader(*local, "", r.file()).number("rope_theta", 1e4);
  }
}

void read_windows(LmConfig& f, const Reader& r) {
  bool has_windows = r.flag("use_sliding_window", f.architecture != "qwen2" && f.architecture != "qwen3");
  f.window = has_windows ? static_cast<int>(r.integer("sliding_window", 0, 0, int64_t{1} << 30)) : 0;
  f.is_window_layer.assign(f.layers, f.window > 0);
  if (const Value* types = r.find("layer_types"); types && types->is_list()) {
    if (types->size() != static_cast<size_t>(f.layers)) r.refuse("layer_types", "expected one entry per layer");
    for (int i = 0; i < f.layers; ++i) {
      const Value& type = types->as_list()[i];
      f.is_window_layer[i] = f.window > 0 && type.is_string() && type.as_string() == "sliding_attention";
    }
  } else if (f.architecture.rfind("gemma3", 0) == 0) {
    f.is_window_layer = window_layers(f.layers, static_cast<int>(r.integer("sliding_window_pattern", 6, 1, 1000)));
  } else if (const int64_t full = r.integer("max_window_layers", 0, 0, 1 << 20); f.window > 0 && full > 0) {
    for (int i = 0; i < f.layers; ++i) f.is_window_layer[i] = i >= full;
  }
}

LmConfig from_hugging_face(const Checkpoint& ckpt) {
  LmConfig f;
  f.architecture = ckpt.architecture();
  const Value* text_config = ckpt.config.find("text_config");
  const Value& config = text_config && text_config->is_object() ? *text_config : ckpt.config;
  Reader r(config, "", ckpt.path);
  f.dim = r.count("hidden_size");
  f.layers = r.count("num_hidden_layers", {}, 1000);
  f.heads = r.count("num_attention_heads", {}, 4096);
  f.kv_heads = r.count("num_key_value_heads", f.heads, 4096);
  f.head_dim = r.count("head_dim", f.architecture.rfind("gemma3", 0) == 0 ? 256 : f.dim / f.heads, 4096);
  f.ffn = r.count("intermediate_size");
  f.vocab = r.count("vocab_size", {}, 1 << 24);
  f.context = r.integer("max_position_embeddings", 2048, 1, int64_t{1} << 32);
  f.eps = r.number("rms_norm_eps", 1e-6);
  read_rope(f, r, config);
  read_windows(f, r);
  f.final_softcap = r.number("final_logit_softcapping", 0.0);
  f.attention_softcap = r.number("attn_logit_softcapping", 0.0);
  f.has_tied_head = r.flag("tie_word_embeddings", f.architecture.rfind("gemma3", 0) == 0);
  float scalar = f.architecture.rfind("gemma3", 0) == 0 ? r.number("query_pre_attn_scalar", 256.0)
                                                        : static_cast<float>(f.head_dim);
  f.attention_scale = 1 / std::sqrt(scalar);
  check_consistent(f, r);
  return f;
}

}  // namespace

LmConfig LmConfig::from(const Checkpoint& checkpoint) {
  return checkpoint.format == Checkpoint::Format::kGguf ? from_gguf(checkpoint) : from_hugging_face(checkpoint);
}

}  // namespace hearth
