#include "workflow/files/places.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

using Names = std::vector<std::string>;

TEST(ModelFolders, ListsAreSortedRecursiveAndReadAgainWhenAFolderChanges) {
  testing::Folders folders;
  Places places = folders.places();
  folders.write("models/checkpoints/b.safetensors", "");
  folders.write("models/checkpoints/sub/a.CKPT", "");
  folders.write("models/checkpoints/notes.txt", "");
  folders.write("models/checkpoints/.git/c.pt", "");
  EXPECT_EQ(places.models.list("checkpoints"), (Names{"b.safetensors", "sub/a.CKPT"}));
  std::filesystem::last_write_time(folders.root() + "/models/checkpoints/sub", std::filesystem::file_time_type::min());
  folders.write("models/checkpoints/sub/z.pt", "");
  EXPECT_EQ(places.models.list("checkpoints"), (Names{"b.safetensors", "sub/a.CKPT", "sub/z.pt"}));
}

TEST(ModelFolders, TheFirstFolderWinsAndNamesCannotClimbOut) {
  testing::Folders folders;
  Places places = folders.places();
  folders.write("models/unet/m.pt", "1");
  folders.write("models/diffusion_models/m.pt", "2");
  folders.write("secret.pt", "");
  EXPECT_EQ(places.models.list("unet"), Names{"m.pt"});
  EXPECT_EQ(*places.models.resolve("diffusion_models", "m.pt"), folders.root() + "/models/unet/m.pt");
  EXPECT_FALSE(places.models.resolve("checkpoints", "../../secret.pt"));
  EXPECT_FALSE(places.models.resolve("checkpoints", "/etc/passwd"));
  EXPECT_FALSE(places.models.resolve("checkpoints", "absent.pt"));
  EXPECT_FALSE(places.models.has("unet"));
  EXPECT_TRUE(places.models.has("diffusion_models"));
}

TEST(Places, ARequestWithoutAModelTakesTheUsersOwnBeforeTheShippedOne) {
  testing::Folders folders;
  Places places = folders.places();
  EXPECT_EQ(places.default_checkpoint().error().code(), Code::kNotFound);
  folders.write("share/sprite.safetensors", "");
  places.models.add_shipped("checkpoints", folders.root() + "/share");
  EXPECT_EQ(places.default_checkpoint().value(), "sprite.safetensors");
  folders.write("models/checkpoints/mine.safetensors", "");
  EXPECT_EQ(places.default_checkpoint().value(), "mine.safetensors");
  folders.write("models/checkpoints/other.safetensors", "");
  folders.write("models/checkpoints/yours.safetensors", "");
  EXPECT_EQ(places.models.list("checkpoints"),
            (Names{"mine.safetensors", "other.safetensors", "yours.safetensors", "sprite.safetensors"}));
  const Result<std::string> several = places.default_checkpoint();
  ASSERT_FALSE(several);
  EXPECT_EQ(several.error().code(), Code::kInvalidArgument);
  EXPECT_NE(several.error().message().find("mine.safetensors, other.safetensors, yours.safetensors"),
            std::string::npos);
}

TEST(ModelFolders, ReadsExtraModelPaths) {
  testing::Folders folders;
  Places places = folders.places();
  folders.write("more/one/x.pt", "");
  folders.write("more/two/y.pt", "");
  folders.write("more/adapters/q.bin", "");
  folders.write(
      "extra.yaml",
      "comfy:\n  base_path: more\n  is_default: true\n  checkpoints: |\n    one\n    two\n  ipadapter: adapters\n"
      "  unet: one/\nempty:\n");
  ASSERT_TRUE(places.models.add_yaml(folders.root() + "/extra.yaml"));
  EXPECT_EQ(places.models.list("checkpoints"), (Names{"x.pt", "y.pt"}));
  EXPECT_EQ(places.models.list("ipadapter"), Names{"q.bin"});
  EXPECT_EQ(places.models.list("diffusion_models"), Names{"x.pt"});
  folders.write("bad.yaml", "comfy:\n  checkpoints: [a\n");
  EXPECT_FALSE(places.models.add_yaml(folders.root() + "/bad.yaml"));
  EXPECT_FALSE(places.models.add_yaml(folders.root() + "/none.yaml"));
}

TEST(Places, AnnotatedNames) {
  testing::Folders folders;
  Places places = folders.places();
  EXPECT_EQ(*places.annotated_path("a.png"), folders.root() + "/input/a.png");
  EXPECT_EQ(*places.annotated_path("sub/a.png [output]"), folders.root() + "/output/sub/a.png");
  for (const char* name : {"", "../a.png", "/a.png", "a/../../b.png [temp]", "..", "x/../.. [input]"}) {
    EXPECT_FALSE(places.annotated_path(name)) << name;
  }
}

TEST(Places, LinksDoNotLeadOut) {
  testing::Folders folders;
  Places places = folders.places();
  namespace fs = std::filesystem;
  folders.write("secret/a.png", "");
  folders.write("input/sub/a.png", "");
  fs::create_directory_symlink(folders.root() + "/secret", folders.root() + "/input/away");
  fs::create_symlink(folders.root() + "/secret/a.png", folders.root() + "/input/away.png");
  fs::create_symlink("sub/a.png", folders.root() + "/input/near.png");
  EXPECT_FALSE(places.annotated_path("away/a.png"));
  EXPECT_FALSE(places.annotated_path("away.png"));
  EXPECT_TRUE(places.annotated_path("near.png"));
  places.input = folders.root() + "/linked";
  fs::create_directory_symlink(folders.root() + "/secret", places.input);
  EXPECT_EQ(*places.annotated_path("a.png"), places.input + "/a.png");
}

TEST(PictureStore, CountsOnAndStaysInsideItsFolder) {
  testing::Folders folders;
  Places places = folders.places();
  PictureStore store(places);
  folders.write("output/sub/pic_00007_.png", "");
  folders.write("output/sub/picture_00009_.png", "");
  SavePlace place = store.place("output", "sub/pic", 8, 8).value();
  EXPECT_EQ(place.file(0, "_.png"), "pic_00008_.png");
  EXPECT_EQ(place.file(1, "_.png"), "pic_00009_.png");
  EXPECT_EQ(place.subfolder, "sub");
  EXPECT_EQ(store.place("output", "%width%x%height%", 64, 32).value().file(0, "_.png"), "64x32_00001_.png");
  for (const char* prefix : {"../x", "/tmp/x", "a/../../x", ""})
    EXPECT_FALSE(store.place("output", prefix, 1, 1)) << prefix;
  std::filesystem::create_directory_symlink("/tmp", folders.root() + "/output/link");
  EXPECT_FALSE(store.place("output", "link/x", 1, 1));
}

}  // namespace
}  // namespace hearth::workflow
