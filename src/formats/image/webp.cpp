// WebP through libwebp.
#include <algorithm>

#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/encode.h>

#include "formats/image/codecs.h"

namespace hearth::image {
namespace {

uint32_t little32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
  return value;
}

// The data of the first chunk of this name, or nothing.
std::string_view find_chunk(std::string_view file, std::string_view name) {
  constexpr size_t kRiffHead = 12, kChunkHead = 8;
  file.remove_prefix(std::min(kRiffHead, file.size()));
  while (file.size() >= kChunkHead) {
    size_t size = little32(file.substr(4));
    std::string_view data = file.substr(kChunkHead, size);
    if (file.starts_with(name)) return data;
    size_t whole = kChunkHead + size + size % 2;
    file.remove_prefix(std::min(whole, file.size()));
  }
  return {};
}

int orientation(std::string_view file) {
  constexpr std::string_view kHead("Exif\0\0", 6);
  std::string_view exif = find_chunk(file, "EXIF");
  if (exif.starts_with(kHead)) exif.remove_prefix(kHead.size());  // some writers put JPEG's head in front
  return exif_orientation(exif);
}

constexpr float kLosslessEffort = 70;  // libwebp's own choice

int append(const uint8_t* data, size_t size, const WebPPicture* picture) {
  static_cast<std::string*>(picture->custom_ptr)->append(reinterpret_cast<const char*>(data), size);
  return 1;
}

}  // namespace

Decoded decode_webp(std::string_view file, const Limits& limits) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
  WebPBitstreamFeatures facts;
  if (WebPGetFeatures(bytes, file.size(), &facts) != VP8_STATUS_OK) {
    corrupt(Format::kWebp, "its header is damaged or cut off");
  }
  if (facts.has_animation) {
    throw Error(Code::kUnsupported, "an animated WebP is not read; save the picture you want as a still one");
  }
  check_size(Format::kWebp, facts.width, facts.height, limits);
  Decoded out{.format = Format::kWebp, .picture = {}, .texts = {}};
  Picture picture = make_picture(facts.width, facts.height, facts.has_alpha ? 4 : 3);
  auto* decode = facts.has_alpha ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
  if (!decode(bytes, file.size(), picture.samples.data(), picture.samples.size(),
              static_cast<int>(picture.row_bytes()))) {
    corrupt(Format::kWebp, "its picture data is damaged or cut off");
  }
  out.picture = upright(std::move(picture), orientation(file));
  return out;
}

std::string encode_webp(const Picture& picture, const WebpOptions& options) {
  check_picture(picture);
  if (!(options.quality >= 0 && options.quality <= 100)) {
    throw Error(Code::kInvalidArgument, fmt::format("WebP quality {}, expected 0 to 100", options.quality));
  }
  if (picture.width > WEBP_MAX_DIMENSION || picture.height > WEBP_MAX_DIMENSION) {
    throw Error(Code::kInvalidArgument, fmt::format("a picture of {}x{} pixels; WebP holds at most {} on a side, use "
                                                    "PNG or JPEG",
                                                    picture.width, picture.height, WEBP_MAX_DIMENSION));
  }
  if (picture.channels < 3) {
    Picture colour = with_channels(picture, picture.channels == 1 ? 3 : 4);
    return encode_webp(colour, options);
  }
  WebPConfig config;
  WebPPicture source;
  bool is_ready = WebPConfigInit(&config) && WebPPictureInit(&source);
  config.lossless = options.is_lossless;
  config.quality = options.is_lossless ? kLosslessEffort : options.quality;
  config.method = options.method;
  if (!is_ready || !WebPValidateConfig(&config)) {
    throw Error(Code::kInvalidArgument, fmt::format("WebP method {}, expected 0 to 6", options.method));
  }
  source.use_argb = options.is_lossless;
  source.width = picture.width;
  source.height = picture.height;
  std::string out;
  source.writer = append;
  source.custom_ptr = &out;
  const int stride = static_cast<int>(picture.row_bytes());
  auto* import = picture.channels == 4 ? WebPPictureImportRGBA : WebPPictureImportRGB;
  bool is_done = import(&source, picture.samples.data(), stride) && WebPEncode(&config, &source);
  WebPPictureFree(&source);
  if (!is_done) throw Error(Code::kNoMemory, "WebP: the picture could not be encoded, most likely for want of memory");
  return out;
}

}  // namespace hearth::image
