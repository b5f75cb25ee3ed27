// Text encoders beyond the goldens: words given as vectors, which layers exist, where pooling looks, files of vectors.
#include "models/encoder/clip.h"

#include <gtest/gtest.h>

#include "models/encoder/embedding.h"
#include "models/load/weight_file.h"
#include "models/testing/tiny_picture.h"
#include "ops/linear/layout.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::PictureRig;
using testing::TempFolder;
using testing::TinyPicture;

std::vector<float> copy_of(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.numel()}; }

class ClipTest : public ::testing::Test {
 protected:
  void SetUp() override {
    file_ = open_picture_file(TinyPicture("sd1").write_single(folder_.path()));
    clip_ = rig_.load<ClipText>(file_.text_encoders.at(0));
  }
  ClipOutput run(const ClipRequest& request) {
    Ctx c = rig_.ctx();
    return clip_.forward(c, request);
  }

  TempFolder folder_;
  PictureRig rig_;
  PictureFile file_;
  ClipText clip_;
};

TEST_F(ClipTest, VectorsStandForTokens) {
  const std::vector<int32_t> ids = {98, 7, 8, 9, 99, 98, 5, 6, 99, 99};
  std::vector<int32_t> blank = ids;
  blank[2] = blank[3] = blank[6] = 0;
  // The vectors that the model itself has for the tokens taken out.
  const Weight& table = rig_.weights().bound().at("text_model.embeddings.token_embedding.weight");
  auto vectors = [&](std::vector<int32_t> tokens) {
    std::vector<float> rows(tokens.size() * 128);
    for (size_t i = 0; i < tokens.size(); ++i) unpack_row(table, tokens[i], rows.data() + i * 128);
    return rig_.floats(rows, {std::ssize(tokens), 128});
  };
  const EmbeddingOverride overrides[] = {{2, vectors({8, 9})}, {6, vectors({5})}};
  const std::vector<float> plain = copy_of(run({.ids = rig_.ints(ids, {2, 5}), .pool_at = {}, .overrides = {}}).hidden);
  const std::vector<float> replaced =
      copy_of(run({.ids = rig_.ints(blank, {2, 5}), .pool_at = {}, .overrides = overrides}).hidden);
  const std::vector<float> without =
      copy_of(run({.ids = rig_.ints(blank, {2, 5}), .pool_at = {}, .overrides = {}}).hidden);
  EXPECT_EQ(replaced, plain);
  EXPECT_NE(without, plain);
}

TEST_F(ClipTest, RefusesWhatItCannotDo) {
  const Tensor ids = rig_.ints({98, 7, 99}, {1, 3});
  auto error = [&](const ClipRequest& request) { return error_of([&] { run(request); }); };
  EXPECT_NE(error({.ids = ids, .pool_at = {}, .overrides = {}, .layer = -4}).find("wanted -1 (the last) to -3"),
            std::string::npos);
  EXPECT_NE(error({.ids = ids, .pool_at = {}, .overrides = {}, .layer = 0}).find("layer is 0"), std::string::npos);
  const Tensor long_ids = rig_.ints(std::vector<int32_t>(14, 1), {1, 14});
  EXPECT_NE(error({.ids = long_ids, .pool_at = {}, .overrides = {}}).find("T at most 13"), std::string::npos);
  const EmbeddingOverride beyond[] = {{2, rig_.floats(std::vector<float>(256), {2, 128})}};
  EXPECT_NE(error({.ids = ids, .pool_at = {}, .overrides = beyond}).find("within 3 tokens"), std::string::npos);
  const EmbeddingOverride wide[] = {{0, rig_.floats(std::vector<float>(64), {1, 64})}};
  EXPECT_NE(error({.ids = ids, .pool_at = {}, .overrides = wide}).find("[1, 64]"), std::string::npos);
}

TEST(ClipPooling, LooksAtTheFirstEnd) {
  const std::vector<int32_t> ids = {1, 9, 2, 9, 9, 9, 1, 2, 3};  // three prompts of three
  EXPECT_EQ(pooled_rows(ids, 3, 9), (std::vector<int32_t>{1, 3, 8}));
}

TEST(TextEmbedding, IsFoundUnderEveryName) {
  TempFolder folder;
  auto file = [&](const std::map<std::string, TinyPicture::Tensor>& tensors) {
    const std::string path = folder.path() + "/words.safetensors";
    testing::write_tensors(path, tensors, DType::kF16);
    return open_weight_file(path);
  };
  const TinyPicture::Tensor narrow{{2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}}, wide{{1, 6}, {9, 8, 7, 6, 5, 4}};
  EXPECT_EQ(read_text_embedding(file({{"emb_params", narrow}}), 4, "clip_l")->values, narrow.values);
  EXPECT_EQ(read_text_embedding(file({{"emb_params", narrow}}), 4, "clip_l")->count(), 2);
  EXPECT_FALSE(read_text_embedding(file({{"emb_params", narrow}}), 6, "clip_g")) << "of another width";
  const TensorFile both = file({{"clip_g", wide}, {"clip_l", narrow}});
  EXPECT_EQ(read_text_embedding(both, 4, "clip_l")->values, narrow.values);
  EXPECT_EQ(read_text_embedding(both, 6, "clip_g")->values, wide.values);
  EXPECT_EQ(read_text_embedding(file({{"string_to_param.*", narrow}, {"aaa", wide}}), 4, "clip_l")->count(), 2);
  EXPECT_EQ(read_text_embedding(file({{"bundle_emb.a.clip_l", narrow}, {"bundle_emb.b.clip_l", narrow}}), 4, "clip_l")
                ->count(),
            4);
  // One vector may have no axis of its own.
  EXPECT_EQ(read_text_embedding(file({{"<word>", {{4}, {1, 2, 3, 4}}}}), 4, "clip_l")->count(), 1);
}

}  // namespace
}  // namespace hearth
