#include "models/testing/tiny_model.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "formats/safetensors/safetensors.h"

namespace hearth::testing {
namespace {

constexpr int64_t kPageTokens = 16;
constexpr int64_t kPagesPerSequence = 4;
constexpr int kSequences = 2;
constexpr int32_t kScratchPage = 0;

template <class T>
std::vector<T> read_tensor(const TensorFile& file, const TensorInfo& tensor) {
  std::vector<T> values(static_cast<size_t>(tensor.elements()));
  std::ifstream in(file.paths[tensor.file], std::ios::binary);
  in.seekg(tensor.offset);
  in.read(reinterpret_cast<char*>(values.data()), tensor.bytes);
  if (!in) throw Error(Code::kIo, "cannot read " + tensor.name + " of " + file.paths[tensor.file]);
  return values;
}

// Every byte 0xff is NaN in f32, f16 and bf16.
void fill_with_nan(const Tensor& t) {
  if (t.raw()) std::memset(t.raw(), 0xff, static_cast<size_t>(t.bytes()));
}

}  // namespace

std::string tiny_path(const std::string& name) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  std::filesystem::path source = root ? root : std::filesystem::path(__FILE__).parent_path() / "../../..";
  return (source / "tests/golden/language_models" / name).string();
}

Golden Golden::read(const std::string& name) {
  const TensorFile file = safetensors::open(tiny_path(name + ".golden.safetensors"));
  Golden golden;
  for (const TensorInfo& tensor : file.tensors) {
    if (tensor.type == DType::kI32) {
      golden.tokens = read_tensor<int32_t>(file, tensor);
    } else {
      golden.rows[tensor.name] = read_tensor<float>(file, tensor);
    }
  }
  return golden;
}

double row_error(std::span<const float> got, std::span<const float> wanted, int64_t n_rows) {
  if (got.size() != wanted.size() || n_rows <= 0) return INFINITY;
  const size_t n = wanted.size() / static_cast<size_t>(n_rows);
  double worst = 0;
  for (size_t begin = 0; begin < wanted.size(); begin += n) {
    double error = 0, size = 0;
    for (size_t i = begin; i < begin + n; ++i) {
      if (std::isnan(got[i])) return INFINITY;
      error = std::max(error, std::abs(static_cast<double>(got[i]) - wanted[i]));
      size = std::max(size, std::abs(static_cast<double>(wanted[i])));
    }
    worst = std::max(worst, error / size);
  }
  return worst;
}

TinyModel::TinyModel(const std::string& path, const TinyOptions& options)
    : memory_({options.kind}), caps_(cpu_caps(2)), checkpoint_(Checkpoint::open(path)) {
  caps_.isa = options.isa;
  load(options);
  make_state(options.state);
  arena_ = options.kind == DeviceKind::kMeta ? std::make_unique<Arena>()
                                             : std::make_unique<Arena>(*memory_.allocate(options.arena_bytes, "arena"));
  arena_->poison_on_release(true);
}

void TinyModel::load(const TinyOptions& options) {
  auto sizing = std::make_unique<Weights>(checkpoint_, caps_, options.decodes);
  model_ = bind_language_model(*sizing);
  sized_bytes_ = sizing->bytes();
  weights_ = std::move(sizing);
  if (options.kind == DeviceKind::kMeta) return;
  model_.reset();
  weights_ = std::make_unique<Weights>(checkpoint_, caps_, Device{options.kind},
                                       *memory_.allocate(sized_bytes_, "weights"), options.decodes);
  model_ = bind_language_model(*weights_);
  weights_->load(pool_);
}

void TinyModel::make_state(DType dtype) {
  const StateSpec& spec = model_->state_spec();
  const Shape shape{1 + kSequences * kPagesPerSequence, spec.kv_heads, kPageTokens, spec.head_dim};
  state_.group_of_layer = spec.group_of_layer;
  for (size_t i = 0; i < spec.group_of_layer.size(); ++i) {
    state_.layers.push_back({*memory_.tensor(dtype, shape, "k"), *memory_.tensor(dtype, shape, "v")});
    fill_with_nan(state_.layers.back().k);
    fill_with_nan(state_.layers.back().v);
  }
}

// Scattered, and not the same in two groups; 5 has no factor in common with the number of pages.
int32_t TinyModel::page(int sequence, int64_t index, int group) const {
  constexpr int64_t kPages = kSequences * kPagesPerSequence;
  return static_cast<int32_t>(1 + ((sequence * kPagesPerSequence + index) * 5 + 3 * group) % kPages);
}

Tensor TinyModel::ints(const std::vector<int32_t>& values, Shape shape) {
  Tensor t = *memory_.tensor(DType::kI32, shape, "batch");
  if (t.raw()) std::memcpy(t.raw(), values.data(), sizeof(int32_t) * values.size());
  return t;
}

Batch TinyModel::make_batch(std::span<const Piece> pieces, int padding) {
  const StateSpec& spec = model_->state_spec();
  std::vector<int32_t> tokens, pos, seq, keep;
  std::vector<std::vector<int32_t>> slots(spec.groups.size()), tables(spec.groups.size());
  for (size_t s = 0; s < pieces.size(); ++s) {
    const auto [sequence, piece_tokens] = pieces[s];
    const int64_t first = done_[sequence];
    for (size_t g = 0; g < spec.groups.size(); ++g) {
      // Pages wholly behind the window of the step's first row are gone.
      int64_t first_seen = spec.groups[g].window > 0 ? std::max<int64_t>(first - spec.groups[g].window + 1, 0) : 0;
      for (int64_t i = 0; i < kPagesPerSequence; ++i) {
        tables[g].push_back(i < first_seen / kPageTokens ? kScratchPage : page(sequence, i, static_cast<int>(g)));
      }
    }
    for (size_t i = 0; i < piece_tokens.size(); ++i) {
      const int64_t position = first + static_cast<int64_t>(i);
      check(position < kPagesPerSequence * kPageTokens, "the sequence fits its pages");
      keep.push_back(static_cast<int32_t>(tokens.size()));
      tokens.push_back(piece_tokens[i]);
      pos.push_back(static_cast<int32_t>(position));
      seq.push_back(static_cast<int32_t>(s));
      for (size_t g = 0; g < spec.groups.size(); ++g) {
        slots[g].push_back(static_cast<int32_t>(
            page(sequence, position / kPageTokens, static_cast<int>(g)) * kPageTokens + position % kPageTokens));
      }
    }
    done_[sequence] += static_cast<int64_t>(piece_tokens.size());
  }
  for (int i = 0; i < padding; ++i) {
    for (std::vector<int32_t>* of : {&tokens, &pos, &seq}) of->push_back(0);
    for (std::vector<int32_t>& of : slots) of.push_back(kScratchPage);
  }
  Batch b;
  b.sizes = {.rows = std::ssize(tokens), .seqs = std::ssize(pieces), .keep = std::ssize(keep),
             .max_pages = kPagesPerSequence};
  b.tokens = ints(tokens, {b.sizes.rows});
  b.pos = ints(pos, {b.sizes.rows});
  b.seq = ints(seq, {b.sizes.rows});
  b.keep = ints(keep, {b.sizes.keep});
  for (size_t g = 0; g < spec.groups.size(); ++g) {
    b.groups[g] = {ints(slots[g], {b.sizes.rows}), ints(tables[g], {b.sizes.seqs, b.sizes.max_pages})};
  }
  return b;
}

std::vector<float> TinyModel::step(std::span<const Piece> pieces, StepObserver* observer, int padding) {
  const Batch batch = make_batch(pieces, padding);
  Ctx c{.device = memory_.device(), .caps = caps_, .arena = *arena_, .pool = &pool_, .observer = observer};
  std::vector<float> out;
  {
    Tensor logits = model_->forward(c, batch, state_);
    check(logits.dtype() == DType::kF32 && logits.shape() == Shape{batch.sizes.keep, model_->config().vocab},
          "logits are f32 [keep, vocab]");
    out.resize(static_cast<size_t>(logits.numel()));
    if (logits.raw()) std::memcpy(out.data(), logits.raw(), static_cast<size_t>(logits.bytes()));
  }
  check(arena_->is_empty(), "a step leaves nothing in the arena");
  return out;
}

std::vector<float> TinyModel::feed(std::span<const int32_t> tokens, int64_t chunk) {
  std::vector<float> out;
  while (!tokens.empty()) {
    const Piece piece{0, tokens.first(std::min(tokens.size(), static_cast<size_t>(chunk)))};
    const std::vector<float> logits = step({&piece, 1});
    out.insert(out.end(), logits.begin(), logits.end());
    tokens = tokens.subspan(piece.tokens.size());
  }
  return out;
}

}  // namespace hearth::testing
