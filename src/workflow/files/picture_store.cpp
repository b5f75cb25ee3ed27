#include "workflow/files/picture_store.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/base/units.h"
#include "formats/image/picture.h"

namespace hearth::workflow {
namespace {

constexpr int64_t kMaxPictureFile = 1 * GiB;

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

std::string expanded(std::string prefix, int64_t width, int64_t height) {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  replace_all(prefix, "%width%", std::to_string(width));
  replace_all(prefix, "%height%", std::to_string(height));
  replace_all(prefix, "%year%", std::to_string(local.tm_year + 1900));
  replace_all(prefix, "%month%", fmt::format("{:02}", local.tm_mon + 1));
  replace_all(prefix, "%day%", fmt::format("{:02}", local.tm_mday));
  replace_all(prefix, "%hour%", fmt::format("{:02}", local.tm_hour));
  replace_all(prefix, "%minute%", fmt::format("{:02}", local.tm_min));
  replace_all(prefix, "%second%", fmt::format("{:02}", local.tm_sec));
  return prefix;
}

// One above the highest number behind "<name>_".
int64_t next_counter(const fs::path& folder, const std::string& name) {
  int64_t highest = 0;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::string file = entry->path().filename().string();
    if (!file.starts_with(name + "_")) continue;
    int64_t number = 0;
    for (size_t i = name.size() + 1; i < file.size() && file[i] >= '0' && file[i] <= '9'; ++i) {
      number = std::min<int64_t>(number * 10 + (file[i] - '0'), 1'000'000'000'000);
    }
    highest = std::max(highest, number);
  }
  return highest + 1;
}

Result<image::Picture> read_picture(const Places& places, std::string_view name) {
  Result<std::string> path = places.annotated_path(name);
  if (!path) return unexpected(path.error());
  Result<std::string> file = read_text(*path, kMaxPictureFile);
  if (!file) return unexpected(file.error());
  try {
    return image::decode(*file).picture;
  } catch (const Error& error) {
    return unexpected(error.within(name));
  }
}

}  // namespace

std::string SavePlace::file(int64_t index, std::string_view suffix) const {
  std::string base = name;
  replace_all(base, "%batch_num%", std::to_string(index));
  return fmt::format("{}_{:05}{}", base, counter + index, suffix);
}

Result<SavePlace> PictureStore::place(std::string_view type, std::string prefix, int64_t width, int64_t height) const {
  const std::string* root = places_.folder(type);
  if (!root) return unexpected(Code::kInvalidArgument, fmt::format("no folder is called '{}'", type));
  std::optional<std::string> path = path_below(*root, expanded(std::move(prefix), width, height));
  if (!path) {
    return unexpected(Code::kInvalidArgument, "Saving image outside the output folder is not allowed.");
  }
  fs::path whole(*path);
  SavePlace made;
  made.folder = whole.parent_path().string();
  made.name = whole.filename().string();
  made.subfolder = fs::path(made.folder).lexically_relative(fs::path(*root).lexically_normal()).string();
  if (made.subfolder == ".") made.subfolder.clear();
  if (Result<void> ready = make_folders(made.folder); !ready) return unexpected(ready.error());
  // A link inside the folder must not lead out of it either.
  std::error_code failed;
  fs::path real = fs::weakly_canonical(made.folder, failed), base = fs::weakly_canonical(*root, failed);
  if (failed || path_below("/", real.lexically_relative(base).string()) == std::nullopt) {
    return unexpected(Code::kInvalidArgument, "Saving image outside the output folder is not allowed.");
  }
  made.counter = next_counter(made.folder, made.name);
  return made;
}

Result<void> PictureStore::write(const std::string& path, std::string_view bytes) const {
  if (write_watch_) write_watch_(path);
  return write_text(path, bytes);
}

Result<std::string> PictureStore::encode_png(const Tensor& images, int64_t index, const Value& text_chunks,
                                             int level) const {
  int64_t height = images.dim(1), width = images.dim(2), channels = images.dim(3);
  image::PngOptions options{.level = level};
  for (const auto& [key, text] : text_chunks.as_object()) options.texts.push_back({key, text.as_string()});
  const float* from = images.data<const float>() + index * height * width * channels;
  try {
    return image::encode_png(
        image::to_picture(from, static_cast<int>(width), static_cast<int>(height), static_cast<int>(channels)),
        options);
  } catch (const Error& error) {
    return unexpected(error);
  }
}

Result<LoadedPicture> PictureStore::load(std::string_view name, Allocator& memory) const {
  Result<image::Picture> read = read_picture(places_, name);
  if (!read) return unexpected(read.error());
  int64_t height = read->height, width = read->width;
  LoadedPicture loaded;
  Result<Tensor> image = memory.tensor(DType::kF32, {1, height, width, 3}, "pictures");
  if (!image) return unexpected(image.error());
  loaded.image = *image;
  image::to_floats(image::with_channels(*read, 3), loaded.image.data<float>());
  Shape mask_shape = read->has_alpha() ? Shape{1, height, width} : Shape{1, 64, 64};
  Result<Tensor> mask = memory.tensor(DType::kF32, mask_shape, "pictures");
  if (!mask) return unexpected(mask.error());
  loaded.mask = *mask;
  if (!read->has_alpha()) return loaded;
  size_t channels = static_cast<size_t>(read->channels);
  for (int64_t i = 0; i < height * width; ++i) {
    float alpha = static_cast<float>(read->samples[static_cast<size_t>(i) * channels + channels - 1]) / 255.0f;
    loaded.mask.data<float>()[i] = 1.0f - alpha;
  }
  return loaded;
}

Result<Tensor> PictureStore::load_channel(std::string_view name, std::string_view channel, Allocator& memory) const {
  Result<image::Picture> read = read_picture(places_, name);
  if (!read) return unexpected(read.error());
  bool is_alpha = channel == "alpha";
  if (is_alpha && !read->has_alpha()) return memory.tensor(DType::kF32, {1, 64, 64}, "pictures");
  image::Picture full = image::with_channels(*read, 4);
  Result<Tensor> mask = memory.tensor(DType::kF32, {1, full.height, full.width}, "pictures");
  if (!mask) return mask;
  size_t at = channel == "red" ? 0 : channel == "green" ? 1 : channel == "blue" ? 2 : 3;
  for (int64_t i = 0; i < mask->numel(); ++i) {
    float value = static_cast<float>(full.samples[static_cast<size_t>(i) * 4 + at]) / 255.0f;
    mask->data<float>()[i] = is_alpha ? 1.0f - value : value;
  }
  return mask;
}

}  // namespace hearth::workflow
