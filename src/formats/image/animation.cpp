// Animated PNG and WebP: the frames are encoded as pictures of their own, and their data is put into one file.
#include <algorithm>

#include <fmt/format.h>
#include <zlib.h>

#include "formats/image/codecs.h"

namespace hearth::image {
namespace {

void check_frames(const Animation& animation, Format format) {
  if (animation.frames.empty())
    throw Error(Code::kInvalidArgument, fmt::format("{}: an animation without frames", name(format)));
  const Picture& first = animation.frames.front();
  for (const Picture& frame : animation.frames) {
    check_picture(frame);
    if (frame.width == first.width && frame.height == first.height && frame.channels == first.channels) continue;
    throw Error(Code::kInvalidArgument, fmt::format("{}: frames of {}x{} and {}x{} in one animation", name(format),
                                                    first.width, first.height, frame.width, frame.height));
  }
}

std::string big(uint32_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}
std::string little(uint32_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}
uint32_t read_big(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}
uint32_t read_little(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// ---- PNG ------------------------------------------------------------------------------------------------------------

constexpr size_t kPngHead = 8, kPngAround = 12;  // signature; length, name and checksum of a chunk

std::string png_chunk(std::string_view name, std::string_view data) {
  std::string body = std::string(name) + std::string(data);
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big(static_cast<uint32_t>(data.size()), 4) + body + big(static_cast<uint32_t>(sum), 4);
}

/// The data of every chunk of this name, joined.
std::string png_data(std::string_view file, std::string_view wanted) {
  std::string out;
  for (size_t at = kPngHead; at + kPngAround <= file.size();) {
    const size_t size = read_big(file.substr(at));
    if (file.substr(at + 4, 4) == wanted) out += file.substr(at + 8, size);
    at += kPngAround + size;
  }
  return out;
}

std::string frame_control(const Animation& animation, uint32_t sequence) {
  constexpr uint32_t kMilliseconds = 1000;
  const Picture& first = animation.frames.front();
  return big(sequence, 4) + big(static_cast<uint32_t>(first.width), 4) + big(static_cast<uint32_t>(first.height), 4) +
         big(0, 4) + big(0, 4) + big(static_cast<uint32_t>(std::min(animation.frame_ms, 0xffff)), 2) +
         big(kMilliseconds, 2) + big(0, 1) + big(0, 1);  // keep the last frame, overwrite it
}

// ---- WebP -----------------------------------------------------------------------------------------------------------

constexpr size_t kRiffHead = 12, kRiffChunkHead = 8;

std::string riff_chunk(std::string_view name, std::string_view data) {
  std::string out = std::string(name) + little(static_cast<uint32_t>(data.size()), 4) + std::string(data);
  if (data.size() % 2) out += '\0';
  return out;
}

/// Pixels and alpha of an encoded picture, as chunks.
std::string picture_chunks(std::string_view file) {
  std::string out;
  for (size_t at = kRiffHead; at + kRiffChunkHead <= file.size();) {
    const std::string_view name = file.substr(at, 4);
    const size_t size = read_little(file.substr(at + 4)), whole = kRiffChunkHead + size + size % 2;
    if (name == "ALPH" || name == "VP8 " || name == "VP8L") out += file.substr(at, whole);
    at += whole;
  }
  return out;
}

/// Texts as ASCII entries of a TIFF directory: the prompt as model, the others from make downwards.
std::string exif_of(const std::vector<TextEntry>& texts) {
  constexpr uint32_t kMake = 0x010f, kModel = 0x0110, kAscii = 2, kEntry = 12, kHead = 8;
  std::vector<std::pair<uint32_t, std::string>> entries;
  uint32_t tag = kMake;
  for (const TextEntry& entry : texts) {
    const uint32_t own = entry.key == "prompt" ? kModel : tag--;
    entries.insert(entries.begin(), {own, entry.key + ":" + entry.text + '\0'});
  }
  std::sort(entries.begin(), entries.end());
  std::string directory = little(static_cast<uint32_t>(entries.size()), 2), values;
  const auto first = static_cast<uint32_t>(kHead + 2 + entries.size() * kEntry + 4);
  for (const auto& [number, text] : entries) {
    directory += little(number, 2) + little(kAscii, 2) + little(static_cast<uint32_t>(text.size()), 4) +
                 little(first + static_cast<uint32_t>(values.size()), 4);
    values += text;
    if (values.size() % 2) values += '\0';
  }
  return "II" + little(42, 2) + little(kHead, 4) + directory + little(0, 4) + values;
}

}  // namespace

std::string encode_animated_png(const Animation& animation, int level) {
  check_frames(animation, Format::kPng);
  const auto count = static_cast<uint32_t>(animation.frames.size());
  uint32_t sequence = 0;
  std::string out;
  for (const Picture& frame : animation.frames) {
    const std::string alone = encode_png(frame, {.level = level});
    if (sequence == 0) {
      out = alone.substr(0, kPngHead) + png_chunk("IHDR", png_data(alone, "IHDR")) +
            png_chunk("acTL", big(count, 4) + big(0, 4));
    }
    const bool is_first = sequence == 0;
    out += png_chunk("fcTL", frame_control(animation, sequence++));
    const std::string pixels = png_data(alone, "IDAT");
    out += is_first ? png_chunk("IDAT", pixels) : png_chunk("fdAT", big(sequence++, 4) + pixels);
  }
  for (const TextEntry& entry : animation.texts) out += png_chunk("comf", entry.key + '\0' + entry.text);
  return out + png_chunk("IEND", "");
}

std::string encode_animated_webp(const Animation& animation, const WebpOptions& options) {
  constexpr uint32_t kAnimated = 0x02, kExif = 0x08, kAlpha = 0x10, kOverwrite = 0x02;
  check_frames(animation, Format::kWebp);
  const Picture& first = animation.frames.front();
  const bool is_moving = animation.frames.size() > 1;
  const std::string size =
      little(static_cast<uint32_t>(first.width - 1), 3) + little(static_cast<uint32_t>(first.height - 1), 3);
  const uint32_t flags =
      (is_moving ? kAnimated : 0) | (animation.texts.empty() ? 0 : kExif) | (first.has_alpha() ? kAlpha : 0);
  std::string body = "WEBP" + riff_chunk("VP8X", little(flags, 4) + size);
  if (is_moving) body += riff_chunk("ANIM", little(0, 4) + little(0, 2));  // background, loops without end
  for (const Picture& frame : animation.frames) {
    const std::string chunks = picture_chunks(encode_webp(frame, options));
    const std::string head = little(0, 3) + little(0, 3) + size +
                             little(static_cast<uint32_t>(std::min(animation.frame_ms, 0xffffff)), 3) +
                             little(kOverwrite, 1);
    body += is_moving ? riff_chunk("ANMF", head + chunks) : chunks;
  }
  if (!animation.texts.empty()) body += riff_chunk("EXIF", exif_of(animation.texts));
  return "RIFF" + little(static_cast<uint32_t>(body.size()), 4) + body;
}

}  // namespace hearth::image
