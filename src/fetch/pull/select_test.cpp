// Which files make the model: the usual choice, what was named, and the words when it is not clear.
#include "fetch/pull/select.h"

#include <gtest/gtest.h>

#include "fetch/pull/hub.h"
#include "fetch/pull/source.h"

namespace hearth::fetch {
namespace {

std::vector<Candidate> files(std::initializer_list<const char*> names) {
  std::vector<Candidate> list;
  for (const char* name : names) list.push_back({name, 1 << 20});
  return list;
}

std::string picked(const std::vector<Candidate>& from, std::string_view wanted = "") {
  auto chosen = select_model(from, wanted);
  if (!chosen) return std::string(wire_name(chosen.error().code())) + ": " + chosen.error().message();
  std::string names;
  for (size_t i : chosen->files) names += (names.empty() ? "" : " ") + from[i].path;
  return names;
}

TEST(Select, TakesTheUsualQuantisation) {
  EXPECT_EQ(picked(files({"only.gguf", "README.md"})), "only.gguf");
  EXPECT_EQ(picked(files({"m-Q8_0.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "mmproj-m.gguf"})), "m-Q4_K_M.gguf");
  EXPECT_EQ(picked(files({"m.q8_0.gguf", "m.q6_k.gguf", "m.f16.gguf"})), "m.q6_k.gguf");
}

TEST(Select, KeepsAllPartsOfASplitFile) {
  auto split = files({"q4/m-Q4_K_M-00002-of-00002.gguf", "q4/m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"});
  EXPECT_EQ(picked(split), "q4/m-Q4_K_M-00001-of-00002.gguf q4/m-Q4_K_M-00002-of-00002.gguf");
  EXPECT_EQ(picked(split, "q4/m-Q4_K_M-00001-of-00002.gguf"), picked(split));
  EXPECT_EQ(picked(files({"m-00001-of-00003.gguf", "m-00002-of-00003.gguf"})),
            "corrupt_file: m.gguf is split into 3 parts, 2 are here; get the missing ones");
}

TEST(Select, FindsWhatWasNamed) {
  auto list = files({"a/m-Q4_K_M.gguf", "a/m-Q8_0.gguf"});
  EXPECT_EQ(picked(list, "a/m-Q8_0.gguf"), "a/m-Q8_0.gguf");
  EXPECT_EQ(picked(list, "m-Q8_0.gguf"), "a/m-Q8_0.gguf");
  EXPECT_EQ(picked(list, "q8_0"), "a/m-Q8_0.gguf");
  EXPECT_EQ(picked(list, "Q4_K").substr(0, 10), "not_found:");  // another name than Q4_K_M
  EXPECT_NE(picked(list, "a/m-Q8_1.gguf").find("did you mean 'a/m-Q8_0.gguf'?"), std::string::npos);
}

TEST(Select, NamesTheChoices) {
  std::string both = picked(files({"a-Q4_K_M.gguf", "b-Q4_K_M.gguf"}));
  EXPECT_EQ(both,
            "invalid_argument: there are 2 models to choose from; name the file. There are: a-Q4_K_M.gguf (1.0 MiB), "
            "b-Q4_K_M.gguf (1.0 MiB)");
  EXPECT_EQ(picked(files({"README.md"})), "not_found: no .gguf or .safetensors file; there are: README.md");
}

TEST(Select, TakesSafetensorsWithTheirCompanions) {
  auto list = files(
      {"config.json", "consolidated.safetensors", "model.safetensors", "tokenizer.model", "x.png", "sub/config.json"});
  EXPECT_EQ(picked(list), "model.safetensors config.json tokenizer.model");
  EXPECT_EQ(picked(files({"w.safetensors", "LICENSE.md", "README.md"})), "w.safetensors LICENSE.md");
}

TEST(Source, ReadsEveryForm) {
  EXPECT_EQ(parse_source("hf:o/r:f")->kind, Source::Kind::kHub);
  EXPECT_EQ(parse_source("https://x/y.gguf")->kind, Source::Kind::kWeb);
  EXPECT_EQ(parse_source("file:/")->place, "/");
  EXPECT_EQ(parse_source("file:///")->place, "/");
  EXPECT_EQ(parse_source("file:/none").error().code(), Code::kNotFound);
  EXPECT_NE(parse_source("owner/repo").error().message().find("did you mean hf:owner/repo?"), std::string::npos);
}

TEST(Source, GivesANameToNamelessPulls) {
  EXPECT_EQ(name_from_source("hf:Owner/Repo-GGUF:x.gguf"), "repo-gguf");
  EXPECT_EQ(name_from_source("/a/My Model.Q4.gguf"), "mymodel.q4");
  EXPECT_EQ(name_from_source("https://h/a/tiny.gguf?download=true"), "tiny");
  EXPECT_EQ(name_from_source("x/llm_tiny-0.1-py3-none-any.whl"), "llm_tiny");
  EXPECT_EQ(name_from_source("///"), "model");
}

TEST(Hub, ReadsAddresses) {
  auto address = HubAddress::parse("o/r@v2:dir/f.gguf");
  ASSERT_TRUE(address.has_value());
  EXPECT_EQ(address->repo, "o/r");
  EXPECT_EQ(address->revision, "v2");
  EXPECT_EQ(address->file, "dir/f.gguf");
  for (const char* bad : {"", "o", "o/", "/r", "o/../r", "o/r/x", "o/r@", "o/r?x"})
    EXPECT_FALSE(HubAddress::parse(bad).has_value()) << bad;
}

}  // namespace
}  // namespace hearth::fetch
