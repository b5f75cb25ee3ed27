// The model store: names, what is listed, what a half-done pull looks like, what remove refuses.
#include "fetch/store/store.h"

#include <gtest/gtest.h>

#include "formats/zip/zip_testing.h"

namespace hearth::fetch {
namespace {

using zip::TestFolder;

StoredModel put(Store& store, const std::string& name, const std::string& body = "GGUF") {
  Incoming incoming = store.begin(name, "test", false).value();
  write_text(incoming.folder / "m.gguf", body).value();
  return store.install(incoming, {.source = "test", .files = {{"m.gguf", std::ssize(body), ""}}, .license = "mit"})
      .value();
}

std::string names(const Store& store) {
  std::string text;
  std::vector<StoredModel> models = store.list().value();
  for (const StoredModel& model : models) text += model.name + " ";
  return text;
}

TEST(Store, InstallsListsFindsRemoves) {
  TestFolder folder;
  Store store(folder.path() / "models");
  EXPECT_EQ(names(store), "");
  StoredModel model = put(store, "qwen:8b");
  put(store, "Alpha");
  EXPECT_EQ(names(store), "Alpha qwen:8b ");
  EXPECT_EQ(model.path(), store.root() / "qwen:8b/m.gguf");
  StoredModel found = store.find("qwen:8b").value();
  EXPECT_EQ(found.license, "mit");
  EXPECT_EQ(found.bytes(), 4);
  EXPECT_EQ(found.date.size(), 20u);
  store.remove("qwen:8b").value();
  EXPECT_EQ(names(store), "Alpha ");
  EXPECT_FALSE(fs::exists(store.root() / "qwen:8b"));
}

TEST(Store, AMissSuggestsTheNearest) {
  TestFolder folder;
  Store store(folder.path());
  EXPECT_NE(store.find("qwen3").error().message().find("hearth pull SOURCE --as qwen3"), std::string::npos);
  put(store, "qwen3-8b");
  put(store, "gemma");
  EXPECT_EQ(store.find("qwen3-8").error().message(), "no model 'qwen3-8' in " + folder.path().string() +
                                                         ", did you mean 'qwen3-8b'? There are: gemma, qwen3-8b");
  EXPECT_EQ(store.find("qwen3-8").error().code(), Code::kNotFound);
  EXPECT_EQ(store.remove("gema").error().code(), Code::kNotFound);
}

TEST(Store, RefusesNamesThatAreNone) {
  TestFolder folder;
  Store store(folder.path() / "models");
  folder.write("outside/hearth-model.json", "{}");
  for (const char* name : {"", ".", "..", "../outside", "/etc", ".hidden", "a/b", "a b", "-x", "a\nb"}) {
    EXPECT_EQ(store.find(name).error().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(store.remove(name).error().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(store.begin(name, "test", false).error().code(), Code::kInvalidArgument) << name;
  }
  EXPECT_TRUE(fs::exists(folder.path() / "outside/hearth-model.json"));
}

TEST(Store, DoesNotFollowALinkOutOfItself) {
  TestFolder folder;
  Store store(folder.path() / "models");
  put(store, "a");
  folder.write("outside/file", "x");
  fs::create_directory_symlink(folder.path() / "outside", store.root() / "b");
  EXPECT_EQ(store.remove("b").error().code(), Code::kInvalidArgument);
  EXPECT_TRUE(fs::exists(folder.path() / "outside/file"));
}

TEST(Store, AHalfFilledModelIsNotListedAndIsTakenUpAgain) {
  TestFolder folder;
  Store store(folder.path());
  {
    Incoming incoming = store.begin("m", "source one", false).value();
    write_text(incoming.folder / "m.gguf.part", "GG").value();
  }
  EXPECT_EQ(names(store), "");
  EXPECT_TRUE(fs::exists(store.begin("m", "source one", false)->folder / "m.gguf.part"));
  EXPECT_FALSE(fs::exists(store.begin("m", "another source", false)->folder / "m.gguf.part"));
}

TEST(Store, OneFillsANameAtATime) {
  TestFolder folder;
  Store store(folder.path());
  Incoming first = store.begin("m", "test", false).value();
  auto second = store.begin("m", "test", false);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), Code::kBusy);
  EXPECT_TRUE(store.begin("other", "test", false).has_value());
}

TEST(Store, ReplacesInOneStep) {
  TestFolder folder;
  Store store(folder.path());
  put(store, "m", "GGUF old");
  EXPECT_NE(store.begin("m", "test", false).error().message().find("exists already"), std::string::npos);
  Incoming incoming = store.begin("m", "test", true).value();
  write_text(incoming.folder / "new.gguf", "GGUF new").value();
  write_text(incoming.folder / "leftover", "x").value();
  StoredModel model = store.install(incoming, {.source = "test", .files = {{"new.gguf", 8, ""}}}).value();
  EXPECT_EQ(model.path().filename(), "new.gguf");
  EXPECT_FALSE(fs::exists(store.root() / "m/m.gguf"));
  EXPECT_FALSE(fs::exists(store.root() / "m/leftover"));
  EXPECT_FALSE(fs::exists(store.root() / ".incoming/m"));
}

TEST(Store, RemembersAModelElsewhereAndNeverDeletesIt) {
  TestFolder folder;
  Store store(folder.path() / "models");
  fs::path mine = folder.write("mine/m.gguf", "GGUF");
  EXPECT_EQ(store.add_external("mine", mine)->path(), fs::canonical(mine));
  EXPECT_EQ(store.add_external("dir", folder.path() / "mine")->path(), fs::canonical(folder.path() / "mine"));
  EXPECT_EQ(store.add_external("none", folder.path() / "none").error().code(), Code::kNotFound);
  EXPECT_EQ(store.add_external("text", folder.write("text/a.txt", "x").parent_path()).error().code(),
            Code::kInvalidArgument);
  store.remove("mine").value();
  EXPECT_TRUE(fs::exists(mine));
}

TEST(Store, ADamagedManifestIsNamedAndLeftOut) {
  TestFolder folder;
  Store store(folder.path());
  put(store, "good");
  for (const char* text :
       {"{", "[]", "{}", R"({"source":"x","files":[{"name":"../x","bytes":1}]})", R"({"source":1,"files":[]})"}) {
    folder.write("bad/hearth-model.json", text);
    EXPECT_EQ(store.find("bad").error().code(), Code::kCorruptFile) << text;
    EXPECT_EQ(names(store), "good ");
  }
}

}  // namespace
}  // namespace hearth::fetch
