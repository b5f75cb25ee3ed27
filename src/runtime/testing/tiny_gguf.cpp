#include "runtime/testing/tiny_gguf.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/units.h"
#include "ops/quant/encode.h"
#include "text/tokenize/byte_alphabet.h"

namespace hearth::testing {
namespace {

constexpr int64_t kDim = 64, kHeads = 4, kKvHeads = 2, kHeadDim = 16, kFfn = 128, kWindow = 24;
constexpr int64_t kAlignment = 32;

// GGUF's numbers for what is written here.
enum Kind : uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kText = 8, kArray = 9 };
uint32_t ggml_type(DType type) {
  switch (type) {
    case DType::kF16: return 1;
    case DType::kQ4_0: return 2;
    case DType::kQ8_0: return 8;
    default: return 0;  // f32
  }
}

// The same normals everywhere: Box-Muller over 53 bits, unlike std::normal_distribution.
class Normals {
 public:
  explicit Normals(uint64_t seed) : bits_(seed) {}
  float next(double deviation) {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return static_cast<float>(deviation * radius * std::cos(2 * M_PI * uniform()));
  }

 private:
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1.0p-53; }
  std::mt19937_64 bits_;
};

class GgufWriter {
 public:
  template <class T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  static void put_text(std::string& out, std::string_view text) {
    put<uint64_t>(out, text.size());
    out += text;
  }

  void number(std::string_view key, uint32_t value) { put(head(key, kU32), value); }
  void real(std::string_view key, float value) { put(head(key, kF32), value); }
  void text(std::string_view key, std::string_view value) { put_text(head(key, kText), value); }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    std::string& out = array(key, kText, values.size());
    for (const std::string& value : values) put_text(out, value);
  }
  void integers(std::string_view key, const std::vector<int32_t>& values) {
    std::string& out = array(key, kI32, values.size());
    for (int32_t value : values) put(out, value);
  }

  void tensor(const std::string& name, DType type, std::vector<int64_t> shape, const std::vector<float>& values) {
    ++n_tensors_;
    put_text(table_, name);
    put<uint32_t>(table_, static_cast<uint32_t>(shape.size()));
    for (size_t i = shape.size(); i-- > 0;) put<uint64_t>(table_, static_cast<uint64_t>(shape[i]));
    put(table_, ggml_type(type));
    data_.resize(static_cast<size_t>(round_up(std::ssize(data_), kAlignment)));
    put<uint64_t>(table_, data_.size());
    const auto n = static_cast<int64_t>(values.size());
    const size_t at = data_.size();
    data_.resize(at + static_cast<size_t>(row_bytes(type, n)));
    quant::encode_row(type, values.data(), data_.data() + at, n);
  }

  void write(const std::string& path) const {
    std::string bytes = "GGUF";
    put<uint32_t>(bytes, 3);
    put<uint64_t>(bytes, n_tensors_);
    put<uint64_t>(bytes, n_metadata_);
    bytes += metadata_ + table_;
    bytes.resize(static_cast<size_t>(round_up(std::ssize(bytes), kAlignment)));
    bytes += data_;
    std::ofstream out(path, std::ios::binary);
    out.write(bytes.data(), std::ssize(bytes));
    if (!out.flush()) throw Error(Code::kIo, path + ": cannot write");
  }

 private:
  std::string& head(std::string_view key, Kind kind) {
    ++n_metadata_;
    put_text(metadata_, key);
    put<uint32_t>(metadata_, kind);
    return metadata_;
  }
  std::string& array(std::string_view key, Kind kind, size_t n) {
    std::string& out = head(key, kArray);
    put<uint32_t>(out, kind);
    put<uint64_t>(out, n);
    return out;
  }

  std::string metadata_, table_, data_;
  uint64_t n_metadata_ = 0, n_tensors_ = 0;
};

std::string spelled(std::string_view bytes) {
  std::string out;
  text::append_byte_alphabet(out, bytes);
  return out;
}

// Three special tokens, the 256 bytes, then pairs of letters to fill up.
void write_tokenizer(GgufWriter& out, const std::string& chat_template) {
  std::vector<std::string> tokens = {"<s>", "</s>", "<|tool|>"}, merges;
  std::vector<int32_t> types = {3, 3, 3};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(spelled(std::string(1, static_cast<char>(byte))));
  for (int i = 0; tokens.size() + 1 < kTinyVocab; ++i) {
    const std::string first(1, static_cast<char>('a' + i % 26)), second(1, static_cast<char>('a' + i * 7 / 26 % 26));
    merges.push_back(first + " " + second);
    tokens.push_back(first + second);
  }
  merges.push_back("X " + spelled("\xE2"));
  tokens.push_back(spelled("X\xE2"));
  types.resize(tokens.size(), 1);
  out.text("tokenizer.ggml.model", "gpt2");
  out.text("tokenizer.ggml.pre", "gpt-2");
  out.texts("tokenizer.ggml.tokens", tokens);
  out.integers("tokenizer.ggml.token_type", types);
  out.texts("tokenizer.ggml.merges", merges);
  out.number("tokenizer.ggml.bos_token_id", 0);
  out.number("tokenizer.ggml.eos_token_id", kTinyEnd);
  if (!chat_template.empty()) out.text("tokenizer.chat_template", chat_template);
}

void write_config(GgufWriter& out, const TinyGguf& o) {
  const std::string at = o.architecture + ".";
  out.text("general.architecture", o.architecture);
  out.number(at + "embedding_length", kDim);
  out.number(at + "block_count", static_cast<uint32_t>(o.layers));
  out.number(at + "attention.head_count", kHeads);
  out.number(at + "attention.head_count_kv", kKvHeads);
  out.number(at + "attention.key_length", kHeadDim);
  out.number(at + "attention.value_length", kHeadDim);
  out.number(at + "feed_forward_length", kFfn);
  out.number(at + "context_length", static_cast<uint32_t>(o.context));
  out.real(at + "attention.layer_norm_rms_epsilon", 1e-5f);
  if (o.architecture != "gemma3") return;
  out.number(at + "attention.sliding_window", kWindow);
  out.number(at + "attention.sliding_window_pattern", 3);
}

class TensorMaker {
 public:
  TensorMaker(GgufWriter& out, uint64_t seed) : out_(out), normals_(seed) {}

  void matrix(const std::string& name, DType type, int64_t rows, int64_t columns, double gain) {
    std::vector<float> values(static_cast<size_t>(rows * columns));
    for (float& value : values) value = normals_.next(gain / std::sqrt(static_cast<double>(columns)));
    out_.tensor(name + ".weight", type, {rows, columns}, values);
  }
  void norm(const std::string& name, int64_t n) {
    std::vector<float> values(static_cast<size_t>(n));
    for (float& value : values) value = 1 + normals_.next(0.2);
    out_.tensor(name + ".weight", DType::kF32, {n}, values);
  }

 private:
  GgufWriter& out_;
  Normals normals_;
};

void write_block(TensorMaker& make, const std::string& at, bool is_gemma) {
  make.norm(at + "attn_norm", kDim);
  make.norm(at + "ffn_norm", kDim);
  if (is_gemma) {
    make.norm(at + "attn_q_norm", kHeadDim);
    make.norm(at + "attn_k_norm", kHeadDim);
    make.norm(at + "post_attention_norm", kDim);
    make.norm(at + "post_ffw_norm", kDim);
  }
  make.matrix(at + "attn_q", DType::kQ8_0, kHeads * kHeadDim, kDim, 2);
  make.matrix(at + "attn_k", DType::kQ4_0, kKvHeads * kHeadDim, kDim, 2);
  make.matrix(at + "attn_v", DType::kF16, kKvHeads * kHeadDim, kDim, 2);
  make.matrix(at + "attn_output", DType::kQ8_0, kDim, kHeads * kHeadDim, 2);
  make.matrix(at + "ffn_gate", DType::kQ4_0, kFfn, kDim, 2);
  make.matrix(at + "ffn_up", DType::kQ8_0, kFfn, kDim, 2);
  make.matrix(at + "ffn_down", DType::kF16, kDim, kFfn, 2);
}

}  // namespace

void write_tiny_gguf(const std::string& path, const TinyGguf& options) {
  GgufWriter out;
  write_config(out, options);
  write_tokenizer(out, options.chat_template);
  TensorMaker make(out, options.seed);
  make.matrix("token_embd", DType::kQ8_0, kTinyVocab, kDim, 1);
  make.norm("output_norm", kDim);
  make.matrix("output", DType::kQ4_0, kTinyVocab, kDim, 4);
  for (int i = 0; i < options.layers; ++i) {
    write_block(make, "blk." + std::to_string(i) + ".", options.architecture == "gemma3");
  }
  out.write(path);
}

}  // namespace hearth::testing
