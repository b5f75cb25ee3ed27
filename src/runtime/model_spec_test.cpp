// ModelSpec: one name stands for one model.
#include "runtime/model_spec.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

ModelSpec spec(const std::string& name, const std::string& path, std::vector<std::string> aliases = {}) {
  ModelSpec out;
  out.load.name = name;
  out.load.path = path;
  out.aliases = std::move(aliases);
  return out;
}

TEST(ModelSpec, AnswersToItsNameAndAliases) {
  const ModelSpec model = spec("qwen3", "/a", {"qwen", "Qwen/Qwen3"});
  EXPECT_TRUE(model.answers_to("qwen3") && model.answers_to("qwen") && model.answers_to("Qwen/Qwen3"));
  EXPECT_FALSE(model.answers_to("Qwen") || model.answers_to("") || model.answers_to("/a"));
}

TEST(ModelSpec, DistinctNamesAreFine) {
  EXPECT_TRUE(check_names_are_distinct({}));
  // Twice the same file is two models if it has two names; an alias may repeat the model's own name.
  EXPECT_TRUE(check_names_are_distinct({spec("a", "/x", {"a", "one"}), spec("b", "/x", {"two"})}));
}

TEST(ModelSpec, ANameThatStandsForTwoModelsIsRefusedWithBothPaths) {
  const std::vector<std::vector<ModelSpec>> collisions = {
      {spec("same", "/one.gguf"), spec("other", "/x"), spec("same", "/two.gguf")},
      {spec("a", "/one.gguf", {"same"}), spec("same", "/two.gguf")},
      {spec("same", "/one.gguf"), spec("b", "/two.gguf", {"b2", "same"})},
      {spec("a", "/one.gguf", {"same"}), spec("b", "/two.gguf", {"same"})},
  };
  for (const std::vector<ModelSpec>& models : collisions) {
    const Result<void> checked = check_names_are_distinct(models);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code(), Code::kInvalidArgument);
    for (const char* part : {"'same'", "/one.gguf", "/two.gguf", "[models.\"NAME\"]"}) {
      EXPECT_NE(checked.error().message().find(part), std::string::npos) << checked.error().message();
    }
  }
}

}  // namespace
}  // namespace hearth
