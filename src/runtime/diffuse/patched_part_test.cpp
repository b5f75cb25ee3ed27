// What is said of a LoRA file that does not belong to a model, or only in part.
#include "runtime/diffuse/patched_part.h"

#include <gtest/gtest.h>

#include "core/testing/temp_folder.h"
#include "models/testing/tiny_picture.h"

namespace hearth::diffuse {
namespace {

LoraFile file_of(const std::vector<std::string>& names) {
  static testing::TempFolder folder;
  static int count = 0;
  std::map<std::string, testing::TinyPicture::Tensor> tensors;
  for (const std::string& name : names) tensors[name] = {{1}, {1}};
  const std::string path = folder.path("lora" + std::to_string(count++) + ".safetensors");
  testing::write_tensors(path, tensors);
  return LoraFile(std::make_shared<const TensorFile>(open_weight_file(path)));
}

using Lines = std::vector<std::string>;

TEST(LoraProblems, AFileThatFitsHasNone) {
  const LoraFile file = file_of({"lora_unet_a.lora_up.weight", "lora_te_b.lora_up.weight"});
  EXPECT_EQ(lora_problems(file, LoraPart::kDenoiser, {{"lora_unet_a", "a"}}, {}), Lines{});
  EXPECT_EQ(lora_problems(file, LoraPart::kText, {{"lora_te_b", "b"}}, {}), Lines{});
}

TEST(LoraProblems, EntriesLeftOverAreCountedAndTheFirstNamed) {
  const LoraFile file = file_of({"lora_unet_a.diff", "lora_unet_b.diff", "lora_unet_c.diff", "lora_unet_d.diff",
                                 "lora_unet_e.diff", "lora_unet_f.diff", "lora_unet_g.diff", "lora_te_h.diff"});
  EXPECT_EQ(
      lora_problems(file, LoraPart::kDenoiser, {{"lora_unet_a", "a"}}, {}),
      Lines{"6 entries are not applied: lora_unet_b, lora_unet_c, lora_unet_d, lora_unet_e, lora_unet_f and 1 more"});
  EXPECT_EQ(lora_problems(file, LoraPart::kDenoiser, {}, {"lora_unet_a: got [1], wanted [2]"}),
            Lines{"1 changes do not fit this model: lora_unet_a: got [1], wanted [2]"});
}

TEST(LoraProblems, AFileForAnotherFamilySaysThatItChangesNothing) {
  const LoraFile file = file_of({"transformer.a.diff", "transformer.b.diff", "lora_te1_c.diff"});
  EXPECT_EQ(lora_problems(file, LoraPart::kDenoiser, {{"lora_unet_a", "a"}}, {}),
            Lines{"changes nothing of the denoiser: none of its 2 entries is known there, such as transformer.a, "
                  "transformer.b; was it made for another family of models?"});
  EXPECT_EQ(
      lora_problems(file, LoraPart::kText, {{"lora_te_c", "c"}}, {}),
      Lines{"changes nothing of the text encoders: none of its 1 entries is known there, such as lora_te1_c; was it "
            "made for another family of models?"});
}

}  // namespace
}  // namespace hearth::diffuse
