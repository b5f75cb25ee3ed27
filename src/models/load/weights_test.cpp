#include "models/load/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <stop_token>

#include "core/base/units.h"
#include "core/testing/temp_folder.h"
#include "models/lm/language_model.h"
#include "models/load/names.h"
#include "models/testing/tiny_model.h"
#include "ops/linear/layout.h"
#include "ops/quant/decode.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::tiny_path;

// Sizing finds everything a load would: no memory is needed to see a broken checkpoint.
std::string bind_error(const Checkpoint& checkpoint) {
  return error_of([&] {
    Weights weights(checkpoint, cpu_caps(1));
    bind_language_model(weights);
  });
}

void edit(Checkpoint& checkpoint, const std::function<void(std::vector<TensorInfo>&)>& change) {
  change(checkpoint.file.tensors);
  checkpoint.file.by_name.clear();
  seal(checkpoint.file);
}

void remove_tensor(Checkpoint& checkpoint, std::string_view name) {
  edit(checkpoint, [&](std::vector<TensorInfo>& tensors) {
    EXPECT_EQ(std::erase_if(tensors, [&](const TensorInfo& t) { return t.name == name; }), 1u) << name;
  });
}

void expect_says(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  }
}

TEST(Weights, NameUnknownArchitectures) {
  Checkpoint checkpoint = Checkpoint::open(tiny_path("llama"));
  checkpoint.config.set("model_type", "mamba");
  std::vector<std::string> parts = language_architectures();
  EXPECT_GE(parts.size(), 6u);
  parts.push_back("architecture 'mamba' is not supported");
  parts.push_back(checkpoint.path);
  expect_says(bind_error(checkpoint), parts);
}

TEST(Weights, NameAMissingTensorAsTheFileWould) {
  Checkpoint folder = Checkpoint::open(tiny_path("llama"));
  remove_tensor(folder, "model.layers.1.self_attn.k_proj.weight");
  expect_says(bind_error(folder), {folder.path, "tensor 'model.layers.1.self_attn.k_proj.weight' is missing"});

  Checkpoint file = Checkpoint::open(tiny_path("gemma3.gguf"));
  remove_tensor(file, "blk.6.post_ffw_norm.weight");
  expect_says(bind_error(file), {"gemma3.gguf", "tensor 'blk.6.post_ffw_norm.weight' is missing"});
}

TEST(Weights, WantAHeadWhenItIsNotTied) {
  Checkpoint folder = Checkpoint::open(tiny_path("llama3_rope"));
  remove_tensor(folder, "lm_head.weight");
  expect_says(bind_error(folder), {"tensor 'lm_head.weight' is missing"});
}

TEST(Weights, CompareShapesWithTheConfiguration) {
  Checkpoint folder = Checkpoint::open(tiny_path("qwen3"));
  folder.config.set("intermediate_size", 48);
  expect_says(bind_error(folder), {"'model.layers.0.mlp.gate_proj.weight' is [32, 64]", "asks for [48, 64]"});

  Checkpoint file = Checkpoint::open(tiny_path("qwen3.gguf"));
  file.config.set("qwen3.attention.key_length", 32);
  expect_says(bind_error(file), {"'blk.0.attn_q_norm.weight' is [24]", "asks for [32]"});
}

TEST(Weights, FindATextModelInsideAMultimodalCheckpoint) {
  const Checkpoint plain = Checkpoint::open(tiny_path("gemma3"));
  for (const char* prefix : {"language_model.model.", "model.language_model."}) {
    Checkpoint nested = plain;
    nested.config = Value::object({{"model_type", "gemma3"}, {"text_config", plain.config}});
    edit(nested, [&](std::vector<TensorInfo>& tensors) {
      for (TensorInfo& tensor : tensors) tensor.name = prefix + tensor.name.substr(std::strlen("model."));
    });
    Weights wanted(plain, cpu_caps(1)), got(nested, cpu_caps(1));
    bind_language_model(wanted), bind_language_model(got);
    EXPECT_EQ(got.bytes(), wanted.bytes());
  }
}

// One matrix and one vector, loaded alone.
class LoadTest : public ::testing::Test {
 protected:
  void load(const Checkpoint& checkpoint, bool decodes) {
    auto bind = [&](Weights& w) {
      matrix_ = w.matrix("blk.1.ffn_gate.weight", 32, 64);
      vector_ = w.vector("blk.1.ffn_norm.weight", 64, 1.5f);
      computed_ = w.computed({3, 1, 2});
    };
    Weights sizing(checkpoint, cpu_caps(1), decodes);
    bind(sizing);
    EXPECT_EQ(matrix_.data.raw(), nullptr);
    bytes_ = sizing.bytes();
    slab_ = *memory_.allocate(bytes_, "weights");
    Weights weights(checkpoint, cpu_caps(1), Device{}, slab_, decodes);
    bind(weights);
    EXPECT_EQ(weights.bytes(), bytes_);
    weights.load(pool_, [&](const LoadProgress& p) { progress_.push_back(p); });
  }

  RawAllocator memory_{Device{}};
  ThreadPool pool_{2};
  StorageRef slab_;
  Weight matrix_;
  Tensor vector_, computed_;
  int64_t bytes_ = 0;
  std::vector<LoadProgress> progress_;
};

TEST_F(LoadTest, PutsValuesWhereTheyBelong) {
  // The same values as F32, BF16 and decoded Q8_0.
  constexpr std::pair<const char*, bool> kFiles[] = {
      {"llama.gguf", false}, {"llama", false}, {"llama_linear_rope.gguf", true}};
  std::vector<float> first;
  for (const auto& [name, decodes] : kFiles) {
    SCOPED_TRACE(name);
    load(Checkpoint::open(tiny_path(name)), decodes);
    std::vector<float> values(32 * 64);
    for (int64_t row = 0; row < 32; ++row) unpack_row(matrix_, row, values.data() + row * 64);
    if (first.empty()) first = values;
    EXPECT_EQ(values, first);
    EXPECT_GT(*std::max_element(values.begin(), values.end()), 0.1f);
    for (float v : std::span(vector_.data<float>(), 64)) EXPECT_TRUE(v >= 1.5f + 0.6f && v <= 1.5f + 1.4f) << v;
    EXPECT_EQ(computed_.data<float>()[2], 2);
  }
}

TEST_F(LoadTest, CountsBytes) {
  load(Checkpoint::open(tiny_path("llama.gguf")), false);
  EXPECT_EQ(bytes_, 32 * 64 * 4 + 256 + 256);  // matrix, vector, computed, each rounded up to 256
  ASSERT_FALSE(progress_.empty());
  EXPECT_EQ(progress_.back().total_bytes, 32 * 64 * 4 + 64 * 4);
  EXPECT_EQ(progress_.back().done_bytes, progress_.back().total_bytes);
}

TEST_F(LoadTest, SaysWhichFileIsTooShort) {
  Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  for (TensorInfo& tensor : checkpoint.file.tensors) {
    if (tensor.name == "blk.1.ffn_gate.weight") tensor.offset += int64_t{1} << 30;
  }
  expect_says(error_of([&] { load(checkpoint, false); }),
              {"blk.1.ffn_gate.weight", "llama.gguf", "short of its tensors"});
}

TEST_F(LoadTest, RefusesAFileThatIsNotTheOneItsHeaderWasReadFrom) {
  testing::TempFolder folder;
  const std::string path = folder.path("llama.gguf");
  std::filesystem::copy(tiny_path("llama.gguf"), path);
  const Checkpoint checkpoint = Checkpoint::open(path);
  load(checkpoint, false);
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  expect_says(error_of([&] { load(checkpoint, false); }), {path, "changed since its header was read"});
  load(Checkpoint::open(path), false);
}

TEST(Weights, GiveUpBetweenTensorsWhenStopped) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  RawAllocator memory{Device{}};
  Weights weights(checkpoint, cpu_caps(1), Device{}, *memory.allocate(sizing.bytes(), "weights"));
  std::unique_ptr<LanguageModel> model = bind_language_model(weights);
  ThreadPool alone{1};
  std::stop_source stop;
  int loaded = 0;
  auto stop_at_the_second = [&](const LoadProgress&) {
    if (++loaded == 2) stop.request_stop();
  };
  try {
    weights.load(alone, stop_at_the_second, stop.get_token());
    ADD_FAILURE() << "it was loaded to its end";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCancelled);
  }
  EXPECT_EQ(loaded, 2);
}

// Hands out memory without its pages, remembers which were asked for, and has `room` bytes to book.
class UntouchedMemory final : public Allocator, private StorageOwner {
 public:
  Device device() const override { return {}; }
  Result<StorageRef> allocate(int64_t bytes, std::string_view) override {
    return StorageRef(new Storage(this, *raw_allocate({}, bytes), bytes));
  }
  Result<StorageRef> book(int64_t bytes, std::string_view) override {
    if (bytes > room) return unexpected(Code::kNoMemory, "no room");
    booked = bytes;
    return StorageRef(new Storage(this, nullptr, 0));
  }
  int64_t room = 0, booked = 0, taken = 0;
  int64_t refuse_after = std::numeric_limits<int64_t>::max();

 private:
  void take_pages(Storage& storage, int64_t offset, int64_t bytes) override {
    EXPECT_TRUE(offset >= 0 && bytes > 0 && offset + bytes <= storage.bytes());
    EXPECT_TRUE(std::all_of(storage.data() + offset, storage.data() + offset + bytes,
                            [](std::byte b) { return b == std::byte{0}; })) << "pages come before what is in them";
    std::lock_guard lock(mutex_);
    taken += bytes;
    if (taken > refuse_after) throw Error(Code::kNoMemory, "the machine has none left");
  }
  void release(Storage* storage) noexcept override {
    raw_free({}, storage->data(), storage->bytes());
    delete storage;
  }
  std::mutex mutex_;
};

TEST(Weights, TakeThePagesOfASlabAsTheyComeIn) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  UntouchedMemory memory;
  ThreadPool pool{2};
  for (bool has_enough : {true, false}) {
    memory.taken = 0;
    if (!has_enough) memory.refuse_after = sizing.bytes() / 2;
    Weights weights(checkpoint, cpu_caps(1), Device{}, *memory.allocate_untouched(sizing.bytes(), "weights"));
    std::unique_ptr<LanguageModel> model = bind_language_model(weights);
    if (has_enough) {
      weights.load(pool);
      // All but what alignment leaves between weights, and the few values that binding computes.
      EXPECT_GT(memory.taken, sizing.bytes() * 9 / 10);
    } else {
      EXPECT_EQ(error_of([&] { weights.load(pool); }), "the machine has none left");
    }
  }
}

TEST(Weights, ReadThroughMemoryThatIsLent) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  RawAllocator memory{Device{}};
  ThreadPool pool{2};
  std::vector<std::byte> first;
  for (int64_t lent : {64 * MiB, 3 * MiB, 100 * KiB, 30 * KiB, 5 * KiB}) {
    SCOPED_TRACE(lent);
    const StorageRef slab = *memory.allocate(sizing.bytes(), "weights"), ring = *memory.allocate(lent, "ring");
    Weights weights(checkpoint, cpu_caps(1), Device{}, slab);
    std::unique_ptr<LanguageModel> model = bind_language_model(weights);
    weights.lend_ring({ring->data(), static_cast<size_t>(lent)});
    weights.load(pool);
    const std::vector<std::byte> loaded(slab->data(), slab->data() + sizing.bytes());
    if (first.empty()) first = loaded;
    EXPECT_TRUE(loaded == first);
    const bool is_used = std::any_of(ring->data(), ring->data() + lent, [](std::byte b) { return b != std::byte{0}; });
    EXPECT_EQ(is_used, lent >= 30 * KiB) << "what is too small is left alone";
  }
}

TEST(Weights, TakeOtherPagesWhileTheyRead) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  UntouchedMemory memory, others;
  ThreadPool pool{2};
  Weights weights(checkpoint, cpu_caps(1), Device{}, *memory.allocate_untouched(sizing.bytes(), "weights"));
  std::unique_ptr<LanguageModel> model = bind_language_model(weights);
  for (int64_t bytes : {5 * MiB, 40 * MiB, 1 * KiB}) weights.take_beside(*others.allocate_untouched(bytes, "state"));
  weights.load(pool);
  EXPECT_EQ(others.taken, 45 * MiB + KiB);
  others.refuse_after = others.taken + MiB;
  Weights again(checkpoint, cpu_caps(1), Device{}, *memory.allocate_untouched(sizing.bytes(), "weights"));
  model = bind_language_model(again);
  again.take_beside(*others.allocate_untouched(2 * MiB, "state"));
  EXPECT_EQ(error_of([&] { again.load(pool); }), "the machine has none left");
}

TEST(Weights, AreTheSameThroughAMapping) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  RawAllocator memory{Device{}};
  ThreadPool pool{2};
  std::vector<std::byte> first;
  for (bool is_mapped : {false, true}) {
    const StorageRef slab = *memory.allocate(sizing.bytes(), "weights");
    Weights weights(checkpoint, cpu_caps(1), Device{}, slab);
    std::unique_ptr<LanguageModel> model = bind_language_model(weights);
    weights.map_files(is_mapped);
    EXPECT_EQ(weights.ring_bytes() == 0, is_mapped);
    weights.load(pool);
    const std::vector<std::byte> loaded(slab->data(), slab->data() + sizing.bytes());
    if (first.empty()) first = loaded;
    EXPECT_TRUE(loaded == first);
  }
}

TEST(Weights, LeaseARingThatFits) {
  const Checkpoint checkpoint = Checkpoint::open(tiny_path("llama.gguf"));
  Weights sizing(checkpoint, cpu_caps(1));
  std::unique_ptr<LanguageModel> sized = bind_language_model(sizing);
  UntouchedMemory memory;
  Weights weights(checkpoint, cpu_caps(1), Device{}, *memory.allocate_untouched(sizing.bytes(), "weights"));
  std::unique_ptr<LanguageModel> model = bind_language_model(weights);
  constexpr int64_t kBlock = MiB + 8 * KiB;
  memory.room = 64 * MiB;
  weights.lease_ring(memory, "loading");
  EXPECT_EQ(memory.booked, 24 * kBlock);
  EXPECT_EQ(weights.ring_bytes(), 24 * kBlock);
  memory.room = 7 * MiB;
  EXPECT_FALSE(weights.try_lease_ring(memory, "loading"));
  weights.lease_ring(memory, "loading");
  EXPECT_EQ(memory.booked, 6 * kBlock);
  memory.room = 2 * MiB;
  weights.lease_ring(memory, "loading");
  EXPECT_LE(memory.booked, 2 * MiB) << "of smaller blocks";
  memory.room = 1 * MiB;
  EXPECT_EQ(error_of([&] { weights.lease_ring(memory, "loading"); }), "no room");
  ThreadPool pool{2};
  weights.load(pool);
  EXPECT_GT(memory.taken, 0);
}

TEST(Names, FollowTheArchitecture) {
  EXPECT_EQ(hugging_face_name("token_embd.weight", "llama"), "model.embed_tokens.weight");
  EXPECT_EQ(hugging_face_name("output.weight", "llama"), "lm_head.weight");
  EXPECT_EQ(hugging_face_name("blk.12.attn_q.bias", "qwen2"), "model.layers.12.self_attn.q_proj.bias");
  EXPECT_EQ(hugging_face_name("blk.0.ffn_norm.weight", "llama"), "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(hugging_face_name("blk.0.ffn_norm.weight", "gemma3"), "model.layers.0.pre_feedforward_layernorm.weight");
  EXPECT_EQ(hugging_face_name("blk.0.post_attention_norm.weight", "gemma3_text"),
            "model.layers.0.post_attention_layernorm.weight");
  EXPECT_EQ(hugging_face_name("rope_freqs.weight", "llama"), "rope_freqs.weight");
}

}  // namespace
}  // namespace hearth
