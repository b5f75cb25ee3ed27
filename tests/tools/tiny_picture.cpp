// tiny_picture NAME FILE|FOLDER/: writes one of the tiny random picture checkpoints of tests/golden/picture_models, as
// one file under the original layout's names, or, where the path ends in a slash, as a folder in diffusers layout.
// Prints the path. Programs under test load it like any checkpoint; its pictures are noise.
#include <filesystem>
#include <iostream>

#include "core/base/error.h"
#include "models/testing/tiny_picture.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: tiny_picture sdxl|sdxl_refiner|sd1|sd1_inpaint|taesd PATH\n";
    return 2;
  }
  try {
    namespace fs = std::filesystem;
    const fs::path to = argv[2];
    hearth::testing::TinyPicture tiny(argv[1]);
    tiny.take_prompts();
    const fs::path folder = to.has_filename() ? to.parent_path() : to;
    fs::create_directories(folder.empty() ? "." : folder);
    if (!to.has_filename()) {
      std::cout << tiny.write_diffusers(folder.string()) << '\n';
      return 0;
    }
    const fs::path written = tiny.write_single(folder.empty() ? "." : folder.string());
    fs::rename(written, to);
    std::cout << to.string() << '\n';
    return 0;
  } catch (const std::exception& e) {
    std::cerr << "tiny_picture: " << e.what() << '\n';
    return 1;
  }
}
