// Pictures of 8 bits a sample, and what lies in PNG, JPEG and WebP files. Files are not trusted: sizes are checked
// before memory is taken, and whatever is wrong throws Error{kCorruptFile}, what is not read Error{kUnsupported}.
// Pure; callable from any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::image {

/// Rows from the top, interleaved. Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; alpha is not multiplied in.
struct Picture {
  int width = 0, height = 0, channels = 0;
  std::vector<uint8_t> samples;

  size_t row_bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
  uint8_t* row(int y) { return samples.data() + static_cast<size_t>(y) * row_bytes(); }
  const uint8_t* row(int y) const { return samples.data() + static_cast<size_t>(y) * row_bytes(); }
  bool has_alpha() const { return channels == 2 || channels == 4; }
};

/// A keyword and its text, both UTF-8, as a PNG carries them ("prompt", "workflow").
struct TextEntry {
  std::string key, text;
};

enum class Format { kPng, kJpeg, kWebp };
std::string_view name(Format format);        // "png", "jpeg", "webp"
std::string_view media_type(Format format);  // "image/png", ...

struct Limits {
  int64_t max_pixels = 178'956'970;          // where Pillow refuses too
  int64_t max_text_bytes = 64 * 1024 * 1024;  // all text entries together, inflated
};

struct Decoded {
  Format format = Format::kPng;
  Picture picture;  // turned upright as the file's EXIF orientation says
  std::vector<TextEntry> texts;
};

/// The format by its first bytes; Error{kUnsupported} naming the three for anything else.
Format format_of(std::string_view file);

/// Any of the formats. 16-bit samples keep their upper byte; palettes become RGB, or RGBA when the palette has
/// transparency (a single transparent colour of other kinds is ignored, as ComfyUI does); CMYK becomes RGB by Pillow's
/// rule; of an animated PNG the first picture is read, an animated WebP is refused. Colour profiles are not applied.
Decoded decode(std::string_view file, const Limits& limits = {});

struct PngOptions {
  int level = 4;  // zlib's, 0 to 9
  std::vector<TextEntry> texts{};
};
/// Texts that fit Latin-1 become tEXt, others iTXt. Error{kInvalidArgument} for a keyword that PNG does not allow.
std::string encode_png(const Picture& picture, const PngOptions& options = {});

/// Quality 0 to 100; alpha is dropped.
std::string encode_jpeg(const Picture& picture, int quality = 90);

struct WebpOptions {
  float quality = 90;  // 0 to 100; a lossless file has none
  bool is_lossless = false;
  int method = 4;  // 0 fast to 6 small
};
/// Error{kInvalidArgument} above 16383 pixels on a side. Colours under full transparency are not kept.
std::string encode_webp(const Picture& picture, const WebpOptions& options = {});

/// Pictures of one size, shown one after the other for `frame_ms` each, for ever.
struct Animation {
  std::vector<Picture> frames;
  int frame_ms = 100;
  std::vector<TextEntry> texts{};
};
/// An animated PNG. Texts lie behind the picture in chunks "comf" (keyword, 0, text), where ComfyUI writes and reads
/// them. Error{kInvalidArgument} without frames or for frames of several sizes or kinds.
std::string encode_animated_png(const Animation& animation, int level = 4);
/// An animated WebP, or a plain one of one frame. Texts are EXIF entries "keyword:text": prompt as the camera's model,
/// the others from its make downwards, where ComfyUI writes and reads them.
std::string encode_animated_webp(const Animation& animation, const WebpOptions& options = {});

/// One picture of a map in 0..1: 255 x clipped to 0..255 and truncated, as ComfyUI saves; NaN is 0.
Picture to_picture(const float* nhwc, int width, int height, int channels);
/// The other way: sample / 255. `nhwc` has room for width * height * channels.
void to_floats(const Picture& picture, float* nhwc);

/// The picture with 3 or 4 channels (grey repeated, alpha opaque where there was none, or dropped).
Picture with_channels(const Picture& picture, int channels);

}  // namespace hearth::image
