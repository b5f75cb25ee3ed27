#include "formats/image/picture.h"

#include <array>

#include <fmt/format.h>

#include "core/base/check.h"
#include "formats/image/codecs.h"

namespace hearth::image {

std::string_view name(Format format) {
  constexpr std::array<std::string_view, 3> kNames{"png", "jpeg", "webp"};
  return kNames[static_cast<size_t>(format)];
}

std::string_view media_type(Format format) {
  constexpr std::array<std::string_view, 3> kTypes{"image/png", "image/jpeg", "image/webp"};
  return kTypes[static_cast<size_t>(format)];
}

Format format_of(std::string_view file) {
  if (file.starts_with("\x89PNG\r\n\x1a\n")) return Format::kPng;
  if (file.starts_with("\xff\xd8\xff")) return Format::kJpeg;
  if (file.starts_with("RIFF") && file.size() >= 12 && file.substr(8, 4) == "WEBP") return Format::kWebp;
  throw Error(Code::kUnsupported, "not a PNG, JPEG or WebP file; save the picture as one of them");
}

Decoded decode(std::string_view file, const Limits& limits) {
  switch (format_of(file)) {
    case Format::kPng: return decode_png(file, limits);
    case Format::kJpeg: return decode_jpeg(file, limits);
    case Format::kWebp: return decode_webp(file, limits);
  }
  throw Error::bug("unknown picture format");
}

void corrupt(Format format, std::string_view what) {
  constexpr std::array<std::string_view, 3> kNames{"PNG", "JPEG", "WebP"};
  throw Error(Code::kCorruptFile, fmt::format("{}: {}", kNames[static_cast<size_t>(format)], what));
}

void check_size(Format format, int64_t width, int64_t height, const Limits& limits) {
  if (width <= 0 || height <= 0) corrupt(format, fmt::format("a picture of {}x{} pixels", width, height));
  if (width > limits.max_pixels / height) {
    throw Error(Code::kInvalidArgument, fmt::format("a picture of {}x{} pixels, expected at most {} in all; scale it "
                                                    "down first",
                                                    width, height, limits.max_pixels));
  }
}

Picture make_picture(int64_t width, int64_t height, int channels) {
  check(width > 0 && height > 0 && width <= INT32_MAX && height <= INT32_MAX, "picture sizes have been checked");
  Picture picture{static_cast<int>(width), static_cast<int>(height), channels, {}};
  picture.samples.resize(static_cast<size_t>(height) * picture.row_bytes());
  return picture;
}

void check_picture(const Picture& picture) {
  bool is_sound = picture.width > 0 && picture.height > 0 && picture.channels >= 1 && picture.channels <= 4 &&
                  picture.samples.size() == static_cast<size_t>(picture.height) * picture.row_bytes();
  if (is_sound) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("a picture of {}x{} with {} channels and {} bytes cannot be written", picture.width,
                          picture.height, picture.channels, picture.samples.size()));
}

Picture to_picture(const float* nhwc, int width, int height, int channels) {
  Picture picture = make_picture(width, height, channels);
  for (uint8_t& sample : picture.samples) {
    float value = 255.0f * *nhwc++;
    sample = value >= 255.0f ? 255 : value > 0.0f ? static_cast<uint8_t>(value) : 0;
  }
  return picture;
}

void to_floats(const Picture& picture, float* nhwc) {
  for (uint8_t sample : picture.samples) *nhwc++ = static_cast<float>(sample) / 255.0f;
}

Picture with_channels(const Picture& picture, int channels) {
  check(channels == 3 || channels == 4, "a picture becomes RGB or RGBA");
  if (picture.channels == channels) return picture;
  Picture out = make_picture(picture.width, picture.height, channels);
  const uint8_t* from = picture.samples.data();
  bool is_grey = picture.channels <= 2;
  for (size_t i = 0; i < out.samples.size(); i += static_cast<size_t>(channels), from += picture.channels) {
    for (size_t c = 0; c < 3; ++c) out.samples[i + c] = is_grey ? from[0] : from[c];
    if (channels == 4) out.samples[i + 3] = picture.has_alpha() ? from[picture.channels - 1] : 255;
  }
  return out;
}

}  // namespace hearth::image
